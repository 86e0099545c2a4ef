"""Plots as inline SVG: no script, no network, a few kilobytes each, sharp at any size and readable by a screen reader.

Colours are Okabe and Ito's, which stay apart under the common colour blindnesses, and lighter ones in their order for
dark pages; the style sheet gives them to the classes s0, s1 and so on. Each series also has its own marker. A band or
bar is a 95 % interval. Series over rounds stand a little beside each other, so that none hides another's marks; more
than two have no bands.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from selfreward.report.beside import beside
from selfreward.report.tables import number_text

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
COLOURS_ON_DARK = ("#56B4E9", "#E69F00", "#2FC39A", "#E39AC4", "#F0E442", "#FF7A45", "#FFFFFF")
WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 34
DIGIT = 8
"""About how wide a digit of a tick label is."""
MOST_ASIDE = 9.0


@dataclass(frozen=True, slots=True)
class Point:
    """One value with its interval; in a phase plot `x` has one too. `label` is the tooltip, `mark` stands beside."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    x_low: float | None = None
    x_high: float | None = None
    label: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    points: Sequence[Point]
    colour: int = 0
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Axes:
    """Data ranges and their places in the drawing."""

    x: tuple[float, float]
    y: tuple[float, float]
    x_ticks: Sequence[float] = field(default_factory=tuple)
    y_ticks: Sequence[float] = field(default_factory=tuple)

    def left(self, value: float) -> float:
        return LEFT + (value - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - RIGHT)

    def top(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y[0]) / (self.y[1] - self.y[0]) * (HEIGHT - TOP - BOTTOM)


def nice_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) that cover [low, high]."""
    if high - low <= max(1e-9, 1e-9 * max(abs(low), abs(high))):
        half = abs(low) * 0.1 if abs(low) > 1e-6 else 0.5
        low, high = low - half, low + half
    raw = (high - low) / about
    power: float = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * index, 12) for index in range(first, last + 1)]


def _number(value: float) -> str:
    return f"{value:g}"


def _marker(x: float, y: float, colour: int, tooltip: str) -> str:
    """A shape of the series' own, so that colour is never the only difference."""
    shapes = (
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.6"',
        f'<rect class="dot" x="{x - 3.3:.1f}" y="{y - 3.3:.1f}" width="6.6" height="6.6"',
        f'<path class="dot" d="M{x:.1f} {y - 4.3:.1f}l4.1 7.3h-8.2z"',
        f'<path class="dot" d="M{x:.1f} {y - 4.6:.1f}l4.6 4.6l-4.6 4.6l-4.6 -4.6z"',
    )
    shape = shapes[colour % len(shapes)]
    return f"{shape}><title>{escape(tooltip)}</title></{shape[1:].split(' ', 1)[0]}>"


def colour_class(colour: int) -> str:
    return f"s{colour % len(COLOURS)}"


def legend_mark(colour: int, name: str) -> str:
    """The marker of a series as it stands in the plots, for a legend."""
    marker = _marker(6, 6, colour, name)
    return f'<svg class="swatch {colour_class(colour)}" viewBox="0 0 12 12" aria-hidden="true">{marker}</svg>'


def _frame(axes: Axes, x_label: str) -> str:
    """Grid, tick labels and the name of the horizontal axis."""
    parts = []
    for tick in axes.y_ticks:
        y = axes.top(tick)
        kind = "zero" if tick == 0 and tick != axes.y_ticks[0] else "grid"
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(tick)}</text>')
    for tick in axes.x_ticks:
        x = axes.left(tick)
        text = _number(tick)
        # The last one ends where the drawing does.
        place = min(x, WIDTH - len(text) * DIGIT / 2)
        parts.append(f'<text x="{place:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{text}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="axis" x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x_label)}</text>')
    return "".join(parts)


def _value(point: Point) -> str:
    return number_text(point.y, point.low, point.high)


