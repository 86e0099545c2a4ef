"""Plots that would show nothing: what does not move is told in a line.

A metric is flat where, in every run, no round's 95 % interval lies wholly beside the first one's, and at no round one
run's beside another's. A change, and whatever else has a value "where nothing happens" by its metric's own word, is
held against that value. What has no interval is flat where it is one and the same number. A single round is no line to
plot either. Intervals that touch are not "no change": what is paired by prompt finds more, and stands in the verdict.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

from selfreward.measuring.metrics import numbers
from selfreward.records import Measurement
from selfreward.report.reading import Key, Reading
from selfreward.report.tables import measurement_text


def is_flat(readings: Sequence[Reading], key: Key) -> bool:
    """Whether the metric shows no movement in any run, and no difference between them."""
    lines = [_known(run, key) for run in readings]
    if all(len(line) < 2 for line in lines):
        return not _differ(lines)
    metric = numbers().get(key.metric)
    null = metric.null if metric else None
    return not _differ(lines) and not any(_moves(line, null) for line in lines)


def flat_text(readings: Sequence[Reading], key: Key) -> str:
    """The values of the last rounds, run by run."""
    said = []
    for run in readings:
        if line := _known(run, key):
            name = f"{run.name} " if len(readings) > 1 else ""
            said.append(f"{name}{measurement_text(line[-1])}")
    return "; ".join(said)


def _known(run: Reading, key: Key) -> list[Measurement]:
    return [row for _, row in sorted(run.by_key.get(key, {}).items()) if row.value is not None]


def _moves(line: Sequence[Measurement], null: float | None) -> bool:
    if null is not None and any(_beside(row, null) for row in line):
        return True
    return any(_apart(line[0], row) for row in line[1:])


def _beside(row: Measurement, value: float) -> bool:
    if row.low is None or row.high is None:
        return row.value != value
    return row.low > value or row.high < value


def _apart(one: Measurement, other: Measurement) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return one.value != other.value
    return one.low > other.high or one.high < other.low


def _differ(lines: Iterable[Sequence[Measurement]]) -> bool:
    """Whether two runs are apart at a round that both have."""
    by_round = [{row.round: row for row in line} for line in lines]
    return any(
        _apart(one[number], other[number])
        for one, other in combinations(by_round, 2)
        for number in one.keys() & other.keys()
    )
