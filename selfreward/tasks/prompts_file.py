"""Prompts from a JSON Lines file, and one file split into pools.

Each row is an object with either `prompt` (a string) or `messages` (a list of {role, content}: at most one system turn,
first; then user and assistant in turn; the last is the user's). `id` and `cohort` are optional strings, `answer` is the
gold answer (a string or a number) and `meta` an object for the verifier; other keys are the file's own business and are
not read. A row that cannot be used is an error that names file and line: skipping it
silently would change what was trained on.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selfreward.errors import DataError
from selfreward.records import Message, Pool, Prompt, stable_id

FORM = 'expected {"prompt": "..."} or {"messages": [{"role": "user", "content": "..."}]}'


def read_prompts(path: str | Path, pool: Pool) -> list[Prompt]:
    """All prompts of a file, in its order. Raises DataError for a file or row that cannot be used, or no row at all."""
    prompts: list[Prompt] = []
    line_of_id: dict[str, int] = {}
    line_of_text: dict[tuple[str, ...], int] = {}
    for number, line in lines_of(Path(path)):
        where = f"{path}:{number}"
        prompt = _read_row(line, pool, where)
        same = line_of_text.setdefault(tuple(turn.content.strip() for turn in prompt.messages), number)
        if same != number:
            raise DataError(f"{where}: the same prompt as line {same} ({_quoted(prompt.text)}); remove one of the two")
        same = line_of_id.setdefault(prompt.id, number)
        if same != number:
            raise DataError(f"{where}: id {prompt.id!r} is already that of line {same}; ids must differ")
        prompts.append(prompt)
    if not prompts:
        raise DataError(f"{path}: no prompt in the file; {FORM} on each line")
    return prompts


def split_prompts(prompts: Sequence[Prompt], sizes: Mapping[Pool, int]) -> dict[Pool, list[Prompt]]:
    """Disjoint pools from one list: `sizes` says how many each gets, and "train" gets the rest.

    Prompts are dealt in the order of a hash of their text. So the split depends on neither the file's order nor its
    ids, and the pools are alike in expectation. Pools come back in the order of `prompts`.
    """
    needed = sum(sizes.values())
    if needed >= len(prompts):
        wanted = ", ".join(f"{pool} {size}" for pool, size in sizes.items())
        raise DataError(
            f"{len(prompts)} prompts cannot be split into {wanted} and a rest to train on; expected more than "
            f"{needed}: give more prompts, or a smaller measure.gate, measure.selection or measure.report"
        )
    if len({prompt.messages for prompt in prompts}) != len(prompts):
        raise DataError("the prompts to be split hold duplicates; the same prompt could land in two pools")
    order = sorted(range(len(prompts)), key=lambda index: (_text_hash(prompts[index]), index))
    pool_of: dict[int, Pool] = {}
    dealt = iter(order)
    for pool, size in sizes.items():
        pool_of.update((next(dealt), pool) for _ in range(size))
    pools: dict[Pool, list[Prompt]] = {pool: [] for pool in (*sizes, "train")}
    for index, prompt in enumerate(prompts):
        pool = pool_of.get(index, "train")
        pools[pool].append(dataclasses.replace(prompt, pool=pool))
    return pools


def _text_hash(prompt: Prompt) -> str:
    return stable_id("split", [(turn.role, turn.content) for turn in prompt.messages])


def lines_of(path: Path) -> list[tuple[int, str]]:
    """The lines of a UTF-8 file with their numbers, from 1."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}); expected a JSON Lines file") from problem
    except UnicodeDecodeError as problem:
        raise DataError(f"{path}: not UTF-8 (byte {problem.start}); save the file as UTF-8") from problem
    # Not splitlines(): a prompt may hold U+2028 and other characters that it takes for line ends.
    rows = text.removesuffix("\n").split("\n") if text else []
    return list(enumerate(rows, start=1))


def read_question(line: str, where: str) -> tuple[dict[str, Any], tuple[Message, ...]]:
    """The row's object, and the messages that its `prompt` or `messages` stand for."""
    if not line.strip():
        raise DataError(f"{where}: the line is empty; {FORM}")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as problem:
        # Not only malformed JSON: a number of thousands of digits, or brackets nested thousands deep.
        raise DataError(f"{where}: not JSON ({problem}): {_quoted(line)}; {FORM}") from problem
    if not isinstance(row, dict):
        raise DataError(f"{where}: found {kind_of(row)}; {FORM}")
    if ("prompt" in row) == ("messages" in row):
        found = "both prompt and messages" if "prompt" in row else f"keys {', '.join(map(str, row)) or 'none'}"
        raise DataError(f"{where}: found {found}; {FORM}")
    if "prompt" in row:
        return row, (Message("user", text_of(row["prompt"], "prompt", where)),)
    return row, _read_messages(row["messages"], where)


def _read_row(line: str, pool: Pool, where: str) -> Prompt:
    row, messages = read_question(line, where)
    cohort = text_of(row["cohort"], "cohort", where) if row.get("cohort") is not None else ""
    given = text_of(row["id"], "id", where) if row.get("id") is not None else None
    identity = given or stable_id("prompt", [(turn.role, turn.content) for turn in messages])
    answer, meta = _read_gold(row, where)
    return Prompt(id=identity, messages=messages, pool=pool, source="file", cohort=cohort, answer=answer, meta=meta)


def _read_gold(row: dict[str, Any], where: str) -> tuple[str | None, dict[str, Any]]:
    """The gold answer, and what a verifier needs beside it."""
    answer, meta = row.get("answer"), row.get("meta")
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        answer = json.dumps(answer)
    if meta is not None and not isinstance(meta, dict):
        raise DataError(f"{where}: meta is {kind_of(meta)}; expected an object")
    return text_of(answer, "answer", where) if answer is not None else None, meta or {}


def _read_messages(value: Any, where: str) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise DataError(f"{where}: messages is {kind_of(value)}; expected a list of at least one turn")
    turns: list[Message] = []
    for index, turn in enumerate(value):
        name = f"messages[{index}]"
        if not isinstance(turn, dict) or not {"role", "content"} <= set(turn):
            raise DataError(f"{where}: {name} is {_quoted(json.dumps(turn))}; expected an object with role and content")
        turns.append(Message(turn["role"], text_of(turn["content"], f"{name}.content", where)))
    spoken = turns[1:] if turns[0].role == "system" else turns
    expected = ["user" if index % 2 == 0 else "assistant" for index in range(len(spoken))]
    if [turn.role for turn in spoken] != expected or len(spoken) % 2 == 0:
        roles = ", ".join(map(str, (turn.role for turn in turns)))
        raise DataError(
            f"{where}: the turns are {roles}; expected an optional system turn, then user and assistant in turn, "
            "the last one user"
        )
    return tuple(turns)


def text_of(value: Any, name: str, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: {name} is {kind_of(value)}; expected a string")
    if not value.strip():
        raise DataError(f"{where}: {name} is empty; expected text")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise DataError(f"{where}: {name} holds half a surrogate pair, which is no text; save the file as UTF-8")
    return value


def kind_of(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number") if value != [] else "an empty list"


def _quoted(text: str, longest: int = 60) -> str:
    return repr(text if len(text) <= longest else f"{text[:longest]}…")
