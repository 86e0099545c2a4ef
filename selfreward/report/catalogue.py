"""What each metric is called for people, and which question it belongs to. A metric that is not here is still shown."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    question: str
    metrics: tuple[str, ...]


FAMILIES = (
    Family(
        "Truth",
        "How good is the policy really? By the verifier, on prompts that it never trained on.",
        ("true_accuracy", "true_quality", "best_of_k_accuracy", "claim_echo"),
    ),
    Family(
        "Belief",
        "What does the policy's own judge think of it, and is that more than the truth?",
        ("judge_mean", "judge_minus_truth", "judge_mean_change", "judge_minus_truth_change"),
    ),
    Family(
        "Judge against truth",
        "Does the judge tell better from worse? The frozen pool is the same in every round; own samples are not.",
        ("judge_spearman", "judge_kendall", "judge_pairwise_accuracy", "judge_exact"),
    ),
    Family(
        "Judge health",
        "Does the judge still discriminate, and can its verdicts be read?",
        ("score_entropy", "score_at_max", "tie_rate", "unreadable_rate"),
    ),
    Family(
        "Length",
        "Do answers grow? Growth without growth in truth is the cheapest sign of pleasing the judge.",
        ("length_tokens", "length_words", "truncated_rate"),
    ),
    Family(
        "Judge agreement",
        "Does the judge agree with the known labels beyond chance, with itself, and with earlier judges?",
        (
            "judge_kappa",
            "judge_kappa_linear",
            "judge_kappa_quadratic",
            "judge_ac1",
            "judge_raw_agreement",
            "judge_prevalence",
            "judge_youden",
            "judge_auc",
            "judge_retest_agreement",
            "judge_retest_deviation",
            "judge_tau_previous",
            "judge_tau_initial",
        ),
    ),
    Family(
        "Judge and length",
        "Does the judge pay for length?",
        ("judge_prefers_longer", "judge_length_slope", "score_length_spearman"),
    ),
    Family(
        "Win rate by the loop's own judge",
        "Does the policy beat earlier rounds? The training judge is asked about its own training: read with care.",
        (
            "self_judged_win_rate_previous",
            "self_judged_win_rate_initial",
            "self_judged_win_rate_lc_minimal_previous",
            "self_judged_win_rate_lc_minimal_initial",
        ),
    ),
    Family(
        "Form",
        "What do the answers look like, and do they refuse?",
        (
            "length_characters",
            "length_tokens_median",
            "list_rate",
            "markdown_rate",
            "refusal_rate",
            "false_refusal_rate",
            "unsafe_refusal_rate",
        ),
    ),
    Family(
        "Diversity", "Do samples of one prompt still differ?", ("distinct_answers", "distinct_cores", "answer_entropy")
    ),
    Family(
        "Diversity of words and meaning",
        "Within a prompt and between prompts apart: a collapsed policy loses the first and may keep the second.",
        (
            "ead_per_input",
            "ead_across_input",
            "distinct_ngrams_per_input",
            "distinct_ngrams_across_input",
            "self_bleu_per_input",
            "vendi_per_input",
            "embedding_distance_per_input",
            "embedding_distance_across_input",
            "compression_per_input",
            "compression_across_input",
            "duplicate_texts_across_input",
        ),
    ),
    Family(
        "Coverage", "Could more samples solve it?", ("pass_at_1", "pass_at_2", "pass_at_3", "pass_at_4", "pass_at_6")
    ),
    Family(
        "Output drift",
        "How differently does the policy write than earlier rounds? Divergence above what halves of a round differ by; "
        "a classifier's AUC, .5 is no difference.",
        (
            "ngram_js_previous",
            "ngram_js_initial",
            "c2st_auc_previous",
            "c2st_auc_initial",
            "c2st_p_previous",
            "c2st_p_initial",
            "c2st_length_auc_previous",
            "c2st_length_auc_initial",
        ),
    ),
    Family(
        "Pairs and training",
        "How many pairs were there, were they right, and what did training do to their likelihood?",
        (
            "pairs_kept",
            "judgment_pairs_kept",
            "pair_correct",
            "chosen_logprob_shift",
            "rejected_logprob_shift",
            "chosen_minus_rejected_tokens",
        ),
    ),
    Family(
        "Policy drift",
        "How far has the policy moved? KL in nats from its own samples; k3 is never negative, k1 unbiased and noisier.",
        (
            "kl_previous_k3_token",
            "kl_initial_k3_token",
            "kl_previous_k3_sequence",
            "kl_initial_k3_sequence",
            "kl_previous_k1_token",
            "kl_initial_k1_token",
            "kl_previous_k1_sequence",
            "kl_initial_k1_sequence",
        ),
    ),
    Family(
        "Meta-judge",
        "Does the meta-judge agree with itself when the order is swapped, and is it right?",
        (
            "meta_agreement",
            "meta_first_rate",
            "meta_prefers_higher",
            "meta_tie_rate",
            "meta_unreadable_rate",
            "meta_accuracy",
            "judgment_pair_correct",
        ),
    ),
)
OTHER = Family("Other", "Metrics that this report has no words for.", ())

WORDS = {
    "true_accuracy": "true accuracy",
    "true_quality": "true quality",
    "best_of_k_accuracy": "best-of-K accuracy",
    "claim_echo": "wrong claims echoed",
    "judge_mean": "judge's mean score",
    "judge_mean_change": "judge's mean score, change",
    "judge_minus_truth": "judge minus truth",
    "judge_minus_truth_change": "judge minus truth, change",
    "judge_spearman": "judge ρ (Spearman)",
    "judge_kendall": "judge τ within a prompt",
    "judge_pairwise_accuracy": "judge pairwise accuracy",
    "judge_exact": "judge exactness",
    "score_entropy": "score entropy (bits)",
    "score_at_max": "scores at the maximum",
    "tie_rate": "tied answers",
    "unreadable_rate": "unreadable verdicts",
    "length_tokens": "length (tokens)",
    "length_words": "length (words, median)",
    "truncated_rate": "truncated answers",
    "distinct_answers": "distinct answers",
    "distinct_cores": "distinct answers, no filler",
    "answer_entropy": "answer entropy (nats)",
    "pairs_kept": "answer pairs kept",
    "judgment_pairs_kept": "judgment pairs kept",
    "pair_correct": "pairs right by truth",
    "chosen_logprob_shift": "shift of log p(chosen)",
    "rejected_logprob_shift": "shift of log p(rejected)",
    "chosen_minus_rejected_tokens": "chosen minus rejected, tokens",
    "kl_previous_k3_token": "KL to previous, per token",
    "kl_initial_k3_token": "KL to initial, per token",
    "kl_previous_k3_sequence": "KL to previous, per answer",
    "kl_initial_k3_sequence": "KL to initial, per answer",
    "kl_previous_k1_token": "KL to previous, per token (k1)",
    "kl_initial_k1_token": "KL to initial, per token (k1)",
    "kl_previous_k1_sequence": "KL to previous, per answer (k1)",
    "kl_initial_k1_sequence": "KL to initial, per answer (k1)",
    "meta_agreement": "meta-judge, both orders agree",
    "meta_first_rate": "meta-judge, first slot wins",
    "meta_prefers_higher": "meta-judge prefers higher score",
    "meta_tie_rate": "meta-judge, ties",
    "meta_unreadable_rate": "meta-judge, unreadable",
    "meta_accuracy": "meta-judge accuracy",
    "judgment_pair_correct": "judgment pairs right by truth",
}

# The rows of the one table that a terminal shows first: metric and pool.
SUMMARY = (
    ("true_accuracy", "report"),
    ("true_quality", "report"),
    ("judge_mean", "report"),
    ("judge_minus_truth", "report"),
    ("judge_minus_truth_change", "report"),
    ("judge_spearman", "frozen"),
    ("judge_pairwise_accuracy", "frozen"),
    ("judge_exact", "frozen"),
    ("judge_spearman", "report"),
    ("judge_pairwise_accuracy", "report"),
    ("score_entropy", "report"),
    ("score_at_max", "report"),
    ("unreadable_rate", "report"),
    ("tie_rate", "report"),
    ("truncated_rate", "report"),
    ("length_tokens", "report"),
    ("distinct_answers", "report"),
    ("distinct_cores", "report"),
    ("claim_echo", "report"),
    ("kl_previous_k3_token", "report"),
    ("kl_initial_k3_token", "report"),
    ("pairs_kept", "train"),
    ("judgment_pairs_kept", "train"),
    ("pair_correct", "train"),
    ("chosen_logprob_shift", "train"),
    ("rejected_logprob_shift", "train"),
    ("meta_agreement", "train"),
    ("meta_accuracy", "train"),
)
# Counts that have a table of their own.
UNPLOTTED = ("pairs_dropped", "judgment_pairs_dropped", "prompts_dropped")
STEERING_POOLS = ("gate", "selection")


def words(metric: str) -> str:
    """The metric's name for people."""
    return WORDS.get(metric, metric.replace("_", " "))


def place(pool: str) -> str:
    """The pool for people."""
    return {"train": "training"}.get(pool, f"{pool} pool" if pool else "")


def family_of(metric: str) -> Family:
    for family in FAMILIES:
        if metric in family.metrics:
            return family
    return OTHER


def in_families(metrics: Iterable[str]) -> list[tuple[Family, list[str]]]:
    """The families that have metrics here, in their order, each with its metrics in the catalogue's order."""
    present = list(dict.fromkeys(metrics))
    grouped = []
    for family in (*FAMILIES, OTHER):
        inside = [metric for metric in present if family_of(metric) == family]
        inside.sort(key=lambda metric, known=family.metrics: known.index(metric) if metric in known else len(known))  # type: ignore[misc]
        if inside:
            grouped.append((family, inside))
    return grouped
