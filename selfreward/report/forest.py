"""Forest plots and heat maps, as rows of tables: they fold, scroll and are read out as tables do.

A forest row is an interval on an axis that all rows share; 0 is a line, the smallest effect that the grid would have
found in 80 % of the cases is two dotted ones, and the mark is filled where Holm's correction leaves the difference
standing. A heat cell is coloured by its value between the largest absolute ones, and says the number.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from selfreward.report.figures import nice_ticks

WIDTH, HEIGHT, MARGIN = 260, 20, 20
"""The margin holds half of the last tick's label."""
STRONGEST = 55
"""Per cent of the colour in the cell with the largest absolute value: text stays readable on it."""


@dataclass(frozen=True, slots=True)
class ForestRow:
    """`text` is the number with its interval, `notes` the further cells; `solid`: resolved after Holm."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    effect: float | None
    text: str
    notes: tuple[str, ...] = ()
    solid: bool = False


@dataclass(frozen=True, slots=True)
class Forest:
    """A table: its rows, each with its drawing, and the axis below them."""

    title: str
    header: Sequence[str]
    rows: Sequence[tuple[ForestRow, str]]
    axis: str


def forest(title: str, header: Sequence[str], rows: Sequence[ForestRow]) -> Forest | None:
    """None where no row has a value."""
    ends = [v for row in rows for v in (row.value, row.low, row.high) if v is not None and math.isfinite(v)]
    if not ends:
        return None
    ticks = nice_ticks(min(0.0, *ends), max(0.0, *ends))
    return Forest(title, header, [(row, _drawn(row, ticks)) for row in rows], _axis(ticks))


def _place(value: float, ticks: Sequence[float]) -> float:
    share = (value - ticks[0]) / (ticks[-1] - ticks[0])
    return MARGIN + min(1.0, max(0.0, share)) * (WIDTH - 2 * MARGIN)


def _drawn(row: ForestRow, ticks: Sequence[float]) -> str:
    middle, zero = HEIGHT / 2, _place(0.0, ticks)
    parts = [f'<line class="zero" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{HEIGHT}"/>']
    for end in (row.effect, -row.effect) if row.effect else ():
        if ticks[0] <= end <= ticks[-1]:
            place = _place(end, ticks)
            parts.append(f'<line class="effect" x1="{place:.1f}" x2="{place:.1f}" y1="0" y2="{HEIGHT}"/>')
    if row.low is not None and row.high is not None:
        left, right = _place(row.low, ticks), _place(row.high, ticks)
        parts.append(f'<line class="bar" x1="{left:.1f}" x2="{right:.1f}" y1="{middle}" y2="{middle}"/>')
    if row.value is not None:
        kind = "dot" if row.solid else "dot hollow"
        parts.append(f'<circle class="{kind}" cx="{_place(row.value, ticks):.1f}" cy="{middle}" r="4"/>')
    label = escape(f"{row.name}: {row.text}", quote=True)
    return (
        f'<svg class="forest s0" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )


def _axis(ticks: Sequence[float]) -> str:
    texts = "".join(
        f'<text x="{_place(tick, ticks):.1f}" y="12" text-anchor="middle">{tick:g}</text>'
        for tick in (ticks if len(ticks) <= 5 else ticks[:: math.ceil(len(ticks) / 5)])
    )
    return f'<svg class="forest" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{texts}</svg>'


@dataclass(frozen=True, slots=True)
class Heat:
    """`cells[i][j]` is (text, style) for the i-th row value and the j-th column value."""

    title: str
    down: str
    across: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[str, str]]]]


def heat(title: str, down: str, across: str, found: Sequence[tuple[str, str, float | None, str]]) -> Heat | None:
    """From (row value, column value, number, text); None unless every combination of at least two by two is there."""
    rows, columns = list(dict.fromkeys(one[0] for one in found)), list(dict.fromkeys(one[1] for one in found))
    table = {(one[0], one[1]): (one[2], one[3]) for one in found}
    if min(len(rows), len(columns)) < 2 or len(table) < len(rows) * len(columns) or len(table) < len(found):
        return None
    largest = max((abs(number) for number, _ in table.values() if number is not None), default=0.0)

    def cell(row: str, column: str) -> tuple[str, str]:
        number, text = table[row, column]
        return text, _style(number, largest)

    return Heat(title, down, across, columns, [(row, [cell(row, column) for column in columns]) for row in rows])


def _style(number: float | None, largest: float) -> str:
    """Blue above 0, orange below, paler towards it."""
    if number is None or largest == 0:
        return ""
    strength = round(STRONGEST * abs(number) / largest)
    return f"background: color-mix(in srgb, var(--s{0 if number > 0 else 1}) {strength}%, transparent)"
