"""The arms of a grid against how far their policies moved, and which signal speaks first.

Two methods that take different steps are not alike after equal rounds. So every number stands beside the KL to round 0
(k3, mean over tokens, report pool), and at the last round a change is also divided by it: what a method takes up of it
for each nat that it moves. That is a ratio of one run's two numbers; its interval is over seed models and run seeds
alone, so that it is told from two runs on. A run that moved less than STILL nats gives none.

    the truth falls         the first round in which true accuracy is below that of an earlier one, with the whole
                            interval of the paired difference
    its judge overrates     the first round in which judge minus truth is above round 0's, with the whole interval (this
                            needs the truth: no user sees it)
    the held-out judge      the first round in which the own win rate over round 0 is above the held-out judge's
    a gate                  the first round after which that rule fires
    an alarm                the first round at whose end the report would show it

Each with the KL at which it spoke; a run in which it never did says up to which KL it did not.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from selfreward.measuring.stats.nested_difference import nested_paired_difference
from selfreward.report.alarms import alarms
from selfreward.report.catalogue import words
from selfreward.report.compare import POOL, compare_rounds
from selfreward.report.compared import scale
from selfreward.report.forces import KL, STILL
from selfreward.report.gate_verdicts import gate_report, rule_text
from selfreward.report.reading import Key, Reading
from selfreward.report.tables import DASH, Table, number_text
from selfreward.store.view import RunView

TRUTH, OVERRATES, HELD_OUT = "true accuracy falls", "the judge overrates more", "the held-out judge disagrees"
RISEN = {OVERRATES: "judge_minus_truth_change", HELD_OUT: "self_minus_held_out_win_rate_initial"}
"""Signal -> the metric whose whole interval is then above 0."""
Cell = tuple[str, int]


class Runs(Protocol):
    """Where runs are looked up: the store."""

    def existing(self, name_or_path: str) -> RunView: ...


@dataclass(frozen=True, slots=True)
class Course:
    """One run: its KL by round, its metrics by round, and the first round of every signal that spoke."""

    moved: Mapping[int, float]
    values: Mapping[str, Mapping[int, float]]
    spoke: Mapping[str, int]

    @property
    def farthest(self) -> float:
        return max(self.moved.values(), default=0.0)


def course(reading: Reading, metrics: Sequence[str]) -> Course:
    values = {metric: _by_round(reading, metric) for metric in metrics}
    moved = {reading.rounds[0]: 0.0} | _by_round(reading, KL)
    spoke: dict[str, int] = {}
    for name, number in _signals(reading):
        spoke.setdefault(name, number)
    return Course(moved, values, spoke)


def _by_round(reading: Reading, metric: str) -> dict[int, float]:
    rows = reading.by_key.get(Key(metric, POOL), {})
    return {number: row.value for number, row in sorted(rows.items()) if row.value is not None}


def _signals(reading: Reading) -> Iterator[tuple[str, int]]:
    """(signal, round) in the order of rounds; a signal may come again."""
    later = reading.rounds[1:]
    verdicts = gate_report(reading).verdicts
    for place, number in enumerate(later, start=1):
        if any(_fell(reading, before, number) for before in reading.rounds[:place]):
            yield TRUTH, number
        for name, metric in RISEN.items():
            row = reading.by_key.get(Key(metric, POOL), {}).get(number)
            if row is not None and row.low is not None and row.low > 0:
                yield name, number
        yield from ((f"gate: {rule_text(one.rule)}", number) for one in verdicts if one.fired and one.round == number)
        until = Reading(reading.view)
        until.rounds = reading.rounds[: place + 1]
        yield from ((f"alarm: {alarm.name.rstrip(':')}", number) for alarm in alarms(until))


def _fell(reading: Reading, before: int, after: int) -> bool:
    rows = compare_rounds(reading, reading, before, after)
    found = next((row for row in rows if row.metric == "true_accuracy"), None)
    high = found.difference.estimate.high if found else None
    return high is not None and high < 0


def kl_tables(store: Runs, grid: Mapping[str, Mapping[Cell, str]], metrics: Sequence[str]) -> list[Table]:
    """Three tables: by round, for each unit of KL, and who spoke first."""
    courses = {
        arm: {cell: course(Reading(store.existing(name)), metrics) for cell, name in cells.items()}
        for arm, cells in grid.items()
    }
    return [_rounds(courses, metrics), _per_unit(courses, metrics), _speakers(courses)]


Courses = Mapping[str, Mapping[Cell, Course]]


def _mean(found: Mapping[Cell, float], within: tuple[float, float] | None = None, *, signed: bool = False) -> str:
    table = {(model, str(seed), ""): value for (model, seed), value in found.items()}
    one = nested_paired_difference(table, within).estimate
    return number_text(one.value, one.low, one.high, signed=signed) if table else DASH


def _distance(moved: Mapping[Cell, float]) -> str:
    """Mean KL of the runs. Equal policies have KL 0 whoever is asked: nothing was measured, so it has no interval."""
    return _mean(moved, (0.0, math.inf)) if any(moved.values()) else number_text(0.0)


def _rounds(courses: Courses, metrics: Sequence[str]) -> Table:
    body = []
    for arm, runs in courses.items():
        for number in sorted({number for run in runs.values() for number in run.moved}):
            moved = {cell: run.moved[number] for cell, run in runs.items() if number in run.moved}
            cells = [
                _mean(
                    {cell: run.values[metric][number] for cell, run in runs.items() if number in run.values[metric]},
                    scale(metric),
                )
                for metric in metrics
            ]
            body.append([arm, str(number), str(len(moved)), _distance(moved), *cells])
    return Table("Against KL, round by round", ["arm", "round", "runs", "KL", *map(words, metrics)], body)


def _per_unit(courses: Courses, metrics: Sequence[str]) -> Table:
    body = []
    for arm, runs in courses.items():
        cells = []
        for metric in metrics:
            found = {cell: slope for cell, run in runs.items() if (slope := _slope(run, metric)) is not None}
            cells.append(_mean(found, signed=True))
        body.append([arm, str(len(runs)), *cells])
    header = ["arm", "runs", *(f"{words(metric)}, per nat" for metric in metrics)]
    return Table("Change from round 0 to the last, for each nat of KL", header, body)


def _slope(run: Course, metric: str) -> float | None:
    shared = sorted(run.values[metric].keys() & run.moved.keys())
    if len(shared) < 2 or run.moved[shared[-1]] < STILL:
        return None
    return (run.values[metric][shared[-1]] - run.values[metric][shared[0]]) / run.moved[shared[-1]]


def _speakers(courses: Courses) -> Table:
    body = []
    for arm, runs in courses.items():
        names = dict.fromkeys([TRUTH, OVERRATES, HELD_OUT, *(name for run in runs.values() for name in run.spoke)])
        for name in names:
            spoken = [run for run in runs.values() if name in run.spoke]
            silent = [run.farthest for run in runs.values() if name not in run.spoke]
            when = [run.spoke[name] for run in spoken]
            moved = [run.moved.get(run.spoke[name], 0.0) for run in spoken]
            body.append(
                [
                    arm,
                    name,
                    f"{len(spoken)} of {len(runs)}",
                    f"{median(when):g} ({min(when)} to {max(when)})" if when else DASH,
                    number_text(median(moved)) if moved else DASH,
                    f"up to KL {number_text(max(silent))}" if silent else DASH,
                ]
            )
    header = ["arm", "signal", "runs in which it spoke", "first round", "KL then", "not seen"]
    return Table("Who speaks, and when", header, body)
