"""Answers that people have scored, as JSON Lines: the frozen pool of a run, with human labels instead of an oracle's.

Each row is an object with `prompt` or `messages` as in a prompt file, `answer` (the text that was scored), `label` (0
to 5, the judge's scale), and optionally `cohort` and `locked`. A locked row is measured and reported, and steers
nothing: all rows of a prompt are locked or none. A row whose label is null was scored by nobody: it is left out, and a
run says how many are (`unlabelled`). `selfreward anchors score` writes such a file; labels from elsewhere may be
written into one by hand. A row that cannot be used is an error that names file and line.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.errors import DataError
from selfreward.recipe.scale import HIGHEST, LOWEST
from selfreward.records import Labelled, Message, Pool, Prompt, Response, stable_id
from selfreward.tasks.prompts_file import read_question
from selfreward.tasks.texts import kind_of, lines_of, text_of

FIELDS = ("prompt", "messages", "answer", "label", "cohort", "locked")
HUMAN = "human"
"""`Labelled.source` of these rows."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """One scored answer."""

    messages: tuple[Message, ...]
    answer: str
    label: float
    cohort: str = ""
    locked: bool = False


def read_anchors(path: str | Path) -> list[Labelled]:
    """All rows of a file, in its order, locked ones under the pool `locked`. Raises DataError as the module says."""
    rows: list[Labelled] = []
    line_of_id: dict[str, int] = {}
    pool_of: dict[str, Pool] = {}
    for number, line in lines_of(Path(path)):
        where = f"{path}:{number}"
        anchor = _read(line, where)
        if anchor is None:
            continue
        labelled = _labelled(anchor)
        same = line_of_id.setdefault(labelled.id, number)
        if same != number:
            raise DataError(f"{where}: the same prompt and answer as line {same}; remove one of the two")
        if pool_of.setdefault(labelled.prompt.id, labelled.prompt.pool) != labelled.prompt.pool:
            raise DataError(
                f"{where}: other answers to the same prompt are {pool_of[labelled.prompt.id]}, this one is "
                f"{labelled.prompt.pool}; expected 'locked' alike on all rows of a prompt"
            )
        rows.append(labelled)
    if not rows:
        raise DataError(f"{path}: no row with a label in the file; expected prompt, answer and label on each line")
    return rows


def unlabelled(path: str | Path) -> tuple[int, int]:
    """How many rows have no label, and how many there are."""
    anchors = [_read(line, f"{path}:{number}") for number, line in lines_of(Path(path))]
    return sum(anchor is None for anchor in anchors), len(anchors)


def anchor_lines(anchors: Iterable[Anchor]) -> str:
    """The file's text; `read_anchors` reads it back."""
    return "".join(
        json.dumps(
            {
                "messages": [{"role": turn.role, "content": turn.content} for turn in anchor.messages],
                "answer": anchor.answer,
                "label": anchor.label,
                "cohort": anchor.cohort or None,
                "locked": anchor.locked,
            },
            ensure_ascii=False,
        )
        + "\n"
        for anchor in anchors
    )


def _read(line: str, where: str) -> Anchor | None:
    """The row, or None where nobody has labelled it."""
    row, messages = read_question(line, where)
    for name in row:
        if name not in FIELDS:
            raise DataError(f"{where}: unknown field {name!r}; expected {', '.join(FIELDS)}")
    label, locked = row.get("label"), row.get("locked", False)
    if label is None and "label" in row:
        return None
    if isinstance(label, bool) or not isinstance(label, int | float) or not LOWEST <= label <= HIGHEST:
        shown = f"{label:g}" if isinstance(label, int | float) and not isinstance(label, bool) else kind_of(label)
        raise DataError(f"{where}: label is {shown}; expected a number from {LOWEST:g} to {HIGHEST:g}")
    if not isinstance(locked, bool):
        raise DataError(f"{where}: locked is {kind_of(locked)}; expected true or false")
    cohort = text_of(row["cohort"], "cohort", where) if row.get("cohort") is not None else ""
    return Anchor(messages, _answer(row, where), float(label), cohort, locked)


def _answer(row: dict[str, Any], where: str) -> str:
    # An empty answer is an answer, and a bad one.
    return "" if row.get("answer") == "" else text_of(row.get("answer"), "answer", where)


def _labelled(anchor: Anchor) -> Labelled:
    turns = [(turn.role, turn.content) for turn in anchor.messages]
    pool: Pool = "locked" if anchor.locked else "frozen"
    prompt = Prompt(stable_id("prompt", turns), anchor.messages, pool, "file", anchor.cohort)
    response = Response(
        id=stable_id("anchor", turns, anchor.answer),
        prompt_id=prompt.id,
        sample=0,
        policy="anchor",
        text=anchor.answer,
        reasoning="",
        token_ids=(),
        finish_reason="stop",
        seed=0,
        template="anchor",
    )
    return Labelled(prompt, response, anchor.label, HUMAN)
