"""What finished runs say about a machine: how much longer than planned a stage took, and how far off that is again.

    factor of a stage   exp of the mean over runs of log(taken / planned); of a stage that no run had, that of all
    expected            the sum over stages of planned x factor
    range               expected x exp(+-t s sqrt(1 + 1/n)), s the root mean square of log(taken / expected), where each
                        run is expected from the others alone: 95 % for one more run like them (lognormal, assumed)

Only runs like the recipe count: the same engine, dtype, threads, replicas and training processes, and a model of half
to twice the parameters, since what a token costs depends on all of them. Replies that end before their limit are in
the factors too. With fewer than `LEAST` runs no spread is known, and none is claimed.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from selfreward.commands.plan.plan import Assumptions, Plan, plan
from selfreward.commands.plan.roofline import Device
from selfreward.commands.plan.shapes import ModelShape, read_shape
from selfreward.commands.plan.taken import Taken, compare
from selfreward.commands.plan.workload import processes, recipe_lengths, split
from selfreward.commands.preflight_models import shape_directory
from selfreward.errors import DataError, StoreError
from selfreward.measuring.stats.clustered import t_quantile
from selfreward.recipe import Recipe, measured_rounds, replicas_of
from selfreward.store.view import RunView

LEAST = 3
ALIKE = 2.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished run like the recipe: its stages, planned and taken."""

    name: str
    stages: Mapping[str, Taken]

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages.values())


@dataclass(frozen=True, slots=True)
class Expected:
    """Seconds of a run as its predecessors say; `low` and `high` are None where their spread is not known."""

    seconds: float
    low: float | None
    high: float | None
    runs: Sequence[str]


def finished_like(recipe: Recipe, shape: ModelShape, device: Device, views: Iterable[RunView]) -> list[Finished]:
    """Of `views`, the finished runs like the recipe. One that cannot be read any more is not like it."""
    found = []
    for view in views:
        try:
            theirs = view.recipe()
            if _kind(theirs) != _kind(recipe) or not _is_finished(view, theirs):
                continue
            their_shape = read_shape(shape_directory(theirs.model.path))
        except (StoreError, DataError):
            continue
        if max(their_shape.parameters, shape.parameters) > ALIKE * min(their_shape.parameters, shape.parameters):
            continue
        rows = compare(plan(theirs, their_shape, device, Assumptions(recipe_lengths(theirs))), view)
        stages = {row.stage: row for row in rows if row.planned_seconds and row.seconds}
        if stages:
            found.append(Finished(view.name, stages))
    return found


def expected(made: Plan, runs: Sequence[Finished]) -> Expected | None:
    """What `made` should take by these runs; None without any."""
    if not runs:
        return None
    seconds = _sum(_planned(made), factors(runs))
    names = [run.name for run in runs]
    if len(runs) < LEAST:
        return Expected(seconds, None, None, names)
    off = [_off(run, [other for other in runs if other is not run]) for run in runs]
    count = len(off)
    spread = math.sqrt(sum(value**2 for value in off) / count)
    wide = math.exp(t_quantile(0.975, count - 1) * spread * math.sqrt(1 + 1 / count))
    return Expected(seconds, seconds / wide, seconds * wide, names)


def factors(runs: Sequence[Finished]) -> Mapping[str, float]:
    """Taken over planned by stage; any other stage has the factor of the runs as a whole."""
    ratios: defaultdict[str, list[float]] = defaultdict(list)
    whole = []
    for run in runs:
        for name, row in run.stages.items():
            ratios[name].append(math.log(row.seconds / row.planned_seconds))
        whole.append(math.log(run.seconds / sum(row.planned_seconds for row in run.stages.values())))
    other = math.exp(math.fsum(whole) / len(whole))
    known = {name: math.exp(math.fsum(values) / len(values)) for name, values in ratios.items()}
    return defaultdict(lambda: other, known)


def _off(run: Finished, others: Sequence[Finished]) -> float:
    planned = {name: row.planned_seconds for name, row in run.stages.items()}
    return math.log(run.seconds / _sum(planned, factors(others)))


def _sum(planned: Mapping[str, float], by_stage: Mapping[str, float]) -> float:
    return math.fsum(seconds * by_stage[name] for name, seconds in planned.items())


def _planned(made: Plan) -> Mapping[str, float]:
    """Seconds of the whole run by stage."""
    found: defaultdict[str, float] = defaultdict(float)
    for times, costs in made.repeated():
        for cost in costs:
            found[cost.stage] += times * (cost.cached if made.caches else cost.seconds)
    return found


def _kind(recipe: Recipe) -> tuple[object, ...]:
    engine, model = recipe.engine, recipe.model
    shared = replicas_of(engine), split(recipe), processes(recipe)
    return engine.kind, model.dtype, model.device, engine.threads, *shared


def _is_finished(view: RunView, recipe: Recipe) -> bool:
    return not view.is_former() and view.seal(measured_rounds(recipe)[-1], "measurements") is not None
