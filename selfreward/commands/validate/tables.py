"""The tables of a validation, as Markdown for people and JSON with every number."""

from collections.abc import Iterable, Sequence

from selfreward.commands.validate.coverage import KEPT, Cell
from selfreward.commands.validate.dials import DIALS
from selfreward.commands.validate.gates_null import RunRate
from selfreward.commands.validate.nulls import LEVEL, NullRate
from selfreward.commands.validate.planted import PowerCurve
from selfreward.commands.validate.real_drift import RealDrift
from selfreward.measuring.stats.clustered import MANY


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    lines = [f"| {' | '.join(head)} |", f"| --- |{' ---: |' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def coverage_markdown(cells: Sequence[Cell]) -> str:
    """One line per constructor and number of clusters, then every cell that misses."""
    repeats = max(cell.repeats for cell in cells)
    text = [
        "# Coverage of the intervals",
        "",
        f"`selfreward validate --only coverage`: share of {repeats:,} simulated intervals that hold the truth. "
        f"Promised: 95 %; kept from {MANY} clusters on: {KEPT[0]:.0%} to {KEPT[1]:.0%}. Fewer are a small sample. "
        "Grid: rows in a cluster 1, 6 and uneven (1 to 11); intra-cluster correlation 0, .3, .7; shares .05 to .95, "
        "agreement 0 to more than .95. Monte Carlo error of a cell: ± 0.7 points.",
        "",
        table(
            ["constructor", "clusters", "cells", "kept", "lowest", "median", "highest"],
            (_summary(group) for group in _groups(cells)),
        ),
        "",
        f"## Cells from {MANY} clusters on that are not kept",
        "",
    ]
    missed = [cell for cell in cells if cell.verdict.startswith("too")]
    if not missed:
        return "\n".join([*text, "None.", ""])
    rows = [
        (
            cell.constructor,
            str(cell.clusters),
            cell.rows,
            f"{cell.correlation:g}",
            f"{cell.setting:g}",
            f"{cell.coverage:.1%} [{cell.low:.1%}, {cell.high:.1%}]",
            f"{cell.above:.1%}",
            f"{cell.below:.1%}",
            cell.verdict,
        )
        for cell in missed
    ]
    head = ["constructor", "clusters", "rows", "correlation", "setting", "coverage", "truth above", "truth below", ""]
    return "\n".join([*text, table(head, rows), ""])


def _groups(cells: Sequence[Cell]) -> list[list[Cell]]:
    keys = dict.fromkeys((cell.constructor, cell.clusters) for cell in cells)
    return [[cell for cell in cells if (cell.constructor, cell.clusters) == key] for key in keys]


def _summary(group: Sequence[Cell]) -> tuple[str, ...]:
    shares = sorted(cell.coverage for cell in group)
    kept = sum(KEPT[0] <= share <= KEPT[1] for share in shares)
    word = "" if group[0].clusters >= MANY else " (small sample)"
    return (
        group[0].constructor,
        f"{group[0].clusters}{word}",
        str(len(group)),
        str(kept),
        *(f"{share:.1%}" for share in (shares[0], shares[len(shares) // 2], shares[-1])),
    )


def power_markdown(
    nulls: Sequence[NullRate], curves: Sequence[PowerCurve], runs: Sequence[RunRate], real: Sequence[RealDrift]
) -> str:
    """Nulls per family and the metrics that alarm too often; planted sizes; whole runs; the real model."""
    return "\n\n".join([*_null_text(nulls), *_planted_text(curves), *_run_text(runs), *_real_text(real)]) + "\n"


def _null_text(nulls: Sequence[NullRate]) -> list[str]:
    families = dict.fromkeys(rate.family for rate in nulls)
    rows = []
    for family in families:
        mine = [rate for rate in nulls if rate.family == family]
        worst = max(mine, key=lambda rate: rate.rate)
        alarms, repeats = sum(rate.alarms for rate in mine), sum(rate.repeats for rate in mine)
        rows.append((family, str(len(mine)), f"{alarms / repeats:.1%}", worst.metric, _rate(worst)))
    loud = [rate for rate in nulls if rate.too_often]
    repeats = max(rate.repeats for rate in nulls)
    text = [
        "# What the metrics find, and where they stay silent",
        "## Nulls",
        f"`selfreward validate --only power`: {repeats:,} rounds in which nothing happened, drawn from the rows of one "
        "real sandbox run; share of rounds in which the 95 % interval excludes what is true (or a level differs from "
        f"round 0's by the gates' arithmetic). {LEVEL:.0%} is expected of exact intervals; gates compare levels as if "
        "the rounds were independent, so changes of levels alarm less.",
        table(["family", "metrics", "mean rate", "loudest metric", "its rate"], rows),
        "### Metrics that alarm more often than 5 % beyond chance",
    ]
    if not loud:
        return [*text, "None."]
    found = sorted(loud, key=lambda rate: -rate.rate)
    return [*text, table(["metric", "kind", "rate"], ((rate.metric, rate.kind, _rate(rate)) for rate in found))]


def _rate(rate: NullRate) -> str:
    return f"{rate.rate:.1%} [{rate.low:.1%}, {rate.high:.1%}]"


def _planted_text(curves: Sequence[PowerCurve]) -> list[str]:
    text = [
        "## Planted",
        f"{curves[0].repeats} rounds for each size; n prompts of 6 answers, each distinct one scored 3 times. Power: "
        "share of rounds in which the metric alarms in the right direction (± .13 at most); `80 %`: the size found in "
        "80 % of the rounds, `-` where the largest does not reach it. What each dial does: commands/validate/dials.py.",
    ]
    for dial in DIALS:
        mine = [curve for curve in curves if curve.dial == dial]
        if mine:
            rows = [
                (curve.metric, "-" if curve.size_at_80 is None else f"**{curve.size_at_80:.2f}**", *_powers(curve))
                for curve in sorted(mine, key=lambda curve: curve.size_at_80 or 9.0)
            ]
            head = [f"{dial}, n = {mine[0].prompts}", "80 %", *(f"{size:g}" for size in mine[0].sizes)]
            text.append(table(head, rows))
    return text


def _powers(curve: PowerCurve) -> list[str]:
    return [f"{power:.2f}" for power in curve.powers]


def _run_text(runs: Sequence[RunRate]) -> list[str]:
    rows = [
        (
            run.rules,
            str(run.count),
            str(run.rounds),
            f"{run.rate:.1%} [{run.low:.1%}, {run.high:.1%}]",
            f"{run.gates_error:.0%}",
        )
        for run in runs
    ]
    return [
        "## Whole runs in which nothing happens",
        f"{runs[0].repeats:,} runs, {runs[0].prompts} gate prompts; share of runs in which any rule fires in any "
        "round. `shipped`: recipes/gated.yaml; `at limit`: the same rules with every limit where nothing happens lies, "
        "the least favourable case of the promise; `at limit +`: with three more rules. `three forces`: the signs of "
        "compression, amplification and co-adaptation in the report, on as many report prompts.",
        table(["rules", "number", "rounds", "runs with an alarm", "promised"], rows),
    ]


def _real_text(real: Sequence[RealDrift]) -> list[str]:
    if not real:
        return []
    weights = sorted({row.weight for row in real})
    rows = []
    for metric in dict.fromkeys(row.metric for row in real):
        mine = {row.weight: row for row in real if row.metric == metric}
        found = [mine[weight] for weight in weights]
        rows.append((metric, *(f"{row.alarms}/{row.repeats} ({row.value:.3g})" for row in found)))
    return [
        "## The same with a real model",
        f"Weights between the start policy's (0) and the trained one's (1), sampled and scored anew {real[0].repeats} "
        f"times on {real[0].prompts} prompts: alarms, and the metric's mean.",
        table(["metric", *(f"{weight:g}" for weight in weights)], rows),
    ]
