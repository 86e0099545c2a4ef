"""A number over the rounds in a few millimetres: interval band, line, one mark a round. The words stand beside it."""

from collections.abc import Sequence
from html import escape

from selfreward.report.tables import number_text

WIDTH, HEIGHT, EDGE = 132.0, 34.0, 5.0


def sparkline(levels: Sequence[tuple[int, float, float | None, float | None]], name: str) -> str:
    """Inline SVG; "" where there are fewer than two rounds."""
    if len(levels) < 2:
        return ""
    ends = [end for _, value, low, high in levels for end in (value, low, high) if end is not None]
    least, most = min(ends), max(ends)
    scale = (HEIGHT - 2 * EDGE) / ((most - least) or 1.0)
    first, last = levels[0][0], levels[-1][0]

    def left(number: int) -> float:
        return EDGE + (number - first) / (last - first) * (WIDTH - 2 * EDGE)

    def top(value: float) -> float:
        return HEIGHT - EDGE - (value - least) * scale if most > least else HEIGHT / 2

    upper = [f"{left(number):.1f},{top(high):.1f}" for number, _, _, high in levels if high is not None]
    lower = [f"{left(number):.1f},{top(low):.1f}" for number, _, low, _ in reversed(levels) if low is not None]
    band = f'<polygon class="band" points="{" ".join(upper + lower)}"/>' if upper and lower else ""
    path = " ".join(f"{left(number):.1f},{top(value):.1f}" for number, value, _, _ in levels)
    dots = "".join(
        f'<circle class="dot" cx="{left(number):.1f}" cy="{top(value):.1f}" r="2.6"/>' for number, value, _, _ in levels
    )
    said = ", ".join(f"round {number} {number_text(value, low, high)}" for number, value, low, high in levels)
    return (
        f'<svg class="spark" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" '
        f'aria-label="{escape(f"{name} by round: {said}", quote=True)}">'
        f'{band}<polyline class="line" points="{path}"/>{dots}</svg>'
    )
