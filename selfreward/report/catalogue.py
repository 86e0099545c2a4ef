"""What each metric is called for people, and which question it belongs to. A metric that is not here is still shown.

A new metric gets its words and its place in metrics/policy/words.py or metrics/judge/words.py.
"""

from collections.abc import Iterable

from selfreward.measuring.metrics.family import Family
from selfreward.measuring.metrics.judge.words import JUDGE_FAMILIES
from selfreward.measuring.metrics.policy.words import POLICY_FAMILIES

FAMILIES = (*POLICY_FAMILIES, *JUDGE_FAMILIES)
OTHER = Family("Other", "Metrics that this report has no words for.", {})
BY_METRIC = {metric: family for family in FAMILIES for metric in family.metrics}

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
    ("judge_best_of_n_gain", "report"),
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
    ("reward_mean", "train"),
    ("uniform_groups", "train"),
    ("advantage_right", "train"),
    ("clip_fraction", "train"),
    ("effective_samples", "train"),
    ("meta_agreement", "train"),
    ("meta_accuracy", "train"),
)
# Counts that have a table of their own, and numbers so near 0 that no axis label holds them.
UNPLOTTED = (
    *("pairs_dropped", "judgment_pairs_dropped", "samples_dropped", "groups_dropped", "prompts_dropped"),
    *("text_mmd_previous", "text_mmd_initial"),
)
STEERING_POOLS = ("gate", "selection")


def words(metric: str) -> str:
    """The metric's name for people."""
    return family_of(metric).metrics.get(metric) or metric.replace("_", " ")


def place(pool: str) -> str:
    """The pool for people."""
    return {"train": "training"}.get(pool, f"{pool} pool" if pool else "")


def family_of(metric: str) -> Family:
    return BY_METRIC.get(metric, OTHER)


def in_families(metrics: Iterable[str]) -> list[tuple[Family, list[str]]]:
    """The families that have metrics here, in their order, each with its metrics in the catalogue's order."""
    present = list(dict.fromkeys(metrics))
    grouped = [(family, [metric for metric in family.metrics if metric in present]) for family in FAMILIES]
    grouped.append((OTHER, [metric for metric in present if metric not in BY_METRIC]))
    return [(family, inside) for family, inside in grouped if inside]
