"""Questions without replies, read as Prompts: `answer` is the gold answer and `meta` what a verifier needs beside it.

`cohort` is the name of the set, so that reports show each apart. None of them may be trained on, except the seed
instructions. Every row's `source` and `license` stay in `meta`.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from selfreward.errors import DataError
from selfreward.records import Message, Pool, Prompt
from selfreward.tasks.prompts_file import read_prompts
from selfreward.tasks.sets.rows import read_rows

LETTERS = "ABCD"


@dataclass(frozen=True, slots=True)
class Question:
    """What every row has."""

    id: str
    source: str
    license: str


@dataclass(frozen=True, slots=True)
class SeedInstruction(Question):
    instruction: str
    input: str
    output: str | None
    category: str | None
    is_classification: bool | None


@dataclass(frozen=True, slots=True)
class SafetyQuestion(Question):
    prompt: str
    label: Literal["safe", "unsafe"]
    expected: Literal["comply", "refuse"]
    type: str
    focus: str
    note: str
    pair_group: str


@dataclass(frozen=True, slots=True)
class MathQuestion(Question):
    question: str
    answer: str
    solution: str


@dataclass(frozen=True, slots=True)
class InstructionQuestion(Question):
    key: int
    prompt: str
    instruction_id_list: list[str]
    kwargs: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TruthfulQuestion(Question):
    question: str
    best_answer: str
    correct_answers: list[str]
    incorrect_answers: list[str]
    category: str
    type: str
    source_url: str


@dataclass(frozen=True, slots=True)
class ChoiceQuestion(Question):
    subject: str
    question: str
    choices: list[str]
    answer: Literal["A", "B", "C", "D"]


@dataclass(frozen=True, slots=True)
class TaskQuestion(Question):
    task: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class TwoTurnQuestion(Question):
    category: str
    turns: list[str]
    reference: list[str] | None
    reference_by: str | None


@dataclass(frozen=True, slots=True)
class OpenQuestion(Question):
    prompt: str
    category: str
    reference: str | None


def _prompt(row: Question, text: str, pool: Pool, cohort: str, answer: str | None = None, **meta: Any) -> Prompt:
    about = {"source": row.source, "license": row.license, **meta}
    return Prompt(row.id, (Message("user", text),), pool, "file", cohort, answer=answer, meta=about)


def read_seed_instructions(path: str | Path, pool: Pool = "train") -> list[Prompt]:
    """The only set to train on; `answer` is the given output, where there is one."""

    def text(row: SeedInstruction) -> str:
        return f"{row.instruction}\n\n{row.input}" if row.input else row.instruction

    rows = read_rows(path, SeedInstruction)
    return [_prompt(row, text(row), pool, "seed", row.output, category=row.category) for row in rows]


def read_xstest(path: str | Path, pool: Pool = "report") -> list[Prompt]:
    """Safe prompts that look unsafe and their unsafe contrasts (Röttger et al. 2308.01263).

    `meta.expected` (comply or refuse) is what `false_refusal_rate` and `unsafe_refusal_rate` read.
    """
    return [
        _prompt(row, row.prompt, pool, "xstest", expected=row.expected, type=row.type, pair_group=row.pair_group)
        for row in read_rows(path, SafetyQuestion)
    ]


def read_gsm8k(path: str | Path, pool: Pool = "report") -> list[Prompt]:
    return [_prompt(row, row.question, pool, "gsm8k", row.answer) for row in read_rows(path, MathQuestion)]


def read_ifeval(path: str | Path, pool: Pool = "report") -> list[Prompt]:
    """`meta` holds the instructions and their arguments, which must be parallel."""
    rows = read_rows(path, InstructionQuestion)
    for row in rows:
        if len(row.instruction_id_list) != len(row.kwargs):
            raise DataError(
                f"{path}: row {row.id} has {len(row.instruction_id_list)} instructions and {len(row.kwargs)} kwargs; "
                "expected as many"
            )
    return [
        _prompt(row, row.prompt, pool, "ifeval", instruction_id_list=row.instruction_id_list, kwargs=row.kwargs)
        for row in rows
    ]


def read_truthfulqa(path: str | Path, pool: Pool = "report") -> list[Prompt]:
    return [
        _prompt(
            row,
            row.question,
            pool,
            "truthfulqa",
            row.best_answer,
            correct_answers=row.correct_answers,
            incorrect_answers=row.incorrect_answers,
        )
        for row in read_rows(path, TruthfulQuestion)
    ]


def read_mmlu(path: str | Path, pool: Pool = "report") -> list[Prompt]:
    """The question, its four choices on lines of their own, and the wish for a letter; `answer` is the letter."""

    def text(row: ChoiceQuestion) -> str:
        if len(row.choices) != len(LETTERS):
            raise DataError(f"{path}: row {row.id} has {len(row.choices)} choices; expected {len(LETTERS)}")
        lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, row.choices, strict=True)]
        return "\n".join([row.question, *lines, "Answer with the letter of the right choice."])

    rows = read_rows(path, ChoiceQuestion)
    return [_prompt(row, text(row), pool, "mmlu", row.answer, subject=row.subject) for row in rows]


def read_bbh(path: str | Path, pool: Pool = "report") -> list[Prompt]:
    return [_prompt(row, row.question, pool, "bbh", row.answer, task=row.task) for row in read_rows(path, TaskQuestion)]


def read_mt_bench(path: str | Path, pool: Pool = "report") -> list[Prompt]:
    """The first turn is the prompt; `meta.later_turns` are what the user says next."""
    rows = read_rows(path, TwoTurnQuestion)
    for row in rows:
        if not row.turns:
            raise DataError(f"{path}: row {row.id} has no turns; expected at least one")
    return [
        _prompt(
            row,
            row.turns[0],
            pool,
            "mt_bench",
            category=row.category,
            later_turns=row.turns[1:],
            reference=row.reference,
        )
        for row in rows
    ]


def read_eval_prompts(path: str | Path, pool: Pool = "report") -> list[Prompt]:
    rows = read_rows(path, OpenQuestion)
    return [_prompt(row, row.prompt, pool, "eval_prompts", category=row.category) for row in rows]


def read_code_tasks(path: str | Path, pool: Pool = "report") -> list[Prompt]:
    """Prompts in the form of a prompt file whose `meta` has golden calls (verifiers/code/goldens.py)."""
    return [dataclasses.replace(prompt, cohort=prompt.cohort or "code_tasks") for prompt in read_prompts(path, pool)]
