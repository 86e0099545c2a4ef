"""A plan in words and columns: everything that was assumed stands below what was computed from it."""

from collections.abc import Sequence
from dataclasses import replace

from selfreward.commands.plan.memory import Phase
from selfreward.commands.plan.plan import Cost, Plan, plan
from selfreward.commands.plan.roofline import FLOOR
from selfreward.commands.plan.taken import Taken
from selfreward.measuring.stats.smallest import smallest_change
from selfreward.recipe import Recipe

GIGA = 1e9
SLOWER = 2.0
CONTEXT = 0.05
"""Of the memory: what the device's own context and fragmentation take."""


def lines(made: Plan) -> list[str]:
    """The whole plan."""
    shape, device, recipe = made.shape, made.device, made.recipe
    unit = device.flops(4 if recipe.model.dtype == "float32" else 2) / 1e12
    many = "" if made.devices == 1 else f"{made.devices} x "
    head = (
        f"{shape.name} ({count(shape.parameters)} parameters, {recipe.model.dtype}) on {many}{device.name} "
        f"({unit:.4g} TFLOP/s, {device.bandwidth / 1e12:.3g} TB/s, {device.memory / GIGA:.0f} GB), "
        f"{recipe.rounds} rounds"
    )
    seen = [f"pools: {pools_line(recipe)}"]
    parts = _stages(made), _totals(made), _memory(made), _disk(made), seen, _assumed(made)
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
    price = sum(times * sum(cost.price for cost in costs) for times, costs in made.repeated())
    return [
        f"a round: {duration(made.round_seconds(False))}, with a prefix cache {duration(made.round_seconds(True))}",
        f"the run, measurements included: {duration(made.seconds(False))}, with a prefix cache "
        f"{duration(made.seconds(True))}; engine.kind={made.recipe.engine.kind} works {own} one",
        _range(made),
        *([f"served models: {price:.2f} in the unit of their prices"] if price else []),
    ]


def _range(made: Plan) -> str:
    floor = plan(made.recipe, made.shape, made.device, replace(made.assumptions, efficiency=FLOOR))
    low, high = floor.seconds(made.caches), SLOWER * made.seconds(made.caches)
    return (
        f"  between {duration(low)} (all of the peak: a floor at these lengths) and {duration(high)} ({SLOWER:g} times "
        "the above; published rates of real systems were 1.25 to 2 times as slow as such a plan)"
    )


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
    efficiency, lengths = made.assumptions.efficiency, made.assumptions.lengths
    adaptive, eager = made.recipe.judge.adaptive, made.recipe.engine.kind == "transformers"
    return [
        f"assumed: {efficiency.flops:.0%} of peak FLOP/s, {efficiency.bandwidth:.0%} of bandwidth, "
        f"{efficiency.reserve:.0%} of memory kept free, prefill in chunks of {efficiency.chunk} tokens"
        + (f", {1e3 * efficiency.layer_step:.2g} ms a layer and step of decoding" if eager else ""),
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


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell, the first one to the left."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def count(value: float) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f}" if value else "-"


def size(held: float) -> str:
    return f"{held / GIGA:.1f} GB" if held >= 0.1 * GIGA else f"{held / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.2f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.1f} s"
