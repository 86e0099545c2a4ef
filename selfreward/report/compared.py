"""What two runs or the arms of a grid can be compared on, on which scale, and what for where nobody says."""

import math

from selfreward.measuring.metrics import numbers

PER_PROMPT = ("true_accuracy", "judge_mean", "judge_minus_truth", "length_tokens", "claim_echo", "distinct_answers")
"""On the report pool, a value for each prompt."""
PER_RUN = ("judge_spearman",)
"""On the frozen pool, one value a run."""
EXACT = "judge_exact"
"""On the frozen pool, a value for each prompt."""
TESTED = ("true_accuracy", "judge_minus_truth", EXACT, "judge_spearman")
"""The judge's mean score only where no truth is known: fewer tests see more."""
COMPARED = (*PER_PROMPT, EXACT, *PER_RUN)


def scale(metric: str) -> tuple[float, float]:
    """The least and the greatest value of a metric, as it says itself."""
    found = numbers()[metric].scale
    return found if found is not None else (-math.inf, math.inf)


def difference_scale(metric: str) -> tuple[float, float]:
    """The scale of a difference of two values."""
    low, high = scale(metric)
    return low - high, high - low
