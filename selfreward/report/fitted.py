"""A table made to fit a width: its cells are folded first, and only what still does not fit goes into a second block.

A cell breaks between words, and before an interval, which stays whole: `0.54 [0.38, 0.70]` stands on two lines where
one has no room. The first column, which says what a row is about, keeps at least LABEL characters. The cells are folded
no further than is needed. Where even that is too wide, the columns go into blocks, and each block begins with as many
columns as tell the rows apart, so that no row has to be found again by counting.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from selfreward.report.tables import Table

LABEL = 24
NARROWEST = 10
"""No column but a naturally narrow one is folded below this."""
WIDEST = 60
"""Nor is one wider than this where the table has to be folded at all."""
LONGEST = 16
"""Of a word that is not broken; a longer one is cut after a mark such as `_`, or where the room ends."""
EDGES, GAP, TIGHT = 2, 3, 2
"""Blanks at both ends of a line, and between columns where there is room and where there is not."""
_PIECES = re.compile(r"\[[^\]\n]*\]\S*|\S+ / \S+|p \d\S*|\S+")
"""What stays together: an interval, two counts with their slash, a p-value, a word."""
_MARKS = "_./:=,-"


@dataclass(frozen=True, slots=True)
class Block:
    """Columns of a table by their numbers; header and rows with line ends in the cells; blanks between columns."""

    columns: Sequence[int]
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    gap: int


def fitted(table: Table, width: int) -> list[Block]:
    """The table in as few blocks as `width` allows."""
    natural = _widths(table)
    everything = range(len(table.header))
    if sum(natural) + GAP * (len(natural) - 1) + EDGES <= width:
        return [_block(table, everything, natural, GAP)]
    label = min(natural[0], LABEL)
    ways: list[list[Block]] = []
    for cap in range(NARROWEST, min(WIDEST, max(NARROWEST, *natural)) + 1):
        folded = _widths(table, cap)
        left = width - EDGES - TIGHT * (len(folded) - 1) - sum(folded[1:])
        split = [[*everything]] if left >= label else _split(table, [label, *folded[1:]], width)
        widths = [min(natural[0], max(left, label)), *folded[1:]]
        ways.append([_block(table, columns, widths, TIGHT) for columns in split])
    return min(ways, key=lambda way: (len(way), sum(map(_height, way))))


def telling(table: Table) -> int:
    """How many columns, from the left, it takes to tell the rows apart; 1 where none do."""
    for count in range(1, len(table.header)):
        if len({tuple(row[:count]) for row in table.rows}) == len(table.rows):
            return count
    return 1


def _split(table: Table, widths: Sequence[int], width: int) -> list[list[int]]:
    """Column numbers of each block: those that tell rows apart in all of them, of the others as many as fit."""
    keys = list(range(telling(table)))
    room = width - EDGES - sum(widths[key] + TIGHT for key in keys) + TIGHT
    found: list[list[int]] = [[]]
    for column in range(len(keys), len(widths)):
        if found[-1] and sum(widths[one] + TIGHT for one in (*found[-1], column)) > room:
            found.append([])
        found[-1].append(column)
    return [[*keys, *columns] for columns in found]


def _block(table: Table, columns: Sequence[int], widths: Sequence[int], gap: int) -> Block:
    def cells(row: Sequence[str]) -> list[str]:
        return ["\n".join(fold(row[column], widths[column])) for column in columns]

    return Block(columns, cells(table.header), [cells(row) for row in table.rows], gap)


def _height(block: Block) -> int:
    """Lines of its rows."""
    return sum(max(cell.count("\n") for cell in row) + 1 for row in (block.header, *block.rows))


def _widths(table: Table, cap: int | None = None) -> list[int]:
    """Of each column, when its cells are folded at `cap`."""
    rows = (table.header, *table.rows)
    return [
        max(len(line) for row in rows for line in (fold(row[column], cap) if cap else row[column].split("\n")))
        for column in range(len(table.header))
    ]


@cache
def fold(text: str, width: int) -> tuple[str, ...]:
    """The lines of `text`, none wider than `width` but for a piece that is not broken."""
    if len(text) <= width and "\n" not in text:
        return (text,)
    lines: list[str] = []
    for given in text.split("\n"):
        line = ""
        for piece in _PIECES.findall(given):
            for part in _parts(piece, max(width, LONGEST)):
                if line and len(line) + 1 + len(part) > width:
                    lines.append(line)
                    line = part
                else:
                    line = f"{line} {part}" if line else part
        lines.append(line)
    return tuple(lines)


def _parts(piece: str, room: int) -> Iterator[str]:
    while len(piece) > room and not piece.startswith("["):
        cut = max(piece.rfind(mark, 0, room) for mark in _MARKS) + 1
        cut = cut if cut > room // 3 else room
        yield piece[:cut]
        piece = piece[cut:]
    yield piece
