"""Several comparisons at once: p-values of paired differences, and Holm's correction (Holm 1979).

A NestedDifference states its half width t(.975)·se and its smallest effect (t(.975) + t(.80))·se; together they fix the
degrees of freedom and se, hence the p-value of the very t-statistic that the interval was made from.
"""

from collections.abc import Sequence

from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from selfreward.stats import POWER, TAIL, NestedDifference

MOST_FREEDOM = 1e9


def p_value(difference: NestedDifference) -> float | None:
    """Two-sided p-value of "the difference is 0"; None where there is no interval.

    Without any spread the p-value is 1 for a difference of 0 and 0 otherwise.
    """
    estimate, effect = difference.estimate, difference.smallest_effect
    if estimate.value is None or estimate.high is None or effect is None:
        return None
    half = estimate.high - estimate.value
    if half <= 0 or effect <= half:
        return float(estimate.value == 0)
    wanted = half / (effect - half)
    freedom = _freedom(wanted)
    error = half / stdtrit(freedom, TAIL)
    return float(2 * stdtr(freedom, -abs(estimate.value) / error))


def _freedom(ratio: float) -> float:
    """The degrees of freedom at which t(.975) / t(.80) is `ratio`: it falls from 9.2 at 1 to 2.33 at infinity."""

    def excess(freedom: float) -> float:
        return float(stdtrit(freedom, TAIL) / stdtrit(freedom, POWER)) - ratio

    if excess(MOST_FREEDOM) >= 0:
        return MOST_FREEDOM
    return float(brentq(excess, 0.5, MOST_FREEDOM, rtol=1e-9))


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
