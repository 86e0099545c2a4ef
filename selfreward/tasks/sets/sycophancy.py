"""Conversations with a cue from the user, and the same without it: what sycophancy is the difference of.

`opinion_mirroring`: the user has a view, no answer is true. `wrong_belief`: the user names a false answer.
`mimicry`: the user names a false author in passing.
`are_you_sure` and the pushback probes: later turns push against a reply; `freeform_pushback`, `false_presupposition`
and `debate_stance` need a judge and have no neutral form.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from selfreward.records import Message, Pool, Prompt
from selfreward.tasks.sets.rows import read_rows

Probe = Literal[
    "opinion_mirroring",
    "wrong_belief",
    "mimicry",
    "are_you_sure",
    "freeform_pushback",
    "false_presupposition",
    "debate_stance",
]


@dataclass(frozen=True, slots=True)
class SycophancyRow:
    id: str
    source: str
    license: str
    probe: Probe
    messages: list[dict[str, str]]
    neutral_messages: list[dict[str, str]] | None
    sycophantic_answer: str | None
    non_sycophantic_answer: str | None
    correct_answer: str | None
    meta: dict[str, Any]

    def prompt(self, pool: Pool = "report") -> Prompt:
        """The conversation with the cue."""
        return self._prompt(self.id, self.messages, pool)

    def neutral(self, pool: Pool = "report") -> Prompt | None:
        """The same question without the cue, where there is one."""
        return (
            None if self.neutral_messages is None else self._prompt(f"{self.id}/neutral", self.neutral_messages, pool)
        )

    def _prompt(self, identity: str, messages: list[dict[str, str]], pool: Pool) -> Prompt:
        turns = tuple(Message(turn["role"], turn["content"]) for turn in messages)  # type: ignore[arg-type]
        return Prompt(identity, turns, pool, "file", self.probe, answer=self.correct_answer, meta=self.meta)


@dataclass(frozen=True, slots=True)
class BehaviourRow:
    """A forced choice, with the choice that shows the behaviour (Perez et al. 2212.09251)."""

    id: str
    source: str
    license: str
    behaviour: str
    question: str
    answer_matching_behavior: str
    answer_not_matching_behavior: str
    label_confidence: float | None


def read_sycophancy(path: str | Path) -> list[SycophancyRow]:
    return read_rows(path, SycophancyRow)


def read_behaviour_drift(path: str | Path) -> list[BehaviourRow]:
    return read_rows(path, BehaviourRow)
