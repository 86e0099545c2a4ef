"""Arms of a grid side by side: what each gained, and the paired differences between them that the grid listed.

Everything is paired by seed model, run seed and prompt (of the report pool; of the frozen pool for the judge's skill),
with an interval over seed models and prompts (`stats.nested_paired_difference`). Rank correlation has no value per
prompt, so its interval is over seed models alone. Of all listed contrasts and metrics together Holm's correction says
which differences are resolved; an interval that holds 0 is "not resolved", and the smallest effect that the grid
would have found in 80 % of the cases stands beside it.
"""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from selfreward.errors import DataError
from selfreward.measuring.stats.clustered import NestedDifference, cluster_means, nested_paired_difference
from selfreward.measuring.stats.multiplicity import holm, p_value
from selfreward.records import Judgment
from selfreward.report.catalogue import words
from selfreward.report.compare import POOL, require_same_pool
from selfreward.report.compared import EXACT, PER_PROMPT, PER_RUN, TESTED
from selfreward.report.reading import Key, Reading
from selfreward.report.tables import DASH, Table, number_text
from selfreward.store.view import RunView

Cell = tuple[str, int]
"""Seed model and run seed."""
Values = Mapping[tuple[str, str, str], float]
"""(seed model, run seed, prompt) → value."""
LEVEL = 0.05


class Runs(Protocol):
    """Where runs are looked up: the store."""

    def existing(self, name_or_path: str) -> RunView: ...


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One metric of one arm. `start` and `end` are at round 0 and at the last round, `gain` pairs the two."""

    arm: str
    metric: str
    start: NestedDifference
    end: NestedDifference
    gain: NestedDifference


@dataclass(frozen=True, slots=True)
class ContrastRow:
    """`arm` minus `control` at the last round. `adjusted` is Holm's p-value over all rows of the table."""

    arm: str
    control: str
    metric: str
    difference: NestedDifference
    p: float | None
    adjusted: float | None

    @property
    def verdict(self) -> str:
        value = self.difference.estimate.value
        if self.adjusted is None or value is None:
            return "no interval"
        if self.adjusted < LEVEL:
            return "higher" if value > 0 else "lower"
        return "not resolved after Holm" if self.difference.resolved else "not resolved"


@dataclass(frozen=True)
class Ablation:
    """The whole result of a grid; `tables` are for people, `as_json` for programs."""

    arms: Sequence[ArmRow]
    contrasts: Sequence[ContrastRow]
    tables: Sequence[Table]
    notes: Sequence[str]

    def markdown(self) -> str:
        from selfreward.report.html import markdown_table

        lines = [line for table in self.tables for line in (*markdown_table(table), "")]
        return "\n".join([*lines, *self.notes]) + "\n"

    def as_json(self) -> str:
        plain = {
            "arms": [dataclasses.asdict(row) for row in self.arms],
            "contrasts": [{**dataclasses.asdict(row), "verdict": row.verdict} for row in self.contrasts],
            "notes": list(self.notes),
        }
        return json.dumps(plain, indent=1, ensure_ascii=False)


def ablation_table(store: Runs, grid: Mapping[str, Mapping[Cell, str]], contrasts: Sequence[Sequence[str]]) -> Ablation:
    """Read every run of `grid` (arm → (seed model, run seed) → run name) and compare the arms.

    A contrast is an arm, its control, and the metrics it is tested on (`TESTED` where it names none).

    Raises DataError when two runs have different report pools, and StoreError when a run is not there.
    """
    first: Reading | None = None
    starts: dict[str, dict[str, dict[tuple[str, str, str], float]]] = {}
    ends: dict[str, dict[str, dict[tuple[str, str, str], float]]] = {}
    for arm, cells in grid.items():
        starts[arm], ends[arm] = defaultdict(dict), defaultdict(dict)
        for (model, seed), name in cells.items():
            reading = Reading(store.existing(name))
            first = first or reading
            require_same_pool(first, reading)
            # One run is read at a time and forgotten: a grid has many.
            for number, table in ((reading.rounds[0], starts[arm]), (reading.rounds[-1], ends[arm])):
                for metric, values in run_values(reading, number).items():
                    table[metric].update({(model, str(seed), unit): value for unit, value in values.items()})
    arms = [_arm_row(arm, metric, starts[arm], ends[arm]) for arm in grid for metric in ends[arm]]
    rows = _contrast_rows(ends, contrasts)
    return Ablation(arms, rows, _tables(arms, rows), _notes(rows, grid))


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


