"""A share as a classifier sees it, corrected for the classifier's own errors, which are estimated too.

    p = (r - F) / (T - F)        (Rogan and Gladen 1978)

r is the share that it flags, T its true-positive rate and F its false-positive rate on labelled rows, so that
r = p T + (1 - p) F. The interval holds every p in [0, 1] at which r - p T - (1 - p) F is not resolved from 0 (Fieller's
idea), where the limits of that sum come from the three intervals' own distances (MOVER, Zou and Donner 2008):

    (r - low_r)² + p² (high_T - T)² + (1 - p)² (high_F - F)²        below, and the other ends above

so that few labelled rows make it wide, also at a rate of exactly 0 or 1, where a delta method has no width at all. With
T and F known it is the interval of r on another scale.

Assumption: flagged and unflagged rows of one label look alike to the classifier here and among the labelled rows; how
common the label is there does not matter. A value outside of [0, 1] is clipped and kept as `unclipped`: chance brings
it there near 0 and 1, and far outside the labelled rows are unlike these. Where no p fits there is no interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from selfreward.errors import DataError
from selfreward.measuring.stats.clustered import Estimate, clustered_share


@dataclass(frozen=True, slots=True)
class Errors:
    """Of a classifier on labelled rows: how often it flags those that should be, and those that should not."""

    true_positives: Estimate
    false_positives: Estimate


@dataclass(frozen=True, slots=True)
class Corrected:
    """`estimate.value` lies in [0, 1]; `unclipped` is what the formula gives."""

    estimate: Estimate
    unclipped: float


def errors_of(flags: Sequence[bool], labels: Sequence[bool]) -> Errors:
    """Both rates with Wilson's intervals, every row by itself. Raises DataError where they cannot correct anything."""
    sides = [[float(flag) for flag, told in zip(flags, labels, strict=True) if told is side] for side in (True, False)]
    if min(map(len, sides)) < 2:
        raise DataError(
            f"{len(sides[0])} labelled rows should be flagged and {len(sides[1])} should not; expected two or more of "
            "both, so that both error rates are known"
        )
    hits, false = (clustered_share(side, [str(row) for row in range(len(side))]) for side in sides)
    assert hits.value is not None and false.value is not None
    if hits.value <= false.value:
        raise DataError(
            f"it flags {hits.value:.0%} of the {hits.n} labelled rows that should be flagged, and {false.value:.0%} of "
            f"the {false.n} that should not: a rate by such a classifier cannot be corrected; take another one, "
            "another threshold, or none"
        )
    return Errors(hits, false)


def corrected_share(rate: Estimate, errors: Errors) -> Corrected | None:
    """The corrected share; `n` is the rate's. None without a rate; no interval without the rate's."""
    hits, false = errors.true_positives, errors.false_positives
    if rate.value is None or hits.value is None or false.value is None:
        return None
    apart = hits.value - false.value
    unclipped = (rate.value - false.value) / apart
    value = min(1.0, max(0.0, unclipped))
    if rate.low is None or rate.high is None:
        return Corrected(Estimate(value, None, None, rate.n), unclipped)
    down = [_span(*ends) for ends in ((rate.low, rate.value), (hits.value, hits.high), (false.value, false.high))]
    up = [_span(*ends) for ends in ((rate.value, rate.high), (hits.low, hits.value), (false.low, false.value))]

    def beyond(p: float) -> float:
        """How far the sum lies outside of what its interval allows at `p`; 0 and less are inside."""
        margin = down if p < unclipped else up
        return abs(unclipped - p) * apart - sqrt(margin[0] ** 2 + (p * margin[1]) ** 2 + ((1 - p) * margin[2]) ** 2)

    if beyond(value) > 0:
        return Corrected(Estimate(value, None, None, rate.n), unclipped)
    from scipy.optimize import brentq

    # `beyond` is concave on either side of the value: where its end is outside there is one crossing in between.
    low, high = (end if beyond(end) <= 0 else float(brentq(beyond, *sorted((end, value)))) for end in (0.0, 1.0))
    return Corrected(Estimate(value, min(low, value), max(high, value), rate.n), unclipped)


def _span(low: float | None, high: float | None) -> float:
    return 0.0 if high is None or low is None else high - low
