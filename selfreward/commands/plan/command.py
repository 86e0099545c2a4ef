"""`selfreward plan`: the plan printed, what finished runs say about it, and what one run took."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from selfreward.commands.plan.learnt import LEAST, Finished, expected, factors, finished_like
from selfreward.commands.plan.plan import Assumptions, Plan, plan
from selfreward.commands.plan.roofline import DEVICES
from selfreward.commands.plan.shapes import NAMED, read_shape
from selfreward.commands.plan.taken import compare
from selfreward.commands.plan.text import duration, lines, taken_lines
from selfreward.commands.plan.workload import recipe_lengths
from selfreward.commands.preflight_models import shape_directory
from selfreward.errors import RecipeError
from selfreward.recipe import Recipe
from selfreward.store.view import RunView


def print_plan(
    recipe: Recipe,
    device: str,
    model: str | None,
    tokens: Mapping[str, float | None],
    view: RunView | None,
    learn: Sequence[RunView] | None,
    say: Callable[[str], None],
) -> None:
    """Plan and print; `learn`: runs that were made on this device.

    Raises RecipeError for a device or model that is not in the tables.
    """
    for named, table in ((device, DEVICES), (model, NAMED)):
        if named is not None and named not in table:
            raise RecipeError(f"{named!r} is not known; expected one of {', '.join(table)}")
    given = {name: length for name, length in tokens.items() if length is not None}
    lengths = replace(recipe_lengths(recipe), **given)
    if "judgment" in given:
        lengths = replace(lengths, meta_judgment=given["judgment"])
    shape = NAMED[model] if model else read_shape(shape_directory(recipe.model.path))
    made = plan(recipe, shape, DEVICES[device], Assumptions(lengths))
    say("\n".join(lines(made)))
    if learn is not None:
        say("\n" + "\n".join(learnt_lines(made, finished_like(recipe, shape, made.device, learn))))
    if view is not None:
        say("\n" + "\n".join(taken_lines(compare(made, view))))


def learnt_lines(made: Plan, runs: Sequence[Finished]) -> list[str]:
    """What finished runs on this device say about the recipe's time."""
    found = expected(made, runs)
    if found is None:
        return ["by finished runs: there is none with this engine, dtype, threads, devices and size of model"]
    names = ", ".join(found.runs[:5]) + (f" and {len(found.runs) - 5} more" if len(found.runs) > 5 else "")
    said = f"by {len(found.runs)} finished run{'s' * (len(found.runs) > 1)} ({names}): {duration(found.seconds)}"
    if found.low is None or found.high is None:
        return [f"{said}; {LEAST} runs are needed to know how far off that may be"]
    by_stage = factors(runs)
    told = [
        f"{name} {by_stage[name]:.2g}" for name in dict.fromkeys(cost.stage for cost in (*made.made, *made.measured))
    ]
    return [
        f"{said}, from {duration(found.low)} to {duration(found.high)} for 95 % of runs like them",
        f"  taken / planned: {', '.join(told)}",
    ]