def _difference(after: Values, before: Values) -> NestedDifference:
    common = after.keys() & before.keys()
    return nested_paired_difference({key: after[key] - before[key] for key in common})


def _arm_row(arm: str, metric: str, starts: Mapping[str, Values], ends: Mapping[str, Values]) -> ArmRow:
    start, end = starts.get(metric, {}), ends[metric]
    return ArmRow(arm, metric, nested_paired_difference(start), nested_paired_difference(end), _difference(end, start))


def _contrast_rows(ends: Mapping[str, Mapping[str, Values]], contrasts: Sequence[Sequence[str]]) -> list[ContrastRow]:
    found = []
    for arm, control, *wanted in contrasts:
        for name in (arm, control):
            if name not in ends:
                raise DataError(f"contrast {arm} - {control}: no arm {name!r}; expected one of {', '.join(ends)}")
        tested = [metric for metric in wanted or TESTED if metric in ends[arm]] or ["judge_mean"]
        for metric in tested:
            values = ends[arm].get(metric, {})
            if metric in ends[control]:
                difference = _difference(values, ends[control][metric])
                found.append((arm, control, metric, difference, p_value(difference)))
    adjusted = iter(holm([chance for *_, chance in found if chance is not None]))
    return [
        ContrastRow(arm, control, metric, difference, chance, next(adjusted) if chance is not None else None)
        for arm, control, metric, difference, chance in found
    ]


def _text(difference: NestedDifference, *, signed: bool = False) -> str:
    estimate = difference.estimate
    return number_text(estimate.value, estimate.low, estimate.high, signed=signed)


def _scope(metric: str) -> str:
    return f"{words(metric)}, frozen pool" if metric in (EXACT, *PER_RUN) else words(metric)


def _tables(arms: Sequence[ArmRow], contrasts: Sequence[ContrastRow]) -> list[Table]:
    by_metric: dict[str, list[ArmRow]] = defaultdict(list)
    for row in arms:
        by_metric[row.metric].append(row)
    header = ["arm", "round 0", "last round", "gain", "models x runs"]
    tables = [
        Table(
            _scope(metric),
            header,
            [[row.arm, _text(row.start), _text(row.end), _text(row.gain, signed=True), _runs(row.end)] for row in rows],
        )
        for metric, rows in by_metric.items()
    ]
    body = [
        [
            f"{row.arm} - {row.control}",
            _scope(row.metric),
            _text(row.difference, signed=True),
            number_text(row.difference.smallest_effect),
            DASH if row.adjusted is None else f"{row.adjusted:.2g}",
            row.verdict,
        ]
        for row in contrasts
    ]
    wide = ["contrast", "metric", "difference at the last round", "smallest effect", "p (Holm)", ""]
    return [*tables, *([Table("Paired contrasts between arms", wide, body)] if body else [])]


def _runs(difference: NestedDifference) -> str:
    return f"{difference.models} x {difference.runs // max(1, difference.models)}"


def _notes(contrasts: Sequence[ContrastRow], grid: Mapping[str, Mapping[Cell, str]]) -> list[str]:
    units = sorted({row.difference.unit for row in contrasts if row.metric not in PER_RUN})
    runs = sum(len(cells) for cells in grid.values())
    tested = sum(row.p is not None for row in contrasts)
    notes = [
        f"{len(grid)} arms, {runs} runs. 95 % intervals over {' or '.join(units) or 'seed models and prompts'}; rank "
        "correlations over seed models (or run seeds) alone. Smallest effect: found in 80 % of the cases."
    ]
    if tested:
        notes.append(
            f"{tested} comparisons are listed; p-values are Holm-corrected over all of them, intervals are not. "
            '"Not resolved" does not mean that there is no difference.'
        )
    return notes
