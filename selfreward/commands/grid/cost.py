"""What a grid will cost, before anything is started: the plan of every arm times its cells, and what is done already.

Plans are arithmetic with upper bounds (commands/plan/), and what arms share through the store is counted in each of
them. Where cells of the grid are finished, what those took is told too, which says more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from selfreward.commands.ablate import Cell
from selfreward.commands.grid.slices import Places
from selfreward.commands.plan.plan import Assumptions, plan
from selfreward.commands.plan.roofline import DEVICES
from selfreward.commands.plan.shapes import read_shape
from selfreward.commands.plan.units import aligned, count, duration
from selfreward.commands.plan.workload import recipe_lengths
from selfreward.commands.preflight_models import shape_directory
from selfreward.errors import RecipeError
from selfreward.recipe.read import load_recipe
from selfreward.store.view import RunView
from selfreward.tasks.sandbox.seeds.names import is_seed_name


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """One cell of an arm as planned, and how many of its cells there are and are done."""

    arm: str
    cells: int
    done: int
    sampled: float
    seconds: float


def arm_plans(places: Places, cells: Sequence[Cell], device: str | None) -> list[ArmPlan]:
    """Each arm among `cells`. Raises RecipeError for a device that is not in the tables."""
    if device is not None and device not in DEVICES:
        raise RecipeError(f"--device {device!r} is not known; expected one of {', '.join(DEVICES)}")
    found = []
    for arm in dict.fromkeys(cell.arm for cell in cells):
        mine = [cell for cell in cells if cell.arm == arm]
        recipe = load_recipe(places.grid.base, mine[0].overrides)
        named = device or default_device(mine[0])
        made = plan(
            recipe, read_shape(shape_directory(mine[0].start)), DEVICES[named], Assumptions(recipe_lengths(recipe))
        )
        rounds = recipe.rounds
        parts = [(rounds, cost) for cost in made.made] + [(rounds + 1, cost) for cost in made.measured]
        sampled = sum(times * cost.decoded for times, cost in parts)
        done = sum(places.finished(cell) is not None for cell in mine)
        found.append(ArmPlan(arm, len(mine), done, sampled, made.seconds(made.caches)))
    return found


def default_device(cell: Cell) -> str:
    """Sandbox models are for a CPU core; any other for the device that `plan` takes unless told otherwise."""
    return "cpu-core" if is_seed_name(cell.start) else "h100"


def seconds_taken(view: RunView) -> float:
    """Of all sealed artifacts, where the work was done."""
    return sum(seal.seconds for number in view.rounds() for seal in view.seals(number))


def cost_lines(places: Places, cells: Sequence[Cell], device: str | None, jobs: int) -> list[str]:
    """The dry run for people."""
    plans = arm_plans(places, cells, device)
    rows = [["arm", "cells", "done", "sampled by one", "planned for one", "planned for all"]]
    for one in plans:
        left = (one.cells - one.done) * one.seconds
        numbers = [str(one.cells), str(one.done), count(one.sampled), duration(one.seconds), duration(left)]
        rows.append([one.arm, *numbers])
    owed = sum(one.cells - one.done for one in plans)
    total = sum((one.cells - one.done) * one.seconds for one in plans)
    named = device or default_device(cells[0])
    lines = [*aligned(rows), ""]
    lines.append(
        f"{owed} of {len(cells)} cells are owed: at most {duration(total)} of one {named}, by arithmetic, every reply "
        "at its limit; what arms share (the start policy, a first round) is counted in each"
    )
    done = [view for cell in cells if (view := places.finished(cell)) is not None]
    if done and owed:
        each = sum(map(seconds_taken, done)) / len(done)
        lines.append(
            f"the {len(done)} that are done took {duration(each)} each on average: the others would take about "
            f"{duration(owed * each / jobs)} with --jobs {jobs}, if those run beside one another undisturbed"
        )
    return lines
