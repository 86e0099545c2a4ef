"""Finished runs as examples of a plan: each round's stages, planned and taken, by the seals and the journal.

The whole is what the seals say, with what another run computed and this one linked, and the time between them that the
journal tells: starting, loading, hand-offs. A run that was interrupted does not say what of its pauses was work: then
the seals alone count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfreward.commands.plan.devices import Devices, devices_of
from selfreward.commands.plan.plan import Assumptions, Cost, Plan, kind_of, plan, planned_seconds
from selfreward.commands.plan.roofline import DEVICES, Device
from selfreward.commands.plan.shapes import read_shape
from selfreward.commands.plan.taken import belongs
from selfreward.commands.plan.workload import Lengths, recipe_lengths
from selfreward.commands.plan.workload_training import taught_in, training
from selfreward.errors import SelfRewardError
from selfreward.recipe import REWARD_MODEL, Recipe, measured_rounds
from selfreward.store.seals import Seal
from selfreward.store.view import RunView

ALIKE = 2.0
"""How many times larger one of two models of about the same size may be."""


@dataclass(frozen=True, slots=True)
class Point:
    """One stage of one round. `floor`: seconds that what was really done needs at least, equal texts counted each."""

    stage: str
    kind: str
    planned: float
    floor: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    name: str
    plan: Plan
    points: tuple[Point, ...]
    seconds: float


def finished_runs(root: Path, made: Plan) -> list[Finished]:
    """Those under `root` that say something about `made`: same engine, precision, threads, kind of device and about the
    same size of model, since what a token costs depends on all of them.
    """
    found = []
    for path in sorted(root.glob("*/recipe.yaml")):
        try:
            one = _finished(RunView(path.parent), made)
        except SelfRewardError:
            continue  # of another version, or a model of unknown shape: nothing to learn from it
        if one is not None:
            found.append(one)
    return found


def _finished(view: RunView, made: Plan) -> Finished | None:
    if view.is_former():
        return None
    recipe = view.recipe()
    if _machine(recipe) != _machine(made.recipe) or _device(view, recipe) is not made.device:
        return None
    seals = [seal for number in view.rounds() for seal in view.seals(number)]
    sealed = {(seal.round, seal.artifact) for seal in seals}
    ends = {(recipe.rounds, "checkpoint"), *((number, "measurements") for number in measured_rounds(recipe))}
    if not ends <= sealed:
        return None
    shape = read_shape(view.directory(recipe.rounds) / "checkpoint")
    sizes = shape.parameters, made.shape.parameters
    if max(sizes) > ALIKE * min(sizes):
        return None
    given = made.assumptions.lengths
    lengths = recipe_lengths(recipe, given.prompt, given.rubric)
    planned = plan(recipe, shape, made.device, Assumptions(lengths, made.assumptions.efficiency))
    return Finished(view.name, planned, points_of(planned, seals, lengths), _seconds(view, seals))


def _machine(recipe: Recipe) -> tuple[str, str, int, Devices]:
    return recipe.engine.kind, recipe.model.dtype, recipe.engine.threads, devices_of(recipe)


def _device(view: RunView, recipe: Recipe) -> Device | None:
    """What the run's last environment was, where that can be known."""
    environments = view.info().get("environments") or [{"environment": {}}]
    told = environments[-1]["environment"]
    if "accelerator" in told:
        return device_named(told["accelerator"])
    # Earlier versions told no name.
    cpu = recipe.model.device == "cpu" or str(told.get("libraries", {}).get("torch", "")).endswith("+cpu")
    return DEVICES["cpu-core"] if cpu else None


def device_named(name: str | None) -> Device | None:
    """A device of the table by the name that its driver gives it; the CPU where there is none."""
    if name is None:
        return DEVICES["cpu-core"]
    words = name.lower().replace(" ", "-").split("-")
    return next((device for key, device in DEVICES.items() if key.partition("-")[0] in words), None)


def points_of(planned: Plan, seals: Sequence[Seal], lengths: Lengths) -> tuple[Point, ...]:
    """Every stage of every round that took time."""
    recipe = planned.recipe
    rounds = (
        (planned.made, range(1, recipe.rounds + 1)),
        (planned.measured, measured_rounds(recipe)),
        (planned.taught, taught_in(recipe)),
    )
    steps = training(recipe, lengths).steps
    found = []
    for costs, numbers in rounds:
        for stage in dict.fromkeys(cost.stage for cost in costs if not cost.server):
            ours = [cost for cost in costs if cost.stage == stage]
            for number in numbers:
                mine = [
                    seal
                    for seal in seals
                    if seal.round == number and any(belongs(seal.artifact, cost.artifact) for cost in ours)
                ]
                seconds, expected = sum(seal.seconds for seal in mine), sum(planned_seconds(planned, c) for c in ours)
                if seconds > 0 and expected > 0:
                    floor = sum(cost.floor for cost in ours) * _done(ours, mine, steps)
                    found.append(Point(stage, kind_of(ours[0]), expected, floor, seconds))
    return tuple(found)


def _done(costs: Sequence[Cost], seals: Sequence[Seal], steps: float) -> float:
    """The share of what was planned that was done: of tokens, of steps, or of questions; at most all of it."""
    decoded, asked = sum(cost.decoded for cost in costs), sum(cost.questions for cost in costs)
    taken = next((seal.facts.get("steps") for seal in seals if seal.artifact in ("checkpoint", REWARD_MODEL)), None)
    if costs[0].stage == "train":
        return min(1.0, (taken or 0) / steps) if steps and seals[0].artifact == "checkpoint" else 1.0
    if decoded:
        return min(1.0, sum(seal.tokens for seal in seals) / decoded)
    return min(1.0, sum(seal.rows for seal in seals) / asked) if asked else 1.0


def _seconds(view: RunView, seals: Sequence[Seal]) -> float:
    events = view.events()
    sealed = sum(seal.seconds for seal in seals)
    if not events or sum(event["event"] == "began" for event in events) > 1:
        return sealed
    here = {(event["round"], event["artifact"]) for event in events if event["event"] == "sealed"}
    own = sum(seal.seconds for seal in seals if (seal.round, seal.artifact) in here)
    return sealed + max(0.0, events[-1]["time"] - events[0]["time"] - own)
