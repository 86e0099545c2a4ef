"""Where the words beside the markers of a plot stand, so that none covers another one or a marker.

Each is tried in the four corners of its marker, the upper right one first. Where all are taken it is left out: what it
says stands in the marker's tooltip, too.
"""

from collections.abc import Iterator, Sequence

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
DOT = 4.0
"""About half of a marker."""
AWAY = 6.0


def beside(placed: Sequence[tuple[float, float, str]], digit: float) -> Iterator[tuple[float, float, str]]:
    """(left end, base line, words) of what has room, in a drawing in which a digit is so wide; `placed` are markers."""
    taken: list[Box] = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y, _ in placed]
    height = digit + 2
    for x, y, text in placed:
        width = digit * len(text)
        corners = [(left, base) for left in (x + AWAY, x - AWAY - width) for base in (y - AWAY, y + AWAY + digit)]
        for left, base in corners if text else ():
            box = (left, base - height, left + width, base)
            if not any(_overlap(box, other) for other in taken):
                taken.append(box)
                yield left, base, text
                break


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
