"""Arms of a grid side by side: what each gained, and the paired differences between them that the grid listed.

Everything is paired by seed model, run seed and prompt (of the report pool; of the frozen pool for the judge's skill),
with an interval over seed models and prompts (`nested_difference.py`). Rank correlation has no value per
prompt, so its interval is over seed models alone. Of all listed contrasts and metrics together Holm's correction says
which differences are resolved; an interval that holds 0 is "not resolved", and the smallest effect that the grid
would have found in 80 % of the cases stands beside it. No interval leaves its metric's scale: over two run seeds it may
well be all of it, which says that two are too few. Arms whose every run shares the artifacts of a metric are "same by
construction", which is no comparison and no test.
"""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from selfreward.errors import DataError
from selfreward.measuring.stats.clustered import cluster_means
from selfreward.measuring.stats.multiplicity import holm, p_value
from selfreward.measuring.stats.nested_difference import NestedDifference, nested_paired_difference
from selfreward.records import Judgment
from selfreward.report.ablation_rows import (
    ArmCost,
    ArmRow,
    ContrastRow,
    ablation_notes,
    ablation_tables,
    arm_cost,
)
from selfreward.report.against_kl import kl_tables
from selfreward.report.alike import made_of, nothing_to_compare
from selfreward.report.compare import POOL, require_same_pool
from selfreward.report.compared import EXACT, PER_PROMPT, PER_RUN, TESTED, difference_scale, scale
from selfreward.report.reading import Key, Reading
from selfreward.report.recovered import RecoveredRow, recovered_rows, recovered_table
from selfreward.report.tables import Table
from selfreward.store.view import RunView

Cell = tuple[str, int]
"""Seed model and run seed."""


class Runs(Protocol):
    """Where runs are looked up: the store."""

    def existing(self, name_or_path: str) -> RunView: ...


@dataclass(frozen=True, slots=True)
class Side:
    """An arm at one round: metric → values, and metric → run → what identifies the artifacts behind them."""

    values: dict[str, dict[tuple[str, str, str], float]] = field(default_factory=lambda: defaultdict(dict))
    made: dict[str, dict[Cell, tuple[str, ...]]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, cell: Cell, reading: Reading, number: int) -> None:
        """Take a run in."""
        model, seed = cell
        for metric, values in run_values(reading, number).items():
            self.values[metric].update({(model, str(seed), unit): value for unit, value in values.items()})
            self.made[metric][cell] = made_of(reading, number, metric)

    def shares(self, other: "Side", metric: str) -> bool:
        """Whether every run of both has the metric from the very same artifacts."""
        mine, theirs = self.made[metric], other.made[metric]
        return bool(mine) and all(mine.values()) and mine == theirs


@dataclass(frozen=True)
class Ablation:
    """The whole result of a grid; `tables` are for people, `as_json` for programs."""

    arms: Sequence[ArmRow]
    contrasts: Sequence[ContrastRow]
    costs: Sequence[ArmCost]
    tables: Sequence[Table]
    notes: Sequence[str]
    recovered: Sequence[RecoveredRow] = ()

    def markdown(self) -> str:
        from selfreward.report.html import markdown_table

        lines = [line for table in self.tables for line in (*markdown_table(table), "")]
        return "\n".join([*lines, *self.notes]) + "\n"

    def as_json(self) -> str:
        plain = {
            "arms": [dataclasses.asdict(row) for row in self.arms],
            "contrasts": [{**dataclasses.asdict(row), "verdict": row.verdict} for row in self.contrasts],
            "costs": [dataclasses.asdict(row) for row in self.costs],
            "notes": list(self.notes),
        }
        if self.recovered:
            plain["recovered"] = [dataclasses.asdict(row) for row in self.recovered]
        return json.dumps(plain, indent=1, ensure_ascii=False)


