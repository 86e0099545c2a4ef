"""Several comparisons at once: the p-value behind a paired difference's interval, and Holm's correction (Holm 1979).

A NestedDifference has half width(q)² = Σ t²(q; freedom) · variance over its parts (seed models, prompts) at any level,
and the p-value belongs to the level at which the interval, before its scale cuts it off, would just touch 0. So p < .05
exactly where the difference is resolved.
"""

from collections.abc import Sequence

from scipy.optimize import brentq
from scipy.special import stdtrit

from selfreward.measuring.stats.clustered import TAIL, t_quantile
from selfreward.measuring.stats.nested_difference import NestedDifference

SMALLEST = 1e-12


def p_value(difference: NestedDifference) -> float | None:
    """Two-sided p-value of "the difference is 0", at least 1e-12; None where there is no interval."""
    value, parts = difference.estimate.value, difference.parts
    if value is None or not parts:
        return None
    if value == 0:
        return 1.0

    def excess(tail: float) -> float:
        """How far the interval at this level reaches beyond 0."""
        reach = sum(stdtrit(freedom, tail) ** 2 * variance for variance, freedom in parts)
        return float(reach) - float(value or 0) ** 2

    if excess(SMALLEST / 2) <= 0:
        return SMALLEST
    return 2 * float(brentq(excess, SMALLEST / 2, 0.5, xtol=1e-15))


def widening(level: float, freedom: float) -> float:
    """What the half width of a 95 % t-interval is multiplied with to end at this one-sided error level."""
    return t_quantile(1 - level, freedom) / t_quantile(TAIL, freedom)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given: below .05 means resolved at a family-wise error of 5 %.

    The k-th smallest of m is multiplied by m - k + 1, never below its predecessor, at most 1.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = highest
    return adjusted
