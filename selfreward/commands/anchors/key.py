"""The sealed key beside a sheet: which row is which, with what the judge said. Whoever labels must not open it.

One JSON object, `sealed` (the SHA-256 of the rest) and `key`: an edited key is refused. It holds the texts themselves,
so that what was labelled is known even where a spreadsheet changed the cells, and every candidate of the pool, so that
means can be weighted back to it without the run.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfreward.commands.anchors.candidates import Candidate
from selfreward.errors import DataError
from selfreward.records import from_line, to_line
from selfreward.store.files import digest_bytes, write_durably

Kind = Literal["score", "pairs"]
LEVELS: dict[Kind, tuple[str, ...]] = {"score": ("0", "1", "2", "3", "4", "5"), "pairs": ("b", "tie", "a")}
"""What an annotator may write; a label's value is its place here. Pairs: a is the first shown."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One row of the sheet. `swapped`: the pair is shown with the earlier round's answer first.

    `audit` rows are answers that were trained on. `locked` rows are reported and steer nothing; `double` ones stand on
    the second annotator's sheet too.
    """

    id: str
    part: Literal["anchor", "audit"]
    candidate: Candidate
    locked: bool
    double: bool
    swapped: bool = False

    @property
    def shown(self) -> tuple[str, ...]:
        return self.candidate.texts[::-1] if self.swapped else self.candidate.texts

    @property
    def judge(self) -> float:
        """What the judge says of the row as it is shown."""
        return 2.0 - self.candidate.judge if self.swapped else self.candidate.judge


@dataclass(frozen=True, slots=True)
class Key:
    """`population` are all candidates of the pool that anchors were drawn from; `unread` had no readable score."""

    kind: Kind
    run: str
    round: int
    against: int | None
    pool: str
    unread: int
    rows: tuple[KeyRow, ...]
    population: tuple[Candidate, ...]


def key_path(sheet: Path) -> Path:
    return sheet.with_suffix(".key.json")


def write_key(path: Path, key: Key) -> None:
    body = to_line(key)
    text = json.dumps({"sealed": digest_bytes(body.encode())})[:-1] + f', "key": {body}}}\n'
    write_durably(path, text.encode())


def read_key(path: Path) -> Key:
    """Raises DataError for a key that is not there, not whole, or edited."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise DataError(
            f"{path}: cannot be read ({problem.strerror}); expected the key that was written beside the sheet; name it "
            "with --key"
        ) from problem
    except ValueError as problem:
        raise DataError(f"{path}: not whole JSON ({problem}); restore it, a sheet without its key is lost") from problem
    if not isinstance(found, dict) or set(found) != {"sealed", "key"}:
        raise DataError(f"{path}: not the key of a sheet; expected an object with sealed and key")
    key = from_line(Key, json.dumps(found["key"]), str(path))
    if digest_bytes(to_line(key).encode()) != found["sealed"]:
        raise DataError(f"{path}: other contents than were sealed; it was edited. Restore it")
    return key
