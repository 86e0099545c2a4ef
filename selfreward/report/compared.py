"""What two runs or the arms of a grid can be compared on, on which scale, and what for where nobody says."""

import math

PER_PROMPT = ("true_accuracy", "judge_mean", "judge_minus_truth", "length_tokens", "claim_echo", "distinct_answers")
"""On the report pool, a value for each prompt."""
PER_RUN = ("judge_spearman",)
"""On the frozen pool, one value a run."""
EXACT = "judge_exact"
"""On the frozen pool, a value for each prompt."""
TESTED = ("true_accuracy", "judge_minus_truth", EXACT, "judge_spearman")
"""The judge's mean score only where no truth is known: fewer tests see more."""
COMPARED = (*PER_PROMPT, EXACT, *PER_RUN)
SCALES: dict[str, tuple[float, float]] = {
    "true_accuracy": (0.0, 1.0),
    "true_quality": (0.0, 5.0),
    "judge_mean": (0.0, 5.0),
    "judge_minus_truth": (-5.0, 5.0),
    "claim_echo": (0.0, 1.0),
    "length_tokens": (0.0, math.inf),
    "distinct_answers": (0.0, 1.0),
    "distinct_cores": (0.0, 1.0),
    "judge_spearman": (-1.0, 1.0),
    EXACT: (0.0, 1.0),
}
"""The least and the greatest value of each: no interval leaves it."""


def difference_scale(metric: str) -> tuple[float, float]:
    """The scale of a difference of two values."""
    low, high = SCALES[metric]
    return low - high, high - low
