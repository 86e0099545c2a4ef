"""What a judge said. An unreadable reply is its own outcome, never a number."""

import dataclasses
from dataclasses import dataclass, field
from typing import Literal, Self

from selfreward.records.asked import FinishReason
from selfreward.records.lines import OMIT_WHEN_EMPTY


@dataclass(frozen=True, slots=True)
class Judgment:
    """One reply of the judge about one response: a `score`, or the reason why there is none. Never both.

    `mass` is the probability of all score words together, where the score was read from probabilities.
    """

    id: str
    response_id: str
    prompt_id: str
    sample: int
    judge: str
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    seed: int
    template: str
    score: float | None
    unreadable: str | None
    source: str = "judge"
    mass: float | None = field(default=None, metadata=OMIT_WHEN_EMPTY)

    def __post_init__(self) -> None:
        if (self.score is None) == (self.unreadable is None):
            raise ValueError(f"judgment {self.id}: exactly one of score and unreadable must be set")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One reply of a pairwise judge about two responses in this order: `preference` is P(first is better).

    It is 1, 1/2 or 0 where a verdict was read, or `unreadable` says why there is none. `principle` names what was
    asked about, where a constitution was. `mass` is the probability of both labels together.
    """

    id: str
    prompt_id: str
    first_id: str
    second_id: str
    judge: str
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    seed: int
    template: str
    preference: float | None
    unreadable: str | None
    mass: float | None = field(default=None, metadata=OMIT_WHEN_EMPTY)
    principle: str = ""

    def __post_init__(self) -> None:
        if (self.preference is None) == (self.unreadable is None):
            raise ValueError(f"comparison {self.id}: exactly one of preference and unreadable must be set")

    def swap(self) -> Self:
        """The same verdict told the other way round: slots and preference are exchanged."""
        turned = None if self.preference is None else 1.0 - self.preference
        return dataclasses.replace(self, first_id=self.second_id, second_id=self.first_id, preference=turned)


@dataclass(frozen=True, slots=True)
class Ranking:
    """One reply of a judge that ranks all answers to a prompt, shown in this order: `ranks` are those of the slots.

    1 is the best, equals share their mean rank; or `unreadable` says why there is no ranking.
    """

    id: str
    prompt_id: str
    shown: tuple[str, ...]
    judge: str
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    seed: int
    template: str
    ranks: tuple[float, ...]
    unreadable: str | None

    def __post_init__(self) -> None:
        if len(self.ranks) != (0 if self.unreadable is not None else len(self.shown)):
            raise ValueError(f"ranking {self.id}: a rank for every answer shown, or unreadable, must be set")


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """One reply about step `step` (from 1) of the `steps` of an answer: `right` is P(it is right).

    It is 1 or 0 where a verdict was read, or `unreadable` says why there is none. `mass` is the probability of both
    labels together.
    """

    id: str
    response_id: str
    prompt_id: str
    step: int
    steps: int
    judge: str
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    seed: int
    template: str
    right: float | None
    unreadable: str | None
    mass: float | None = field(default=None, metadata=OMIT_WHEN_EMPTY)

    def __post_init__(self) -> None:
        if (self.right is None) == (self.unreadable is None):
            raise ValueError(f"step {self.id}: exactly one of right and unreadable must be set")


@dataclass(frozen=True, slots=True)
class MetaJudgment:
    """One comparison of two judgments of the same response; `winner` names a slot, or `unreadable` says why not."""

    id: str
    prompt_id: str
    response_id: str
    first_id: str
    second_id: str
    judge: str
    text: str
    finish_reason: FinishReason
    seed: int
    template: str
    winner: Literal["first", "second", "tie"] | None
    unreadable: str | None


@dataclass(frozen=True, slots=True)
class Speech:
    """One speech of the debate about two answers, in round `turn` (from 1), for the answer in slot `slot` (1 or 2).

    `quotes` are its quotations, `found` those that are word for word in what both sides can see.
    """

    id: str
    prompt_id: str
    first_id: str
    second_id: str
    turn: int
    slot: int
    debater: str
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    seed: int
    template: str
    quotes: int
    found: int
