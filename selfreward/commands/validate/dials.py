"""What is planted in a round: a dial from 0 (nothing) up, and the metrics that are for finding it.

Everything else of the round is as in the null: the same prompts, and answers and scores drawn from the same rows.

    padding            this share of answers gets one more filler sentence
    echo               this share of answers to a wrong claim gives the claim back (prompts with such a claim alone)
    flips              this share more of right answers is given up after a challenge
    collapse           this share of prompts gets its most frequent answer K times
    drift              this share of answers is the trained policy's
    worse answers      this share of answers loses its last word
    refusals           this share of answers refuses
    saturated judge    this share of scores is the maximum, whatever the answer
    generous judge     this share of scores is a point higher (at most the maximum)
    stale judge        this share of answers keeps the score of another answer: of the same prompt, on the frozen pool
                       of the same order of prompts
    unreadable judge   this share of scores cannot be read
    padding pleases    this share of padded copies gets a point more
    slot-driven judge  this share of meta-verdicts names the first slot
"""

from dataclasses import dataclass

from selfreward.commands.validate.plants import (
    Plant,
    collapsed,
    drifted,
    each,
    echo,
    edited,
    flipping,
    padded,
    padding_pleases,
    refusing,
    rescored,
    slots,
    stale,
    worse,
)
from selfreward.measuring.metrics.judge.health import TOP_SCORE

SHARES = (0.05, 0.1, 0.2, 0.4, 0.8)


@dataclass(frozen=True)
class Dial:
    """`finds`: (family, metric) → the direction of its alarm."""

    plant: Plant
    finds: dict[tuple[str, str], int]
    sizes: tuple[float, ...] = SHARES


def _up(family: str, *metrics: str) -> dict[tuple[str, str], int]:
    return {(family, metric): 1 for metric in metrics}


def _down(family: str, *metrics: str) -> dict[tuple[str, str], int]:
    return {(family, metric): -1 for metric in metrics}


TOLD_APART = {
    **_up("two_sample", "c2st_p_initial", "c2st_auc_initial"),
    **_up("output_drift", "ngram_js_initial"),
}
DIALS: dict[str, Dial] = {
    "padding": Dial(
        each(padded),
        {
            **_up("length", "length_tokens", "length_words"),
            **_up("form", "length_characters", "length_tokens_median"),
            **TOLD_APART,
        },
    ),
    "echo": Dial(echo, _up("truth", "claim_echo")),
    "flips": Dial(flipping, _up("asked", "are_you_sure_flips_change", "are_you_sure_excess_flips")),
    "collapse": Dial(
        edited(collapsed),
        {
            **_down("diversity", "distinct_answers", "answer_entropy", "distinct_cores"),
            **_down("lexical_diversity", "distinct_ngrams_per_input", "ead_per_input", "compression_per_input"),
            **_up("lexical_diversity", "self_bleu_per_input"),
            **_down("embedded_diversity", "vendi_per_input", "embedding_distance_per_input"),
            **_down("coverage", "pass_at_6"),
        },
    ),
    "drift": Dial(
        drifted,
        {
            **_up("drift", "kl_initial_k1_token", "kl_initial_k3_token"),
            **_up("truth", "true_accuracy", "true_quality"),
            **_up("belief", "judge_mean_change"),
            **_up("win_rate", "self_judged_win_rate_initial", "self_judged_win_rate_lc_minimal_initial"),
            **_up("held_out", "held_out_win_rate_initial"),
            **TOLD_APART,
        },
    ),
    "worse answers": Dial(
        each(worse),
        {
            **_down("cohorts", "cohort_accuracy_change letters"),
            **_down("truth", "true_accuracy", "true_quality"),
            **_up("belief", "judge_minus_truth_change"),
        },
    ),
    "refusals": Dial(each(refusing), _up("form", "refusal_rate")),
    "saturated judge": Dial(
        rescored(lambda score, _: TOP_SCORE),
        {
            **_up("judge_health", "score_at_max", "tie_rate"),
            **_down("judge_health", "score_entropy"),
            **_up("belief", "judge_mean_change", "judge_minus_truth_change"),
            **_up("judge_anchor", "judge_generosity_change frozen", "judge_minus_held_out"),
            **_down("judge_agreement", "judge_kappa frozen", "judge_auc frozen"),
            **_down("judge", "judge_spearman frozen"),
        },
    ),
    "generous judge": Dial(
        rescored(lambda score, _: min(TOP_SCORE, score + 1)),
        {
            **_up("belief", "judge_mean_change", "judge_minus_truth_change"),
            **_up("judge_anchor", "judge_generosity_change frozen", "judge_minus_held_out"),
            **_up("win_rate", "self_judged_win_rate_initial"),
            **_up("held_out", "self_minus_held_out_win_rate_initial"),
            **_up("self_preference", "self_preference_initial"),
        },
    ),
    "stale judge": Dial(
        stale,
        {
            **_down("judge", "judge_spearman frozen", "judge_spearman", "judge_kendall", "judge_pairwise_accuracy"),
            **_down("judge_agreement", "judge_kappa frozen", "judge_kappa_quadratic frozen", "judge_youden frozen"),
            **_down("judge_stability", "judge_tau_initial frozen"),
            **_down("best_of_n", "judge_best_of_n_gain", "judge_best_of_n_reach"),
        },
    ),
    "unreadable judge": Dial(rescored(lambda score, _: None), _up("judge_health", "unreadable_rate")),
    "padding pleases": Dial(
        padding_pleases, _up("judge_padding", "padded_win_rate frozen", "padded_score_change frozen")
    ),
    "slot-driven judge": Dial(slots, {**_up("meta", "meta_first_rate train"), **_down("meta", "meta_agreement train")}),
}
