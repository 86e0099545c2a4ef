"""Work that is already done (rows that pure code made), and the cutting of work into chunks."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from selfreward.records import stable_id, to_line
from selfreward.store.run import Work

T = TypeVar("T")


def chunked(units: Sequence[T], size: int) -> list[Sequence[T]]:
    """`units` in order, `size` at a time: the unit of sampling, of appending and of recomputation."""
    return [units[first : first + size] for first in range(0, len(units), size)]


def given(round: int, artifact: str, record: type[T], rows: Sequence[T], made_from: Mapping[str, Any]) -> Work[T, T]:
    """Work that stores `rows` as they are."""
    return Work(
        round=round,
        artifact=artifact,
        record=record,
        made_from={**made_from, "round": round, "rows": stable_id([to_line(row) for row in rows])},
        chunks=chunked(rows, 100_000),
        compute=lambda chunk, index: chunk,
    )
