"""One row of somebody's data as a question with what belongs to it, whatever form the row has.

    {"prompt": "..."}                                   a question; TRL's list of messages under that name as well
    {"messages": [{"role": ..., "content": ...}]}       at most one system turn, first; then user and assistant in turn
    {"conversations": [{"from": ..., "value": ...}]}    ShareGPT: human is the user, gpt the assistant
    {"instruction": "...", "completions": [...]}        UltraFeedback: the instruction is the question

A source's `columns` says which column each name stands under. Where the last turn is the assistant's, `last_assistant`
says whether it is the gold answer or dropped; nobody else can know. Turns of either kind are read under each name. A
row that cannot be used is an error that names it: skipping it silently would change what was trained on.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from selfreward.errors import DataError
from selfreward.recipe import FileSource
from selfreward.records import Message, Pool, Prompt, stable_id
from selfreward.tasks.texts import kind_of, quoted, text_of

FORM = 'expected {"prompt": "..."} or {"messages": [{"role": "user", "content": "..."}]}'
ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
"""ShareGPT's names of who speaks."""

QUESTIONS = ("prompt", "messages", "conversations", "instruction")
"""Where a question may stand, in rows whose columns nobody has named."""


@dataclass(frozen=True)
class Form:
    """How the rows of one source are to be read; without a source, as they are."""

    source: FileSource = field(default_factory=lambda: FileSource("-"))

    def prompt(self, row: Any, pool: Pool, where: str) -> Prompt:
        """The row as a prompt of `pool`."""
        found, messages, reply = self.question(row, where)
        cohort, given = (self._text(found, name, where) for name in ("cohort", "id"))
        answer, meta = self._gold(found, where)
        if reply is not None and answer is not None:
            raise DataError(
                f"{where}: has an answer of its own and a last turn of the assistant's; set last_assistant to drop"
            )
        return Prompt(
            id=given or stable_id("prompt", [(turn.role, turn.content) for turn in messages]),
            messages=messages,
            pool=pool,
            source="file",
            cohort=cohort or "",
            answer=answer if reply is None else reply,
            meta=meta,
        )

    def question(self, row: Any, where: str) -> tuple[dict[str, Any], tuple[Message, ...], str | None]:
        """The row under our names, the messages up to the last user turn, and the reply after it that is to be kept."""
        if not isinstance(row, dict):
            raise DataError(f"{where}: found {kind_of(row)}; {FORM}")
        row = self.renamed(row, where)
        names = [name for name in QUESTIONS if name in row]
        if "instruction" in names and ("completions" not in row or len(names) > 1):
            names.remove("instruction")  # a column of that name may be anything; only UltraFeedback's is the question
        if len(names) != 1:
            found = f"both {names[0]} and {names[1]}" if names else f"keys {', '.join(map(str, row)) or 'none'}"
            columns = ", or say which column holds it (`columns` of the source, or `init --column prompt=NAME`)"
            raise DataError(f"{where}: found {found}; {FORM}{columns}")
        value = row[names[0]]
        if names[0] in ("prompt", "instruction") and not isinstance(value, list | dict):
            return row, (Message("user", text_of(value, names[0], where)),), None
        turns = turns_of(value, names[0], where)
        reply = None
        if len(turns) > 1 and turns[-1].role == "assistant" and self.source.last_assistant is not None:
            reply = turns[-1].content if self.source.last_assistant == "answer" else None
            turns = turns[:-1]
        check_turns(turns, where)
        return row, turns, reply

    def renamed(self, row: dict[str, Any], where: str) -> dict[str, Any]:
        """The row with the columns that `columns` names under our names, and without what stood there before."""
        columns = {name: column for name, column in vars(self.source.columns).items() if column is not None}
        if not columns:
            return row
        missing = [column for name, column in columns.items() if column not in row and name in ("prompt", "messages")]
        if missing:
            there = ", ".join(map(str, row))
            raise DataError(f"{where}: no column {missing[0]!r}, which `columns` names; the row has {there or 'none'}")
        taken = set(columns.values())
        # Who names the column of the question has said which one it is.
        taken |= set(QUESTIONS) if columns.keys() & {"prompt", "messages"} else set()
        kept = {name: value for name, value in row.items() if name not in taken and name not in columns}
        return kept | {name: row[column] for name, column in columns.items() if column in row}

    def _text(self, row: dict[str, Any], name: str, where: str) -> str | None:
        value = row.get(name)
        if name in ("id", "cohort") and getattr(self.source.columns, name) and isinstance(value, int):
            value = str(value)
        return text_of(value, name, where) if value is not None else None

    def _gold(self, row: dict[str, Any], where: str) -> tuple[str | None, dict[str, Any]]:
        """The gold answer, and what a verifier needs beside it."""
        answer, meta = row.get("answer"), row.get("meta")
        if isinstance(answer, int | float) and not isinstance(answer, bool):
            answer = json.dumps(answer)
        if isinstance(meta, str) and meta.lstrip().startswith("{"):
            try:  # a cell of CSV
                meta = json.loads(meta)
            except ValueError as problem:
                raise DataError(f"{where}: meta is {quoted(meta)}, which is not JSON; expected an object") from problem
        if meta is not None and not isinstance(meta, dict):
            raise DataError(f"{where}: meta is {kind_of(meta)}; expected an object")
        return text_of(answer, "answer", where) if answer is not None else None, meta or {}


def turns_of(value: Any, name: str, where: str) -> tuple[Message, ...]:
    """A list of turns, of either kind, whoever speaks in which order.

    `datasets` keeps a Sequence of objects as an object of lists; it is turned round.
    """
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        value = [dict(zip(value, cells, strict=False)) for cells in zip(*value.values(), strict=False)]
    if not isinstance(value, list) or not value:
        raise DataError(f"{where}: {name} is {kind_of(value)}; expected a list of at least one turn")
    turns: list[Message] = []
    for index, turn in enumerate(value):
        told = f"{name}[{index}]"
        if isinstance(turn, dict) and {"from", "value"} <= set(turn):
            turn = {"role": ROLES.get(str(turn["from"]), turn["from"]), "content": turn["value"]}
        if not isinstance(turn, dict) or not {"role", "content"} <= set(turn):
            raise DataError(
                f"{where}: {told} is {quoted(json.dumps(turn, default=str))}; expected an object with role and content"
            )
        turns.append(Message(turn["role"], text_of(turn["content"], f"{told}.content", where)))
    return tuple(turns)


def check_turns(turns: tuple[Message, ...], where: str) -> None:
    """Refuse all but an optional system turn, then user and assistant in turn, the last one the user's."""
    spoken = turns[1:] if turns[0].role == "system" else turns
    expected = ["user" if index % 2 == 0 else "assistant" for index in range(len(spoken))]
    if [turn.role for turn in spoken] != expected or len(spoken) % 2 == 0:
        roles = ", ".join(map(str, (turn.role for turn in turns)))
        last = turns[-1].role == "assistant" and len(spoken) > 1
        hint = "; set last_assistant of the source to answer (it is the gold answer) or to drop" if last else ""
        raise DataError(
            f"{where}: the turns are {roles}; expected an optional system turn, then user and assistant in turn, "
            f"the last one user{hint}"
        )
