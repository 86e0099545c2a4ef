"""What each metric is called for people, and which question it belongs to: as it says itself, where it is measured.

A metric that says nothing, such as somebody's own, is still shown.
"""

from collections.abc import Iterable, Mapping
from functools import cache

from selfreward.measuring.metrics import families, numbers
from selfreward.measuring.metrics.about import Family

OTHER = Family("Other", "Metrics of none of these questions.")

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
STEERING_POOLS = ("gate", "selection")


@cache
def by_metric() -> Mapping[str, Family]:
    """The metrics that have words."""
    return {metric: family for family in families() for metric in family.metrics}


def is_plotted(metric: str) -> bool:
    return metric not in numbers() or numbers()[metric].plotted


def words(metric: str) -> str:
    """The metric's name for people."""
    return family_of(metric).metrics.get(metric) or metric.replace("_", " ")


def place(pool: str) -> str:
    """The pool for people."""
    return {"train": "training"}.get(pool, f"{pool} pool" if pool else "")


def family_of(metric: str) -> Family:
    return by_metric().get(metric, OTHER)


def in_families(metrics: Iterable[str]) -> list[tuple[Family, list[str]]]:
    """The families that have metrics here, in their order, each with its metrics in the catalogue's order."""
    present = list(dict.fromkeys(metrics))
    grouped = [(family, [metric for metric in family.metrics if metric in present]) for family in families()]
    grouped.append((OTHER, [metric for metric in present if metric not in by_metric()]))
    return [(family, inside) for family, inside in grouped if inside]
