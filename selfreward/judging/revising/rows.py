"""The rows of a revision: what was said against an answer by a principle, and what the answer became."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from selfreward.records import Drop, FinishReason, Response


@dataclass(frozen=True, slots=True)
class Critique:
    """One critique of an answer, or of its last revision (`about`), by one principle, in one turn.

    `finding` is whether there is something to change, or `unusable` says why the reply is no critique. Never both.
    """

    id: str
    prompt_id: str
    response_id: str
    about: str
    turn: int
    principle: str
    critic: str
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    seed: int
    template: str
    finding: Literal["change", "fine"] | None
    unusable: str | None

    def __post_init__(self) -> None:
        if (self.finding is None) == (self.unusable is None):
            raise ValueError(f"critique {self.id}: exactly one of finding and unusable must be set")


@dataclass(frozen=True, slots=True)
class Revision:
    """What `about` became after the critique `critique_id`. `text` is the new answer alone.

    `cut` is what was said about it in front of it and taken off. `token_ids` are those sampled. `unusable` says why the
    answer stays what it was, and None that the revision takes its place.
    """

    id: str
    prompt_id: str
    response_id: str
    about: str
    critique_id: str
    turn: int
    principle: str
    reviser: str
    text: str
    cut: str
    reasoning: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    seed: int
    template: str
    unusable: str | None


@dataclass(frozen=True, slots=True)
class Revised:
    """By the id of the answer: its revision, or why it has none. `preferences`: P(first is better), where asked.

    `faults` has a drop for every critique and every revision that was not used.
    """

    revisions: Mapping[str, Response] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    faults: Sequence[Drop] = ()
    principles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By the id of the answer, those that its revision was made by."""
    digest: str = ""
    preferences: Mapping[tuple[str, str], float] | None = None
