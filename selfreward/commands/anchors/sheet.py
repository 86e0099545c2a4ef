"""A sheet as CSV that survives spreadsheets: what annotators see, and their labels read back.

Columns: id, prompt, answer (or answer_a and answer_b), label, comment (which may be missing). UTF-8 with a byte order
mark, every cell quoted.
A cell that a spreadsheet would take for a formula gets an apostrophe in front, which is taken off again: cells that
begin with = + - @, their full-width forms, a tab, a line break or an apostrophe (OWASP, CSV injection). Read back with
commas, semicolons or tabs, and with whatever line ends a spreadsheet makes.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from selfreward.commands.anchors.key import LEVELS, Key, KeyRow, Kind
from selfreward.errors import DataError
from selfreward.store.files import write_durably

COLUMNS: dict[Kind, tuple[str, ...]] = {"score": ("answer",), "pairs": ("answer_a", "answer_b")}
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
LONGEST_CELL = 32_767
"""Characters that a cell of the common spreadsheets holds; they cut what is longer."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One annotator's labels by row id, as places in the kind's levels. `empty` rows have no label (yet).

    `rows` are the ids as they stand on the sheet.
    """

    name: str
    labels: dict[str, int]
    empty: int
    comments: dict[str, str] = field(default_factory=dict)
    rows: tuple[str, ...] = ()


def neutralised(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def restored(cell: str) -> str:
    return cell[1:] if cell.startswith("'") else cell


def question(row: KeyRow) -> str:
    """The conversation; a single user turn stands alone."""
    turns = row.candidate.messages
    if len(turns) == 1:
        return turns[0].content
    return "\n\n".join(f"[{turn.role}]\n{turn.content}" for turn in turns)


def fits(row: KeyRow) -> bool:
    """No text of the row is longer than a spreadsheet's cell."""
    return all(len(neutralised(text)) <= LONGEST_CELL for text in (question(row), *row.shown))


def write_sheet(path: Path, kind: Kind, rows: Sequence[KeyRow]) -> None:
    """Raises DataError where the file exists: it may hold labels."""
    if path.exists():
        raise DataError(f"{path}: exists and may hold labels; a sheet is never overwritten, choose another name")
    fill_sheet(path, kind, rows, {}, {})


def fill_sheet(
    path: Path, kind: Kind, rows: Sequence[KeyRow], labels: Mapping[str, int], comments: Mapping[str, str]
) -> None:
    """The sheet with what was said of its rows; what stood there is replaced, whole."""
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(["id", "prompt", *COLUMNS[kind], "label", "comment"])
    for row in rows:
        label = LEVELS[kind][labels[row.id]] if row.id in labels else ""
        texts = map(neutralised, (question(row), *row.shown))
        writer.writerow([row.id, *texts, label, neutralised(comments.get(row.id, ""))])
    write_durably(path, stream.getvalue().encode("utf-8-sig"))


def read_sheet(path: Path, key: Key) -> Sheet:
    """The labels of a sheet. Raises DataError naming the row for a label, id or text that is not as it must be."""
    wanted = {row.id: row for row in key.rows}
    header, rows = _cells(path, key.kind)
    column = {name: header.index(name) for name in ("id", "prompt", *COLUMNS[key.kind], "label")}
    labels: dict[str, int] = {}
    comments: dict[str, str] = {}
    line_of: dict[str, int] = {}
    empty = 0
    for number, cells in enumerate(rows, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        name = cells[column["id"]].strip() if len(cells) == len(header) else ""
        where = f"{path}, row {number}" + (f" ({name})" if name else "")
        if len(cells) != len(header):
            raise DataError(f"{where}: {len(cells)} cells; expected {len(header)} ({', '.join(header)})")
        if name not in wanted:
            raise DataError(f"{where}: id {name!r} is not in the key; restore or remove it")
        if name in line_of:
            raise DataError(f"{where}: id {name!r} is already that of row {line_of[name]}; remove one of the two")
        line_of[name] = number
        row = wanted[name]
        for label, text in zip(("prompt", *COLUMNS[key.kind]), (question(row), *row.shown), strict=True):
            if not _same(cells[column[label]], text):
                raise DataError(
                    f"{where}: its {label} is not the text that was written; whoever labelled saw something else. "
                    "Restore the cell, or remove the row"
                )
        value = _value(cells[column["label"]], key.kind, where)
        if value is None:
            empty += 1
        else:
            labels[name] = value
        if "comment" in header and (said := restored(cells[header.index("comment")])):
            comments[name] = said
    return Sheet(path.name, labels, empty, comments, tuple(line_of))


def _cells(path: Path, kind: Kind) -> tuple[list[str], list[list[str]]]:
    expected = ["id", "prompt", *COLUMNS[kind], "label"]
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}); expected a labelled sheet") from problem
    except UnicodeDecodeError as problem:
        raise DataError(f"{path}: not UTF-8 (byte {problem.start}); save it as 'CSV UTF-8'") from problem
    header: list[str] = []
    for delimiter in ",;\t":
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error:
            continue
        header = [cell.strip().lower() for cell in rows[0]] if rows else []
        if set(expected) <= set(header) and len(set(header)) == len(header):
            return header, rows[1:]
    raise DataError(f"{path}: not a {kind} sheet as CSV; expected the columns {', '.join(expected)} in the first row")


def _same(cell: str, text: str) -> bool:
    return _plain(text) in (_plain(cell), _plain(restored(cell)))


def _plain(text: str) -> str:
    """White space at the ends and the kind of line end are a spreadsheet's business."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _value(cell: str, kind: Kind, where: str) -> int | None:
    label = restored(cell.strip()).strip().lower()
    if not label:
        return None
    if kind == "score" and label.endswith((".0", ",0")):
        label = label[:-2]
    if label not in LEVELS[kind]:
        known = ", ".join(sorted(LEVELS[kind]))
        raise DataError(f"{where}: label {cell.strip()!r}; expected one of {known}, or nothing")
    return LEVELS[kind].index(label)
