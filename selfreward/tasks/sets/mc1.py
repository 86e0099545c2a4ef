"""Questions with one right answer among wrong ones, whose likelihoods are compared: TruthfulQA's MC1 (2109.07958).

A row is read in either of two forms:

    {"question": ..., "mc1_targets": {"choices": [...], "labels": [1, 0, ...]}}     as the data set is published
    the rows of `truthfulqa`     the best answer against the incorrect ones, of which its MC1 was made; a full stop is
                                 added where there is none, as the published choices have one

Fields of the published form that are not needed (`mc2_targets`) are left unread. A question without a right answer,
with two, with fewer than two choices, or with one that stands there twice is refused by file and line.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.errors import DataError
from selfreward.records import Message, Prompt, stable_id
from selfreward.tasks.sets.questions import TruthfulQuestion
from selfreward.tasks.sets.rows import read_rows
from selfreward.tasks.texts import kind_of, lines_of, quoted, text_of

KIND = "truthfulqa_mc1"
TARGETS = "mc1_targets"
FORM = f'expected question and {TARGETS}: {{"choices": [...], "labels": [1, 0, ...]}}, or the fields of truthfulqa'


@dataclass(frozen=True, slots=True)
class MultipleChoice:
    """`choices[right]` is the right one."""

    id: str
    question: str
    choices: tuple[str, ...]
    right: int

    @property
    def prompt(self) -> Prompt:
        return Prompt(self.id, (Message("user", self.question),), "report", "file", "truthfulqa")


def read_truthfulqa_mc1(path: str | Path) -> list[MultipleChoice]:
    """All questions of a file, in its order. Raises DataError naming file and line."""
    lines = lines_of(Path(path))
    if lines and TARGETS in _object(lines[0][1], f"{path}:{lines[0][0]}"):
        rows = [_published(line, f"{path}:{number}") for number, line in lines]
    else:
        found = read_rows(path, TruthfulQuestion)
        rows = [_from_answers(row, f"{path}:{number}") for row, (number, _) in zip(found, lines, strict=True)]
    seen: dict[str, int] = {}
    for row, (number, _) in zip(rows, lines, strict=True):
        if seen.setdefault(row.id, number) != number:
            raise DataError(f"{path}:{number}: id {row.id!r} is already that of line {seen[row.id]}; ids must differ")
    return rows


def _object(line: str, where: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as problem:
        raise DataError(f"{where}: not JSON ({problem}); {FORM}") from problem
    if not isinstance(found, dict):
        raise DataError(f"{where}: found {kind_of(found)}; {FORM}")
    return found


def _published(line: str, where: str) -> MultipleChoice:
    row = _object(line, where)
    for name in ("question", TARGETS):
        if name not in row:
            raise DataError(f"{where}: missing field {name!r}; {FORM}, in all rows of a file the same")
    targets = row[TARGETS]
    if not isinstance(targets, dict) or not all(isinstance(targets.get(key), list) for key in ("choices", "labels")):
        raise DataError(f"{where}: {TARGETS} is {quoted(str(targets))}; {FORM}")
    choices, labels = targets["choices"], targets["labels"]
    if len(choices) != len(labels):
        raise DataError(f"{where}: {len(choices)} choices and {len(labels)} labels; expected as many")
    if any(isinstance(label, bool) or label not in (0, 1) for label in labels):
        raise DataError(f"{where}: labels are {quoted(str(labels))}; expected 1 for the right choice, 0 for the others")
    if labels.count(1) != 1:
        raise DataError(f"{where}: {labels.count(1)} choices are labelled right; expected exactly one (MC1)")
    question = text_of(row["question"], "question", where)
    name = str(row.get("id", stable_id("mc1", question)))
    texts = [text_of(choice, f"choices[{index}]", where) for index, choice in enumerate(choices)]
    return _checked(MultipleChoice(name, question, tuple(texts), labels.index(1)), where)


def _from_answers(row: TruthfulQuestion, where: str) -> MultipleChoice:
    right = _with_stop(text_of(row.best_answer, "best_answer", where))
    wrong = [_with_stop(text_of(one, "incorrect_answers", where)) for one in row.incorrect_answers]
    question = text_of(row.question, "question", where)
    # An answer that is written twice is one answer.
    return _checked(MultipleChoice(row.id, question, (right, *dict.fromkeys(wrong)), 0), where)


def _with_stop(answer: str) -> str:
    text = answer.strip()
    return text if text.endswith(".") else f"{text}."


def _checked(question: MultipleChoice, where: str) -> MultipleChoice:
    texts = [choice.strip() for choice in question.choices]
    if len(texts) < 2:
        raise DataError(f"{where}: {len(texts)} choice; expected a right one and at least one wrong one")
    for text in texts:
        if texts.count(text) > 1:
            raise DataError(f"{where}: the choice {quoted(text)} stands there twice; expected different ones")
    return question
