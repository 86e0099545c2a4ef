"""Performance gap recovered (Burns et al. 2312.09390): what a student makes of labels by a weaker teacher.

    PGR = (student - weak) / (ceiling - weak)

1 is a student as good as one that was told the truth, 0 one as good as its teacher; it may be below 0 and above 1. All
three are paired by (seed model, run seed, prompt). The interval holds every rho for which student - weak is not
resolved from rho (ceiling - weak): Fieller's, of `nested_difference.py`'s paired intervals. There is no such number
where the ceiling is not resolved above the teacher: a ratio over a difference that may be 0 is any number at all.
"""

from collections.abc import Callable, Mapping

from selfreward.measuring.stats.clustered import Estimate
from selfreward.measuring.stats.nested_difference import NestedDifference, nested_paired_difference

Values = Mapping[tuple[str, str, str], float]
FARTHEST = 1e4
"""An end farther away than this is none."""


def gap(weak: Values, ceiling: Values) -> NestedDifference:
    """What there is to recover."""
    return nested_paired_difference({key: ceiling[key] - weak[key] for key in weak.keys() & ceiling.keys()})


def gap_recovered(student: Values, weak: Values, ceiling: Values) -> Estimate | None:
    """The ratio with its interval; None where it is not defined. `n` counts what the gap's interval speaks for."""
    shared = sorted(student.keys() & weak.keys() & ceiling.keys())
    found = gap({key: weak[key] for key in shared}, {key: ceiling[key] for key in shared})
    if found.estimate.low is None or found.estimate.value is None or found.estimate.low <= 0:
        return None

    def apart(rho: float) -> NestedDifference:
        return nested_paired_difference(
            {key: student[key] - weak[key] - rho * (ceiling[key] - weak[key]) for key in shared}
        )

    gained = apart(0.0).estimate.value
    assert gained is not None
    value = gained / found.estimate.value
    ends = [_end(apart, value, direction) for direction in (-1.0, 1.0)]
    return None if None in ends else Estimate(value, ends[0], ends[1], found.estimate.n)


def _end(apart: Callable[[float], NestedDifference], inside: float, direction: float) -> float | None:
    """The last rho in this direction that is not resolved from the ratio."""
    step = 0.05
    while not apart(inside + direction * step).resolved:
        step *= 2
        if step > FARTHEST:
            return None
    near, far = (0.0, step) if step == 0.05 else (step / 2, step)
    for _ in range(24):
        middle = (near + far) / 2
        near, far = (near, middle) if apart(inside + direction * middle).resolved else (middle, far)
    return inside + direction * near