def ablation_table(
    store: Runs,
    grid: Mapping[str, Mapping[Cell, str]],
    contrasts: Sequence[Sequence[str]],
    recovered: Sequence[Sequence[str]] = (),
    against_kl: Sequence[str] = (),
) -> Ablation:
    """Read every run of `grid` (arm → (seed model, run seed) → run name) and compare the arms.

    A contrast is an arm, its control, and the metrics it is tested on (`TESTED` where it names none). `recovered` are
    (student, weak teacher, ceiling); `against_kl` are metrics to be told beside the KL.

    Raises DataError when two runs have different report pools, and StoreError when a run is not there.
    """
    first: Reading | None = None
    starts, ends = {arm: Side() for arm in grid}, {arm: Side() for arm in grid}
    spent: dict[str, list[tuple[float, int]]] = {arm: [] for arm in grid}
    for arm, cells in grid.items():
        for cell, name in cells.items():
            reading = Reading(store.existing(name))
            first = first or reading
            require_same_pool(first, reading)
            # One run is read at a time and forgotten: a grid has many.
            for number, side in ((reading.rounds[0], starts[arm]), (reading.rounds[-1], ends[arm])):
                side.add(cell, reading, number)
            seals = [seal for number in reading.view.rounds() for seal in reading.seals(number)]
            spent[arm].append((sum(seal.seconds for seal in seals), sum(seal.tokens for seal in seals)))
    arms = [_arm_row(arm, metric, starts[arm], ends[arm]) for arm in grid for metric in ends[arm].values]
    rows = _contrast_rows(ends, contrasts)
    costs = [arm_cost(arm, pairs) for arm, pairs in spent.items()]
    gaps = recovered_rows(store, grid, recovered)
    tables = [*ablation_tables(arms, rows, costs), *([recovered_table(gaps)] if gaps else [])]
    tables += kl_tables(store, grid, against_kl) if against_kl else []
    return Ablation(arms, rows, costs, tables, ablation_notes(arms, rows, grid), gaps)


def run_values(reading: Reading, number: int) -> dict[str, dict[str, float]]:
    """Metric → prompt (or "" for a value of the whole run) → value at one round; absent where it is unknown."""
    per_prompt = reading.per_prompt(number, POOL)
    values = {metric: dict(per_prompt[metric]) for metric in PER_PROMPT if metric in per_prompt}
    labels = {row.response.id: row.label for row in reading.frozen}
    judged = [row for row in reading.rows(number, "frozen_judgments", Judgment) if row.score is not None]
    if judged:
        exact = [float(row.score == labels[row.response_id]) for row in judged]
        values[EXACT] = cluster_means(exact, [row.prompt_id for row in judged])
    for metric in PER_RUN:
        row = reading.by_key.get(Key(metric, "frozen"), {}).get(number)
        if row is not None and row.value is not None:
            values[metric] = {"": row.value}
    return values


def _difference(after: Side, before: Side, metric: str) -> NestedDifference:
    mine, theirs = after.values.get(metric, {}), before.values.get(metric, {})
    table = {key: mine[key] - theirs[key] for key in mine.keys() & theirs.keys()}
    found = nested_paired_difference(table, difference_scale(metric))
    return nothing_to_compare(found.models, found.runs, found.prompts) if after.shares(before, metric) else found


def _arm_row(arm: str, metric: str, start: Side, end: Side) -> ArmRow:
    levels = [nested_paired_difference(side.values.get(metric, {}), scale(metric)) for side in (start, end)]
    return ArmRow(arm, metric, levels[0], levels[1], _difference(end, start, metric))


def _contrast_rows(ends: Mapping[str, Side], contrasts: Sequence[Sequence[str]]) -> list[ContrastRow]:
    found = []
    for arm, control, *wanted in contrasts:
        for name in (arm, control):
            if name not in ends:
                raise DataError(f"contrast {arm} - {control}: no arm {name!r}; expected one of {', '.join(ends)}")
        tested = [metric for metric in wanted or TESTED if metric in ends[arm].values] or ["judge_mean"]
        for metric in tested:
            if metric in ends[control].values:
                difference = _difference(ends[arm], ends[control], metric)
                found.append((arm, control, metric, difference, p_value(difference)))
    adjusted = iter(holm([chance for *_, chance in found if chance is not None]))
    return [
        ContrastRow(arm, control, metric, difference, chance, next(adjusted) if chance is not None else None)
        for arm, control, metric, difference, chance in found
    ]
