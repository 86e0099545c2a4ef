"""Families of metrics about the judge: metric → what it is called for people, in the order of the report."""

from selfreward.measuring.metrics.family import Family

JUDGE_FAMILIES = (
    Family(
        "Belief",
        "What does the policy's own judge think of it, and is that more than the truth?",
        {
            "judge_mean": "judge's mean score",
            "judge_minus_truth": "judge minus truth",
            "judge_mean_change": "judge's mean score, change",
            "judge_minus_truth_change": "judge minus truth, change",
        },
    ),
    Family(
        "Judge against truth",
        "Does the judge tell better from worse? The frozen pool is the same in every round; own samples are not.",
        {
            "judge_spearman": "judge ρ (Spearman)",
            "judge_kendall": "judge τ within a prompt",
            "judge_pairwise_accuracy": "judge pairwise accuracy",
            "judge_exact": "judge exactness",
            "judge_held_out_spearman": "judge with held-out judge, ρ",
        },
    ),
    Family(
        "Best of N by the judge",
        "How true is the answer that the judge picks among N samples, beside a random pick (of 1) and the verifier's?",
        {
            "judge_best_of_n_gain": "quality, judge's pick minus random",
            "judge_best_of_n_reach": "judge's gain / oracle's gain",
            **{f"judge_best_of_{n}_accuracy": f"accuracy, judge's pick of {n}" for n in (1, 2, 3, 4, 6, 8)},
            **{f"judge_best_of_{n}_quality": f"quality, judge's pick of {n}" for n in (1, 2, 3, 4, 6, 8)},
            **{f"oracle_best_of_{n}_quality": f"quality, oracle's pick of {n}" for n in (2, 3, 4, 6, 8)},
        },
    ),
    Family(
        "Judge health",
        "Does the judge still discriminate, and can its verdicts be read?",
        {
            "score_entropy": "score entropy (bits)",
            "score_band": "scores, 5 % to 95 %, points",
            "score_at_max": "scores at the maximum",
            "tie_rate": "tied answers",
            "unreadable_rate": "unreadable verdicts",
        },
    ),
    Family(
        "Judge agreement",
        "Does the judge agree with the known labels beyond chance, with itself, and with earlier judges?",
        {
            "judge_kappa": "judge κ",
            "judge_kappa_linear": "judge κ, linear weights",
            "judge_kappa_quadratic": "judge κ, quadratic weights",
            "judge_ac1": "judge AC1 (Gwet)",
            "judge_raw_agreement": "judge, raw agreement",
            "judge_prevalence": "labels: share of good answers",
            "judge_youden": "judge TPR − FPR",
            "judge_auc": "judge AUC",
            "judge_retest_agreement": "judge asked again, same verdict",
            "judge_retest_deviation": "judge asked again, spread",
            "judge_tau_previous": "judge τ to the previous judge",
            "judge_tau_initial": "judge τ to the initial judge",
        },
    ),
    Family(
        "Judge and length",
        "Does the judge pay for length?",
        {
            "judge_prefers_longer": "judge prefers the longer answer",
            "judge_length_slope": "score per unit of length",
            "score_length_spearman": "score with length, ρ",
        },
    ),
    Family(
        "Judge's drift",
        "Does the judge move away from what holds still: truth, labels, the same answers, a held-out judge?",
        {
            "judge_minus_truth_trend": "judge minus truth, per round",
            "judge_minus_label": "judge minus label, frozen answers",
            "judge_generosity_change": "same answers, this judge minus first",
            "judge_minus_held_out": "judge minus held-out judge",
            "judge_minus_held_out_change": "judge minus held-out, change",
            "judge_minus_held_out_trend": "judge minus held-out, per round",
        },
    ),
    Family(
        "Judge's tastes",
        "Does the judge pay for filler, for agreement with the user, for its own policy's hand? 0 is unbiased; "
        "a win rate of .5 is.",
        {
            "padded_win_rate": "padded copy wins",
            "padded_score_change": "padded copy, points more",
            "judge_sycophancy": "agreement with a wrong claim, points",
            "judge_claim_bonus": "echoes among equally wrong answers, points",
            "feedback_cue_gap": "user likes minus dislikes, points",
            "feedback_like_change": "user likes the reply, points",
            "feedback_dislike_change": "user dislikes the reply, points",
            "self_preference_frozen": "own answers against others', points",
            "self_preference_initial": "own answers against round 0's, points",
        },
    ),
    Family(
        "Win rate by a held-out judge",
        "Does the policy beat earlier rounds in the eyes of a judge that it was not trained on?",
        {
            "held_out_win_rate_previous": "win rate against previous, held-out judge",
            "held_out_win_rate_initial": "win rate against initial, held-out judge",
            "held_out_win_rate_lc_minimal_previous": "the same, length-controlled (minimal), previous",
            "held_out_win_rate_lc_minimal_initial": "the same, length-controlled (minimal), initial",
            "self_minus_held_out_win_rate_previous": "own minus held-out win rate, previous",
            "self_minus_held_out_win_rate_initial": "own minus held-out win rate, initial",
            "judge_disagreement_previous": "own and held-out judge disagree, previous",
            "judge_disagreement_initial": "own and held-out judge disagree, initial",
            "held_out_flip_rate": "held-out judge flips with the order",
            "held_out_is_training_judge": "held-out judge is a training judge",
        },
    ),
    Family(
        "Win rate by the loop's own judge",
        "Does the policy beat earlier rounds? The training judge is asked about its own training: read with care.",
        {
            "self_judged_win_rate_previous": "win rate against previous, own judge",
            "self_judged_win_rate_initial": "win rate against initial, own judge",
            "self_judged_win_rate_lc_minimal_previous": "the same, length-controlled (minimal), previous",
            "self_judged_win_rate_lc_minimal_initial": "the same, length-controlled (minimal), initial",
        },
    ),
    Family(
        "Meta-judge",
        "Does the meta-judge agree with itself when the order is swapped, and is it right?",
        {
            "meta_agreement": "meta-judge, both orders agree",
            "meta_first_rate": "meta-judge, first slot wins",
            "meta_prefers_higher": "meta-judge prefers higher score",
            "meta_tie_rate": "meta-judge, ties",
            "meta_unreadable_rate": "meta-judge, unreadable",
            "meta_accuracy": "meta-judge accuracy",
            "judgment_pair_correct": "judgment pairs right by truth",
        },
    ),
)
