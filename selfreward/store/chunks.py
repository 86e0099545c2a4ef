"""An artifact in progress: `<artifact>.jsonl.part` with whole chunks of rows, and a journal of which are there.

A chunk is the unit of sampling, of appending and of recomputation. Its bytes are fsynced first, then its journal line
(index, rows, end offset, SHA-256 of its bytes, seconds); so what the journal names is there, and what it does not name
is cut off and computed again, whole. The journal's first line holds the fingerprint under which the part was begun.
"""

import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from selfreward.errors import StoreError
from selfreward.records import Labelled, Measurement, from_line, to_line
from selfreward.store.files import digest_bytes, fsync_directory, on_disk, remove, write_durably
from selfreward.store.seals import Stamp

Row = TypeVar("Row")

# Rows without an id of their own: the fields that tell two of them apart.
KEYS: dict[type, Any] = {
    Measurement: attrgetter("round", "policy", "metric", "cohort", "pool", "oracle"),
    Labelled: attrgetter("response.id", "prompt.id"),
}


@dataclass(frozen=True, slots=True)
class ChunkEntry:
    """One journal line. `end` is where the chunk's bytes stop in the part file."""

    chunk: int
    rows: int
    end: int
    sha256: str
    seconds: float


class UnfinishedArtifact:
    """The part and its journal in `directory`. Opening it discards what is torn or belongs to another fingerprint."""

    def __init__(self, directory: Path, wanted: Stamp, chunks: int) -> None:
        self.part = directory / f"{wanted.artifact}.jsonl.part"
        self.journal = directory / f"{wanted.artifact}.chunks.jsonl"
        self.entries: list[ChunkEntry] = []
        # Chunks added by this process need not be parsed again at the seal: half of what sealing costs.
        self._rows: dict[int, Sequence[Any]] = {}
        self.tokens = 0
        self._header = {"chunks": chunks, "fingerprint": wanted.fingerprint}
        with on_disk(self.part):
            self._recover()

    def _recover(self) -> None:
        """Read the journal up to its first line that is not whole or whose bytes are not in the part; cut the rest."""
        lines = self.journal.read_bytes().split(b"\n")[:-1] if self.journal.exists() else []
        if not lines or _parse(lines[0]) != self._header:
            remove(self.part)
            write_durably(self.journal, _line(self._header))
            self.part.touch()
            fsync_directory(self.part.parent)
            return
        data = self.part.read_bytes() if self.part.exists() else b""
        end, kept = 0, len(lines[0]) + 1
        for line in lines[1:]:
            entry = _entry(_parse(line))
            if entry is None or entry.chunk != len(self.entries) or not end <= entry.end <= len(data):
                break
            if digest_bytes(data[end : entry.end]) != entry.sha256:
                break
            self.entries.append(entry)
            self.tokens += sum(_tokens_on(row) for row in data[end : entry.end].split(b"\n")[:-1])
            end, kept = entry.end, kept + len(line) + 1
        _cut(self.part, end)
        _cut(self.journal, kept)

    def append(self, rows: Sequence[Any], seconds: float) -> None:
        """Add the next chunk. On return it survives a power cut."""
        lines = [to_line(row) for row in rows]
        data = "".join(f"{line}\n" for line in lines).encode()
        start = self.entries[-1].end if self.entries else 0
        entry = ChunkEntry(len(self.entries), len(lines), start + len(data), digest_bytes(data), seconds)
        with on_disk(self.part):
            _append(self.part, start, data)
            _append(self.journal, None, _line({name: getattr(entry, name) for name in ChunkEntry.__slots__}))
        self.entries.append(entry)
        self.tokens += tokens_of(rows)
        self._rows[entry.chunk] = rows

    def sorted_rows(self, record: type[Row]) -> tuple[list[Row], bytes]:
        """All rows in the order of their ids, and the bytes of the finished file. Two rows with one id are refused."""
        with on_disk(self.part):
            data = self.part.read_bytes()
        keyed, start = [], 0
        for entry in self.entries:
            lines = data[start : entry.end].split(b"\n")[:-1]
            where = f"{self.part}, chunk {entry.chunk}"
            rows = self._rows.get(entry.chunk) or [from_line(record, line.decode(), where) for line in lines]
            keyed += [(row_key(row), line, row) for row, line in zip(rows, lines, strict=True)]
            start = entry.end
        keyed.sort(key=lambda item: item[0])
        for (key, _, _), (following, _, _) in itertools.pairwise(keyed):
            if key == following:
                raise StoreError(
                    f"{self.part}: two rows of {record.__name__} have the id {key}; expected each id once. "
                    f"Delete {self.part} and {self.journal} once the stage that wrote them is repaired"
                )
        return [row for _, _, row in keyed], b"".join(line + b"\n" for _, line, _ in keyed)

    @property
    def seconds(self) -> float:
        return sum(entry.seconds for entry in self.entries)

    def discard(self) -> None:
        # The journal goes first: a part without a journal is empty by definition.
        remove(self.journal)
        remove(self.part)


def tokens_of(rows: Sequence[Any]) -> int:
    """Sampled tokens on rows; those of a served model bring none."""
    return sum(len(getattr(row, "token_ids", ())) for row in rows)


def _tokens_on(line: bytes) -> int:
    fields = _parse(line)
    return len(fields.get("token_ids", ())) if isinstance(fields, dict) else 0


def row_key(row: Any) -> Any:
    """What rows of one artifact are sorted by: the id, or the fields that make a row what it is."""
    get = KEYS.get(type(row))
    if get is not None:
        return get(row)
    return row.id if hasattr(row, "id") else to_line(row)


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True).encode() + b"\n"


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _entry(fields: Any) -> ChunkEntry | None:
    if not isinstance(fields, dict) or set(fields) != set(ChunkEntry.__slots__):
        return None
    return ChunkEntry(**fields)


def _cut(path: Path, size: int) -> None:
    """Shorten `path` to `size` bytes, durably."""
    with path.open("ab") as stream:
        if stream.tell() != size:
            stream.truncate(size)
            os.fsync(stream.fileno())


def _append(path: Path, start: int | None, data: bytes) -> None:
    """Write `data` at `start` (what lies behind it came from a write that failed), or at the end; fsync."""
    with path.open("r+b") as stream:
        stream.seek(*((start, os.SEEK_SET) if start is not None else (0, os.SEEK_END)))
        stream.truncate()
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
