"""Texts whose kind is known, from whatever tables.py reads: on them the errors of a cohort's classifier are counted.

Each row has `text`, which should be like the answers that are graded, and `label`: true where it should be flagged,
false where not, or a name of the classifier's id2label, of which one is the cohort's. A row that cannot be used is an
error that names file and row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.errors import DataError
from selfreward.records import stable_id
from selfreward.tasks.tables import open_table
from selfreward.tasks.texts import kind_of, quoted, text_of

TOLD = {"true": True, "false": False}
"""As a table without types writes it."""


@dataclass(frozen=True, slots=True)
class KnownText:
    """`flagged`: what somebody says that the classifier should."""

    id: str
    text: str
    flagged: bool


def read_known(path: str | Path, label: str, names: Sequence[str]) -> list[KnownText]:
    """All rows of a file, in its order. Raises DataError for a row that cannot be used, or a file of one kind only."""
    found: list[KnownText] = []
    number_of: dict[str, int] = {}
    table = open_table(path)
    for number, row in enumerate(table.rows(), start=1):
        where = table.where(number)
        if not isinstance(row, dict):
            raise DataError(f"{where}: {kind_of(row)}; expected an object with text and label")
        text = text_of(row.get("text"), "text", where)
        same = number_of.setdefault(text, number)
        if same != number:
            raise DataError(f"{where}: the same text as {table.word} {same}; remove one of the two")
        found.append(KnownText(stable_id("known", text), text, _flagged(row.get("label"), label, names, where)))
    flagged = sum(one.flagged for one in found)
    if min(flagged, len(found) - flagged) < 2:
        raise DataError(
            f"{path}: {flagged} rows are {label!r} and {len(found) - flagged} are not; expected two or more of both, "
            "so that both error rates can be found; some hundreds make them narrow"
        )
    return found


def _flagged(value: Any, label: str, names: Sequence[str], where: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in names:
        return value == label
    if isinstance(value, str) and value.lower() in TOLD:
        return TOLD[value.lower()]
    shown = quoted(value) if isinstance(value, str) else kind_of(value)
    raise DataError(f"{where}: label is {shown}; expected true, false or one of {', '.join(names)}")