def _line(series: Series, axes: Axes, x_name: str, band: bool = True, aside: float = 0.0) -> str:
    """Band, bars, line and markers of one series, `aside` of their places by so many units of the drawing."""

    def left(x: float) -> float:
        return axes.left(x) + aside

    parts = [f'<g class="{colour_class(series.colour)}">']
    ranged = [(p.x, p.low, p.high) for p in series.points if p.low is not None and p.high is not None]
    if band and len(ranged) > 1:
        upper = [f"{left(x):.1f},{axes.top(high):.1f}" for x, _, high in ranged]
        lower = [f"{left(x):.1f},{axes.top(low):.1f}" for x, low, _ in reversed(ranged)]
        parts.append(f'<polygon class="band" points="{" ".join(upper + lower)}"/>')
    for x, low, high in ranged:
        place = left(x)
        parts.append(
            f'<line class="bar" x1="{place:.1f}" x2="{place:.1f}" y1="{axes.top(low):.1f}" y2="{axes.top(high):.1f}"/>'
        )
    path = " ".join(f"{left(p.x):.1f},{axes.top(p.y):.1f}" for p in series.points)
    dash = ' stroke-dasharray="5 3"' if series.dashed else ""
    parts.append(f'<polyline class="line" points="{path}"{dash}/>')
    for point in series.points:
        tooltip = point.label or f"{series.name}, {x_name} {_number(point.x)}: {_value(point)}"
        parts.append(_marker(left(point.x), axes.top(point.y), series.colour, tooltip))
    return "".join([*parts, "</g>"])


def _svg(body: str, description: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description, quote=True)}" '
        f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )


def rounds_chart(series: Sequence[Series], title: str) -> str:
    """Values over rounds, one line per series. Returns "" when no series has a point."""
    series = [line for line in series if line.points]
    points = [point for line in series for point in line.points]
    if not points:
        return ""
    bounds = [v for p in points for v in (p.y, p.low, p.high) if v is not None and math.isfinite(v)]
    y_ticks = nice_ticks(min(bounds), max(bounds))
    rounds = sorted({point.x for point in points})
    margin = 0.3 if len(rounds) > 1 else 0.5
    axes = Axes((rounds[0] - margin, rounds[-1] + margin), (y_ticks[0], y_ticks[-1]), rounds, y_ticks)
    step = min(MOST_ASIDE, (axes.left(rounds[0] + 1) - axes.left(rounds[0])) / (2 * len(series)))
    places = [(index - (len(series) - 1) / 2) * step for index in range(len(series))]
    band = len(series) < 3
    body = _frame(axes, "round")
    body += "".join(_line(line, axes, "round", band, aside) for line, aside in zip(series, places, strict=True))
    said = "; ".join(f"{line.name}: " + ", ".join(_value(p) for p in line.points) for line in series)
    return _svg(body, f"{title} by round. {said}")


def phase_chart(series: Sequence[Series], x_label: str, title: str) -> str:
    """`y` against `x` on one common scale, a path through the rounds; the dashed diagonal is where both agree."""
    series = [line for line in series if line.points]
    if not series:
        return ""
    points = [point for line in series for point in line.points]
    values = [v for p in points for v in (p.x, p.y, p.low, p.high, p.x_low, p.x_high) if v is not None]
    ticks = nice_ticks(min(values), max(values))
    axes = Axes((ticks[0], ticks[-1]), (ticks[0], ticks[-1]), ticks, ticks)
    ends = (axes.left(ticks[0]), axes.top(ticks[0]), axes.left(ticks[-1]), axes.top(ticks[-1]))
    body = _frame(axes, x_label)
    body += '<line class="diagonal" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'.format(*ends)
    placed = [(axes.left(point.x), axes.top(point.y), point.mark) for point in points]
    for x, y, mark in beside(placed, DIGIT):
        body += f'<text class="mark" x="{x:.1f}" y="{y:.1f}">{escape(mark)}</text>'
    for line in series:
        body += _line(line, axes, x_label, band=False)
        for point in line.points:
            y = axes.top(point.y)
            if point.x_low is not None and point.x_high is not None:
                body += (
                    f'<line class="bar {colour_class(line.colour)}" x1="{axes.left(point.x_low):.1f}" '
                    f'x2="{axes.left(point.x_high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
                )
    said = "; ".join(p.label for p in points)
    return _svg(body, f"{title}. {said}")


def scatter_chart(series: Sequence[Series], x_label: str, title: str) -> str:
    """`y` against `x` from 0, each on its own scale; bars are intervals of `y`. Returns "" when there is no point."""
    series = [line for line in series if line.points]
    points = [point for line in series for point in line.points]
    if not points:
        return ""
    bounds = [v for p in points for v in (p.y, p.low, p.high) if v is not None]
    x_ticks, y_ticks = nice_ticks(0.0, max(p.x for p in points) or 1.0), nice_ticks(min(bounds), max(bounds))
    axes = Axes((x_ticks[0], x_ticks[-1]), (y_ticks[0], y_ticks[-1]), x_ticks, y_ticks)
    body = _frame(axes, x_label) + "".join(_line(line, axes, x_label, band=False) for line in series)
    return _svg(body, f"{title}. " + "; ".join(p.label for p in points))
