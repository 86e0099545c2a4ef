"""Somebody's own responses, from whatever tables.py reads: judged and paired in place of sampled ones.

Each row has a question in one of the forms of row_forms.py and `responses`, a list of at least one. A response is its
text, or an object with `text` and, optional, `token_ids` (as the policy's tokenizer would have sampled them, the end of
the turn included) and `finish_reason` (stop or length). `answer`, `meta` and `cohort` go with the question, as in a
file of prompts. A row that cannot be used is an error that names file and row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.errors import DataError
from selfreward.records import FinishReason, Prompt, stable_id
from selfreward.tasks.row_forms import Form
from selfreward.tasks.tables import open_table
from selfreward.tasks.texts import kind_of, text_of


@dataclass(frozen=True, slots=True)
class OwnResponse:
    """One answer as it stands in the file; without token ids the policy's template makes them."""

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Answered:
    """A prompt and all answers that the file has for it."""

    prompt: Prompt
    responses: tuple[OwnResponse, ...]


def read_responses(path: str | Path) -> list[Answered]:
    """All rows of a file, in its order. Raises DataError for a row that cannot be used, or no row at all."""
    found: list[Answered] = []
    number_of: dict[str, int] = {}
    table = open_table(path)
    for number, row in enumerate(table.rows(), start=1):
        where = table.where(number)
        prompt = Form().prompt(row, "train", where)
        same = number_of.setdefault(stable_id([(turn.role, turn.content) for turn in prompt.messages]), number)
        if same != number:
            raise DataError(f"{where}: the same prompt as {table.word} {same}; put all its responses into one row")
        found.append(Answered(prompt, _responses(row, where)))
    if not found:
        raise DataError(f"{path}: no row in the file; expected a prompt and its responses on each {table.word}")
    return found


def of_round(rows: Sequence[Answered], seed: int, round: int, count: int, first: int) -> list[Answered]:
    """`count` rows from those of `round` on, each having `first` of its own; the order depends on seed and ids only."""
    order = sorted(rows, key=lambda row: stable_id(seed, "responses", row.prompt.id))
    return order[(round - 1) * first : (round - 1) * first + count]


def _responses(row: dict[str, Any], where: str) -> tuple[OwnResponse, ...]:
    value = row.get("responses")
    if not isinstance(value, list) or not value:
        raise DataError(f"{where}: responses is {kind_of(value)}; expected a list of at least one answer")
    return tuple(_response(one, f"responses[{index}]", where) for index, one in enumerate(value))


def _response(value: Any, name: str, where: str) -> OwnResponse:
    if not isinstance(value, dict):
        return OwnResponse(text_of(value, name, where), (), "stop")
    text = text_of(value.get("text"), f"{name}.text", where)
    tokens = value.get("token_ids") or []
    if not isinstance(tokens, list) or any(isinstance(one, bool) or not isinstance(one, int) for one in tokens):
        raise DataError(f"{where}: {name}.token_ids is {kind_of(tokens)}; expected a list of whole numbers, or nothing")
    reason = value.get("finish_reason") or "stop"
    if reason not in ("stop", "length"):
        raise DataError(f"{where}: {name}.finish_reason is {reason!r}; expected stop or length")
    return OwnResponse(text, tuple(tokens), "stop" if reason == "stop" else "length")
