"""Preference pairs from outside (human or another system's), from whatever tables.py reads.

Each row has `prompt` or `messages` as in a prompt file, and `chosen` and `rejected`, different texts, in either of the
forms that TRL trains on: plain (three strings), or conversational (lists of turns). `chosen` and `rejected` may repeat
the conversation before their last turn; it must be the prompt's, or alike in both, and is the prompt where the row has
none. Beside `prompt` other columns of turns are not read.

`source` says whose preference it is and goes onto the pair as `external:<source>`; where the row does not say it, it is
the file's name. Optional: `label`, the probability that chosen is better, from 1/2 to 1, and `weight`, above 0. A row
that cannot be used is an error that names file and row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.errors import DataError
from selfreward.records import Message, Prompt, stable_id
from selfreward.tasks.row_forms import Form, turns_of
from selfreward.tasks.tables import open_table
from selfreward.tasks.texts import kind_of, text_of


@dataclass(frozen=True, slots=True)
class ExternalPair:
    """A preference as it stands in the file; the texts become tokens where it is trained on."""

    id: str
    prompt: Prompt
    chosen: str
    rejected: str
    source: str
    label: float
    weight: float


def read_pairs(path: str | Path) -> list[ExternalPair]:
    """All pairs of a file, in its order. Raises DataError for a file or row that cannot be used, or no row at all."""
    pairs: list[ExternalPair] = []
    number_of_id: dict[str, int] = {}
    table = open_table(path)
    named = table.name.rstrip("/").rpartition("/")[2].partition(".")[0]
    for number, row in enumerate(table.rows(), start=1):
        pair = _read(row, named, table.where(number))
        same = number_of_id.setdefault(pair.id, number)
        if same != number:
            raise DataError(f"{table.where(number)}: the same pair as {table.word} {same}; remove one of the two")
        pairs.append(pair)
    if not pairs:
        raise DataError(f"{path}: no pair in the file; expected prompt, chosen and rejected on each {table.word}")
    return pairs


def _read(row: Any, named: str, where: str) -> ExternalPair:
    if not isinstance(row, dict):
        raise DataError(f"{where}: found {kind_of(row)}; expected an object with prompt, chosen and rejected")
    (chosen, before), (rejected, earlier) = (_side(row, name, where) for name in ("chosen", "rejected"))
    if "prompt" in row:
        row = {name: value for name, value in row.items() if name not in ("messages", "conversations")}
    elif "messages" not in row and before:
        row = {**row, "prompt": [{"role": turn.role, "content": turn.content} for turn in before]}
    messages = Form().question(row, where)[1]
    for name, said in (("chosen", before), ("rejected", earlier)):
        if said and said != messages:
            raise DataError(
                f"{where}: the turns before the last of {name} are not those of the prompt; expected the same "
                "conversation up to the two answers"
            )
    source = text_of(row.get("source", named), "source", where).strip()
    if chosen.strip() == rejected.strip():
        raise DataError(f"{where}: chosen and rejected are the same text; expected two different answers")
    label = _number(row, "label", 1.0, where)
    if not 0.5 <= label <= 1:
        raise DataError(f"{where}: label is {label:g}; expected 0.5 to 1, so that chosen is the preferred one")
    weight = _number(row, "weight", 1.0, where)
    if not 0 < weight < float("inf"):
        raise DataError(f"{where}: weight is {weight:g}; expected a finite number above 0")
    turns = [(turn.role, turn.content) for turn in messages]
    prompt = Prompt(stable_id("external prompt", turns), messages, "train", "external")
    return ExternalPair(
        id=pair_id(turns, chosen, rejected),
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        source=source,
        label=label,
        weight=weight,
    )


def pair_id(turns: Sequence[tuple[str, str]], chosen: str, rejected: str) -> str:
    """The id of a preference between two texts about one conversation, whichever of them is chosen."""
    return stable_id("external", turns, *sorted((chosen, rejected)))


def _side(row: dict[str, Any], name: str, where: str) -> tuple[str, tuple[Message, ...]]:
    """The answer, and the turns before it where the row repeats them. A rejected answer may be empty."""
    value = row.get(name)
    if not isinstance(value, list):
        return "" if name == "rejected" and value == "" else text_of(value, name, where), ()
    if name == "rejected" and value and isinstance(value[-1], dict) and value[-1].get("content") == "":
        empty, value = True, [*value[:-1], {**value[-1], "content": "(empty)"}]
    else:
        empty = False
    turns = turns_of(value, name, where)
    if turns[-1].role != "assistant":
        raise DataError(f"{where}: the last turn of {name} is of {turns[-1].role!r}; expected the assistant's answer")
    return "" if empty else turns[-1].content, turns[:-1]


def _number(row: dict[str, Any], name: str, default: float, where: str) -> float:
    value = row.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where}: {name} is {kind_of(value)}; expected a number")
    return float(value)
