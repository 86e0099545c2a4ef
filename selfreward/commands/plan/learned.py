"""What a machine reaches, from the runs that it has finished: each stage's seconds beside those that were planned.

Assumption: a stage takes a + b x seconds where its plan says x at the device's usual efficiency. b is one over what is
reached of that efficiency, a is what does not grow with the work (kernels chosen, a process started); neither is below
0. Formula: least squares of relative errors, (a + b x) / t - 1, over the rounds of all runs. Where their x differ by
less than a quarter, a and b cannot be told apart: then a = 0 and b is the median of t / x. Replies that end before
their limit, pairs that were not made and judgments that were not needed are in b too: a plan says at most, a run what
it took. So b is learnt from runs like the one that is planned: of the same kind of engine, dtype, device and threads,
and `plan` names them. A stage that none of them had takes what its kind does (writing, reading, training), else its
plan.

Range: the total's widest relative error when each run is planned from the others, at least `LEAST`; with fewer than
three runs `FEW`. Not an interval of known probability. Without runs the range is that of the defaults: from replies
that end at `SHORT` of their limits to `Device.slow` times the plan and `Device.start` seconds for each round. Published
decode rates are 1.25 to 2 times below what the roofline at .45 and .6 says.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from selfreward.commands.plan.finished import Finished, Point
from selfreward.commands.plan.plan import Cost, Plan, kind_of, plan, planned_seconds
from selfreward.commands.plan.workload_training import taught_in
from selfreward.recipe import measured_rounds

SHORT = 0.3
LEAST, FEW = 0.25, 0.5
TOLD_APART = 1.25


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds: what is expected, and from where to where it may be."""

    low: float
    expected: float
    high: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of a stage: `fixed` + `slope` times its plan. `rounds` it was learnt from; `share` of the floor."""

    fixed: float
    slope: float
    rounds: int
    share: float

    def seconds(self, planned: float) -> float:
        return self.fixed + self.slope * planned


@dataclass(frozen=True, slots=True)
class Learnt:
    """The pace of every stage, what else takes time, by round, and how far off a total may be."""

    runs: tuple[str, ...]
    stages: dict[str, Pace]
    kinds: dict[str, Pace]
    rest: Pace | None
    error: float

    def of(self, cost: Cost, seconds: float) -> float:
        pace = self.stages.get(cost.stage) or self.kinds.get(kind_of(cost))
        return pace.seconds(seconds) if pace else seconds


def learn(runs: Sequence[Finished]) -> Learnt | None:
    """What finished runs say; None without any."""
    if not runs:
        return None
    found = _fitted(runs)
    if len(runs) < 3:
        return replace(found, error=FEW)
    errors = []
    for left_out in runs:
        others = _fitted([one for one in runs if one is not left_out])
        expected = _total(left_out.plan, others)
        errors.append(max(expected / left_out.seconds, left_out.seconds / expected) - 1)
    return replace(found, error=max(LEAST, *errors))


def span(made: Plan, learnt: Learnt | None) -> Span:
    """Seconds of the whole run."""
    return _span(made, learnt, _total)


def round_span(made: Plan, learnt: Learnt | None) -> Span:
    """Seconds of one round with the measurement of its policy."""
    return _span(made, learnt, lambda one, by: _times(one, by, 1, 1, 0))


def _span(made: Plan, learnt: Learnt | None, total: Callable[[Plan, Learnt | None], float]) -> Span:
    expected = total(made, learnt)
    if learnt is not None:
        return Span(expected / (1 + learnt.error), expected, expected * (1 + learnt.error))
    lengths = made.assumptions.lengths
    ended = replace(
        lengths,
        response=SHORT * lengths.response,
        judgment=SHORT * lengths.judgment,
        meta_judgment=SHORT * lengths.meta_judgment,
    )
    short = plan(made.recipe, made.shape, made.device, replace(made.assumptions, lengths=ended))
    rounds = made.recipe.rounds + 1 if total is _total else 1
    return Span(total(short, None), expected, made.device.slow * expected + rounds * made.device.start)


def _total(made: Plan, learnt: Learnt | None) -> float:
    recipe = made.recipe
    found = _times(made, learnt, recipe.rounds, len(measured_rounds(recipe)), len(taught_in(recipe)))
    return found + (learnt.rest.seconds(1.0 + recipe.rounds) if learnt and learnt.rest else 0.0)


def _times(made: Plan, learnt: Learnt | None, rounds: int, measured: int, taught: int) -> float:
    """Seconds of so many rounds, measurements and reward models."""
    found = 0.0
    for costs, times in ((made.made, rounds), (made.measured, measured), (made.taught, taught)):
        for cost in costs:
            planned = planned_seconds(made, cost)
            if cost.server or not planned:
                continue
            found += times * (learnt.of(cost, planned) if learnt else planned)
    return found


def _fitted(runs: Sequence[Finished]) -> Learnt:
    points = [point for run in runs for point in run.points]
    stages = {name: _pace([one for one in points if one.stage == name]) for name in {one.stage for one in points}}
    kinds = {name: _pace([one for one in points if one.kind == name]) for name in {one.kind for one in points}}
    found = Learnt(tuple(run.name for run in runs), stages, kinds, None, FEW)
    # What no stage has: starting, hand-offs, metrics, the first call of a process.
    left = [max(0.001, run.seconds - _total(run.plan, found)) for run in runs]
    rounds = [1.0 + run.plan.recipe.rounds for run in runs]
    rest = [Point("rest", "rest", number, 0.0, seconds) for number, seconds in zip(rounds, left, strict=True)]
    return replace(found, rest=_pace(rest))


def _pace(points: Sequence[Point]) -> Pace:
    planned, taken = [one.planned for one in points], [one.seconds for one in points]
    share = sum(one.floor for one in points) / sum(taken)
    slope = statistics.median(t / x for x, t in zip(planned, taken, strict=True))
    fixed = 0.0
    if max(planned) > TOLD_APART * min(planned):
        fixed, slope = _line(planned, taken) or (fixed, slope)
    return Pace(fixed, slope, len(points), share)


def _line(planned: Sequence[float], taken: Sequence[float]) -> tuple[float, float] | None:
    """The line of least relative error; None where one of its two numbers would be below 0."""
    u, v = [1 / t for t in taken], [x / t for x, t in zip(planned, taken, strict=True)]
    uu, uv, vv = _dot(u, u), _dot(u, v), _dot(v, v)
    determinant = uu * vv - uv * uv
    if determinant <= 1e-12 * uu * vv:
        return None
    fixed, slope = (sum(u) * vv - sum(v) * uv) / determinant, (uu * sum(v) - uv * sum(u)) / determinant
    return (fixed, slope) if fixed >= 0 and slope >= 0 else None


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(left, right, strict=True))
