"""Who labels which rows, in which order, and what has been said: the sheets on disk are the only memory.

The first to begin gets every row, the second those that are to be labelled twice, each in an order of their own (that
of a hash of seed, name and row). What the two label differently is adjudicated on a third sheet. A label is on disk
before the next row is shown, and is read from there again, so that a process that was killed goes on where it was.

Whoever adjudicates closes a row: its annotators' labels stay as they were, or the third would decide about nothing.
"""

import re
import threading
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from selfreward.commands.anchors.key import LEVELS, Key, KeyRow
from selfreward.commands.anchors.labels import Settled, settle
from selfreward.commands.anchors.sheet import Sheet, fill_sheet, read_sheet, write_sheet
from selfreward.errors import DataError
from selfreward.records import stable_id
from selfreward.store.files import on_disk

NAME = re.compile(r"\w[\w-]{0,39}")
ANNOTATORS = 2
LONGEST_COMMENT = 2000


@dataclass(frozen=True, slots=True)
class Pass:
    """One person's way through `rows`. `given` are the annotators' labels, for whoever adjudicates."""

    rows: tuple[KeyRow, ...]
    labels: Mapping[str, int]
    comments: Mapping[str, str]
    closed: frozenset[str] = frozenset()
    given: Mapping[str, tuple[int, ...]] | None = None

    @property
    def left(self) -> int:
        return sum(row.id not in self.labels for row in self.rows)

    def row(self, name: str) -> KeyRow | None:
        return next((row for row in self.rows if row.id == name), None)

    def after(self, name: str | None) -> KeyRow | None:
        """The next row without a label, from the first again at the end; the first without `name`."""
        return next((row for row in self._turned(name, 1) if row.id not in self.labels), None)

    def before(self, name: str | None, *, itself: bool) -> KeyRow | None:
        """The last row before `name` (or itself) that has a label which may be taken back."""
        back = list(reversed(self._turned(name, 1 if itself else 0)))
        return next((row for row in back if row.id in self.labels and row.id not in self.closed), None)

    def _turned(self, name: str | None, beyond: int) -> tuple[KeyRow, ...]:
        """The rows, beginning `beyond` rows from `name`."""
        place = next((place for place, row in enumerate(self.rows) if row.id == name), -beyond) + beyond
        return (*self.rows[place:], *self.rows[:place])


class Desk:
    """The sheets beside a key. `sheet` names them: NAME.csv gives NAME-by-ann.csv and NAME-adjudicate.csv."""

    def __init__(self, sheet: Path, key: Key, seed: int = 0) -> None:
        self.key, self._sheet, self._seed = key, sheet, seed
        self._rows = {row.id: row for row in key.rows}
        self._lock = threading.RLock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """One thing at a time: nothing is read between two steps of a change, and nothing ends within one."""
        with self._lock:
            yield

    @property
    def adjudicated(self) -> Path:
        return self._sheet.with_name(f"{self._sheet.stem}-adjudicate{self._sheet.suffix}")

    def annotators(self) -> dict[str, Path]:
        """Who has begun, the one with all the rows first."""
        start, end = f"{self._sheet.stem}-by-", self._sheet.suffix
        found = [path for path in self._sheet.parent.glob(f"*{end}") if path.name.startswith(start)]
        named = {path.name[len(start) : len(path.name) - len(end)]: path for path in sorted(found)}
        by_rows = sorted(named, key=lambda name: -len(read_sheet(named[name], self.key).rows))
        return {name: named[name] for name in by_rows}

    def begin(self, name: str) -> str:
        """The name as its sheet has it; who is new gets a sheet. Raises DataError for a name that cannot have one."""
        wanted = unicodedata.normalize("NFC", name.strip())
        if not NAME.fullmatch(wanted):
            raise DataError(f"the name {name!r}: expected 1 to 40 letters, digits, - or _, a letter or digit first")
        with self.held():
            known = self.annotators()
            for one in known:
                if one.casefold() == wanted.casefold():
                    return one
            if len(known) == ANNOTATORS:
                raise DataError(
                    f"the name {wanted!r}: {' and '.join(known)} have begun, and two label; expected either"
                )
            rows = [row for row in self.key.rows if row.double or not known]
            if not rows:
                raise DataError(f"the name {wanted!r}: no row is to be labelled twice; expected {next(iter(known))!r}")
            path = self._sheet.with_name(f"{self._sheet.stem}-by-{wanted}{self._sheet.suffix}")
            with on_disk(path):
                write_sheet(path, self.key.kind, self._shuffled(rows, wanted))
            return wanted

    def of(self, name: str | None) -> Pass:
        """An annotator's pass; None is the adjudication. Raises DataError where that one has not begun."""
        last = self._third()
        if name is None:
            disputed = self._disputed()
            rows = self._shuffled([self._rows[one] for one in disputed], "")
            return Pass(tuple(rows), last.labels, last.comments, given=disputed)
        sheet = read_sheet(self._path(name), self.key)
        rows = [self._rows[one] for one in sheet.rows]
        return Pass(tuple(rows), sheet.labels, sheet.comments, frozenset(last.labels))

    def say(self, name: str | None, row: str, label: int | None, comment: str) -> None:
        """Write a label, or take it back (None). Raises DataError for a row or label that is not there, or closed."""
        with self.held():
            found = self.of(name)
            if found.row(row) is None or row in found.closed:
                word = "adjudicated, its labels stand" if row in found.closed else "not among these"
                raise DataError(f"row {row!r}: {word}; expected one that is to be labelled here")
            if label is not None and not 0 <= label < len(LEVELS[self.key.kind]):
                raise DataError(f"row {row!r}: label {label}; expected one of {', '.join(LEVELS[self.key.kind])}")
            labels = {one: value for one, value in found.labels.items() if one != row}
            comments = {**found.comments, row: comment.strip()[:LONGEST_COMMENT]}
            path = self.adjudicated if name is None else self._path(name)
            with on_disk(path):
                said = labels if label is None else {**labels, row: label}
                fill_sheet(path, self.key.kind, found.rows, said, comments)

    def sheets(self) -> list[Sheet]:
        return [read_sheet(path, self.key) for path in self.annotators().values()]

    def settled(self) -> Settled | None:
        """One label a row, as `anchors score` would settle it; None where nobody has labelled anything."""
        sheets = self.sheets()
        if not any(sheet.labels for sheet in sheets):
            return None
        return settle(self.key, sheets, self._third() if self.adjudicated.exists() else None)

    def _path(self, name: str) -> Path:
        known = self.annotators()
        if name not in known:
            raise DataError(
                f"{name!r} has not begun; expected {' or '.join(map(repr, known)) or 'a name to begin with'}"
            )
        return known[name]

    def _third(self) -> Sheet:
        """What is adjudicated so far. Its file comes with the first label."""
        if not self.adjudicated.exists():
            return Sheet(self.adjudicated.name, {}, 0)
        return read_sheet(self.adjudicated, self.key)

    def _disputed(self) -> dict[str, tuple[int, ...]]:
        """The labels of the rows that two label differently, smallest first: not who said which."""
        sheets = self.sheets()
        given = {row.id: [sheet.labels[row.id] for sheet in sheets if row.id in sheet.labels] for row in self.key.rows}
        return {name: tuple(sorted(labels)) for name, labels in given.items() if len(set(labels)) > 1}

    def _shuffled(self, rows: Sequence[KeyRow], name: str) -> list[KeyRow]:
        return sorted(rows, key=lambda row: stable_id("label order", self._seed, name, row.id))
