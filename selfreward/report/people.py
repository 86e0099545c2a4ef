"""What people say of a run's rounds, beside what its judge says: win rates and scores from labelled sheets.

The numbers are made where sheets are read (`commands/anchors`); here they become a table and plots. People alone are
the labelled rows, weighted back to the pool; the judge alone is nobody's correction of itself; both together are
prediction-powered.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from selfreward.measuring.stats.clustered import Estimate
from selfreward.report.charts import Chart
from selfreward.report.figures import Point, Series, rounds_chart
from selfreward.report.tables import Table, number_text


@dataclass(frozen=True, slots=True)
class PeopleRow:
    """One quantity of one round. `against` is the other round of a win rate; `labelled` of `rows` have a label."""

    run: str
    round: int
    against: int | None
    pool: str
    name: str
    people: Estimate
    judge: Estimate
    both: Estimate
    labelled: int
    rows: int


def people_table(rows: Sequence[PeopleRow]) -> Table:
    """A row a quantity and round, each number with its interval."""
    header = ("run", "round", "of", "pool", "labelled", "people alone", "judge alone", "both")
    cells = []
    for row in rows:
        numbers = [number_text(one.value, one.low, one.high) for one in (row.people, row.judge, row.both)]
        cells.append((row.run, str(row.round), row.name, row.pool, f"{row.labelled} of {row.rows}", *numbers))
    caption = "Labels by people, beside the judge. Both: the judge's scores of all rows, corrected by the labels"
    return Table(caption, header, cells)


def people_charts(rows: Sequence[PeopleRow]) -> list[Chart]:
    """People's numbers and the judge's over rounds, a plot for each run and quantity."""
    made = []
    for run, name, pool in dict.fromkeys((row.run, row.name, row.pool) for row in rows):
        own = [row for row in rows if (row.run, row.name, row.pool) == (run, name, pool)]
        sides = (("people", [row.people for row in own]), ("judge", [row.judge for row in own]))
        lines = [
            Series(
                side,
                [
                    Point(row.round, one.value, one.low, one.high)
                    for row, one in zip(own, found, strict=True)
                    if one.value is not None
                ],
                index,
            )
            for index, (side, found) in enumerate(sides)
        ]
        svg = rounds_chart(lines, f"{name} of {run}")
        if svg:
            made.append(Chart(f"{name}: people (●) and the judge (■)", f"{run}, {pool} pool", svg))
    return made
