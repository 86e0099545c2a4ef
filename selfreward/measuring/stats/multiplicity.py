"""Several comparisons at once: the p-value behind a paired difference's interval, and Holm's correction (Holm 1979).

A NestedDifference states half width(q)² = Σ t²(q; freedom) · variance over its parts (seed models, prompts) at two
levels q: the interval's, and, in the smallest effect, the power's. That fixes the parts' variances, hence the level at
which the interval would just touch 0. So p < .05 exactly where the difference is resolved.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq, nnls
from scipy.special import stdtrit

from selfreward.measuring.stats.clustered import POWER, TAIL, NestedDifference

SMALLEST = 1e-12


def p_value(difference: NestedDifference) -> float | None:
    """Two-sided p-value of "the difference is 0", at least 1e-12; None where there is no interval.

    Without any spread it is 1 for a difference of 0 and the smallest otherwise.
    """
    estimate, effect = difference.estimate, difference.smallest_effect
    if estimate.value is None or estimate.high is None or effect is None:
        return None
    half = estimate.high - estimate.value
    if estimate.value == 0 or half <= 0:
        return 1.0 if estimate.value == 0 else SMALLEST
    freedoms = [n - 1 for n in (estimate.n, difference.prompts) if n > 1]
    squares = np.asarray([[stdtrit(freedom, level) ** 2 for freedom in freedoms] for level in (TAIL, POWER)])
    variances, _ = nnls(squares, np.asarray([half**2, (effect - half) ** 2]))

    def excess(tail: float) -> float:
        """How far the interval at this level reaches beyond 0."""
        reach = sum(stdtrit(freedom, tail) ** 2 * part for freedom, part in zip(freedoms, variances, strict=True))
        return float(reach) - float(estimate.value or 0) ** 2

    if excess(SMALLEST / 2) <= 0:
        return SMALLEST
    return 2 * float(brentq(excess, SMALLEST / 2, 0.5, xtol=1e-15))


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
