"""A plan in words and columns: everything that was assumed stands below what was computed from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from selfreward.commands.plan.finished import finished_runs
from selfreward.commands.plan.learned import Learnt, learn
from selfreward.commands.plan.memory import Phase
from selfreward.commands.plan.plan import Assumptions, Cost, Plan, plan
from selfreward.commands.plan.range_text import on_devices, range_lines
from selfreward.commands.plan.roofline import DEVICES
from selfreward.commands.plan.shapes import NAMED, read_shape
from selfreward.commands.plan.taken import Taken, compare
from selfreward.commands.plan.units import GIGA, aligned, count, duration, size
from selfreward.commands.plan.workload import recipe_lengths
from selfreward.commands.plan.workload_training import taught_in
from selfreward.commands.preflight_models import shape_directory
from selfreward.errors import RecipeError
from selfreward.measuring.stats.smallest import smallest_change
from selfreward.recipe import Recipe, measured_rounds
from selfreward.store.view import RunView

CONTEXT = 0.05
"""Of the memory: what the device's own context and fragmentation take."""


def lines(made: Plan, learnt: Learnt | None = None) -> list[str]:
    """The whole plan, with what finished runs say of it."""
    shape, device, recipe = made.shape, made.device, made.recipe
    unit = device.flops(4 if recipe.model.dtype == "float32" else 2) / 1e12
    head = (
        f"{shape.name} ({count(shape.parameters)} parameters, {recipe.model.dtype}) on {device.name} "
        f"({unit:.4g} TFLOP/s, {device.bandwidth / 1e12:.3g} TB/s, {device.memory / GIGA:.0f} GB), "
        f"{recipe.rounds} rounds{on_devices(made)}"
    )
    seen = [f"pools: {pools_line(recipe)}"]
    parts = (
        _stages(made),
        [*_totals(made), *range_lines(made, learnt)],
        _memory(made),
        _disk(made),
        seen,
        _assumed(made),
    )
    return [head, *(line for part in parts for line in ("", *part))]


def pools_line(recipe: Recipe) -> str:
    """The smallest change of a share that each pool finds, by arithmetic."""
    measure = recipe.measure
    pools = {name: getattr(measure, name) for name in ("gate", "selection", "report")}
    found = [
        f"{name} {prompts} prompts: {smallest_change(prompts, measure.samples):.2g}" for name, prompts in pools.items()
    ]
    return (
        f"the smallest change of a share (accuracy, a rate) that is found in 80 % of the cases, with {measure.samples} "
        f"answers each: {', '.join(found)}; arithmetic, at the sandbox's variances"
    )


def print_plan(
    recipe: Recipe,
    device: str,
    model: str | None,
    tokens: Mapping[str, float | None],
    view: RunView | None,
    say: Callable[[str], None],
    results: Path | None = None,
) -> None:
    """Plan and print, with what the finished runs in `results` say.

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
    learnt = learn(finished_runs(results, made)) if results is not None else None
    say("\n".join(lines(made, learnt)))
    if view is not None:
        say("\n" + "\n".join(taken_lines(compare(made, view))))


def _stages(made: Plan) -> list[str]:
    rows = [["one round", "questions", "prefill", "with cache", "decoded", "time", "with cache"]]
    for title, costs in (("", made.made), ("its measurement", made.measured), ("a reward model", made.taught)):
        rows += [[title, *[""] * 6]] if title and costs else []
        rows += [_row(cost) for cost in costs]
    return aligned(rows)


def _row(cost: Cost) -> list[str]:
    tokens = [count(value) for value in (cost.questions, cost.prefill, cost.unique, cost.decoded)]
    if cost.server:
        return [cost.stage, *tokens, f"served:{cost.server}", f"price {cost.price:.2f}"]
    return [cost.stage, *tokens, duration(cost.seconds), duration(cost.cached)]


def _totals(made: Plan) -> list[str]:
    own = "with" if made.caches else "without"
    price = made.recipe.rounds * sum(cost.price for cost in made.made)
    price += len(measured_rounds(made.recipe)) * sum(cost.price for cost in made.measured)
    price += len(taught_in(made.recipe)) * sum(cost.price for cost in made.taught)
    return [
        f"a round: {duration(made.round_seconds(False))}, with a prefix cache {duration(made.round_seconds(True))}",
        f"the run, measurements included: {duration(made.seconds(False))}, with a prefix cache "
        f"{duration(made.seconds(True))}; engine.kind={made.recipe.engine.kind} works {own} one",
        *([f"served models: {price:.2f} in the unit of their prices"] if price else []),
    ]


def _memory(made: Plan) -> list[str]:
    found = []
    for phase in made.phases:
        parts = ", ".join(f"{name} {size(held)}" for name, held in phase.parts.items())
        mark = "" if fits(made, phase) else f"  DOES NOT FIT in {1 - CONTEXT:.0%} of {made.device.memory / GIGA:.0f} GB"
        found.append(f"memory, {phase.name}: {size(phase.total)} ({parts}){mark}")
    if (
        any("NOT FIT" in line for line in found)
        and made.recipe.train.method != "none"
        and made.recipe.train.lora is None
    ):
        found.append(
            "  -> train.lora.rank=16 trains an adapter; a smaller train.micro_batch_size needs less activations"
        )
    return found


def fits(made: Plan, phase: Phase) -> bool:
    return phase.total <= made.device.memory * (1 - CONTEXT)


def _disk(made: Plan) -> list[str]:
    parts = ", ".join(f"{name} {size(written)}" for name, written in made.disk.items())
    return [f"disk: {size(sum(made.disk.values()))} ({parts})"]


def _assumed(made: Plan) -> list[str]:
    efficiency, lengths = made.efficiency, made.assumptions.lengths
    adaptive = made.recipe.judge.adaptive
    return [
        f"assumed: {efficiency.flops:.0%} of peak FLOP/s, {efficiency.bandwidth:.0%} of bandwidth, "
        f"{efficiency.reserve:.0%} of memory kept free, prefill in chunks of {efficiency.chunk} tokens",
        f"  tokens: prompt {lengths.prompt:g}, rubric {lengths.rubric:g}, answer {lengths.response:g}, judgment "
        f"{lengths.judgment:g}, meta-judgment {lengths.meta_judgment:g}; every reply is as long as that, every prompt "
        "gives a pair, every two judgments that may meet do: upper bounds",
        *([f"  adaptive judging uses {made.assumptions.adaptive_share:.0%} of its cap"] if adaptive else []),
        "  arithmetic of peak figures, not a measurement; starting, loading and metrics are not counted",
    ]


def taken_lines(rows: Sequence[Taken]) -> list[str]:
    """Planned against taken."""
    table = [["all finished rounds", "decoded: planned", "taken", "time: planned", "taken", "taken / planned"]]
    total = Taken("all", 0, 0, sum(row.planned_seconds for row in rows), sum(row.seconds for row in rows))
    for row in [*rows, total]:
        ratio = f"{row.seconds / row.planned_seconds:.2f}" if row.planned_seconds else "-"
        tokens = [count(row.planned_tokens), count(row.tokens)] if row.planned_tokens or row.tokens else ["-", "-"]
        table.append([row.stage, *tokens, duration(row.planned_seconds), duration(row.seconds), ratio])
    return aligned(table)
