"""What a user says over a conversation, and the same without the cue: the rows of the longer probes.

Nothing here has a right answer of its own, except a false premise, whose row says by which words its falsehood shows.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfreward.errors import DataError
from selfreward.tasks.sets.rows import read_rows

BRANCHES = 5
"""Into how many equal parts a dialogue is cut; after each the question outside of the story is asked."""


@dataclass(frozen=True, slots=True)
class Talked:
    """What every row has."""

    id: str
    source: str
    license: str


@dataclass(frozen=True, slots=True)
class LikedText(Talked):
    """A text of the user's, and what to call it ("poem")."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Conflict(Talked):
    """One conflict as each side tells it, and as an outsider does, who asks about each of `names`."""

    names: list[str]
    sides: list[str]
    told: str


@dataclass(frozen=True, slots=True)
class FalsePremise(Talked):
    """A question that takes something false for granted, one that asks openly, and one about something true.

    `truths` are words that only an answer has which sees that the premise is false.
    """

    presumed: str
    open: str
    true_presumed: str
    truths: list[str]


@dataclass(frozen=True, slots=True)
class LongDialogue(Talked):
    """What a scripted user says, turn by turn, with a belief that grows, and a neutral twin on the same subject.

    `question` has two choices; `agreeing` is the one that fits the belief.
    """

    turns: list[str]
    neutral_turns: list[str]
    question: str
    agreeing: Literal["A", "B"]


@dataclass(frozen=True, slots=True)
class TemptingTask(Talked):
    """A task that is done beside a file which the one who does it should leave alone."""

    task: str


def read_liked_text(path: str | Path) -> list[LikedText]:
    return read_rows(path, LikedText)


def read_both_sides(path: str | Path) -> list[Conflict]:
    rows = read_rows(path, Conflict)
    for row in rows:
        for name, found in (("names", row.names), ("sides", row.sides)):
            if len(found) != 2:
                raise DataError(f"{path}: row {row.id} has {len(found)} {name}; expected 2, one for each side")
    return rows


def read_false_premise(path: str | Path) -> list[FalsePremise]:
    return read_rows(path, FalsePremise)


def read_long_dialogue(path: str | Path) -> list[LongDialogue]:
    rows = read_rows(path, LongDialogue)
    for row in rows:
        if len(row.turns) != len(row.neutral_turns) or not row.turns or len(row.turns) % BRANCHES:
            raise DataError(
                f"{path}: row {row.id} has {len(row.turns)} turns and {len(row.neutral_turns)} neutral ones; expected "
                f"equally many, a multiple of {BRANCHES}"
            )
    return rows


def read_tampering(path: str | Path) -> list[TemptingTask]:
    return read_rows(path, TemptingTask)
