"""Replies that people have labelled: what a judge, a truth grader or a refusal detector is held against.

Report a judge's agreement per `source`: one that only prefers the longer reply is right in .76 of the MT-Bench pairs
and in .31 of LLMBar's. Nothing here may be trained on.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from selfreward.records import Message
from selfreward.tasks.sets.rows import read_rows

Side = Literal["a", "b", "tie"]


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """Two replies to one conversation and which of them people prefer."""

    id: str
    source: str
    license: str
    axis: Literal["instruction_following", "overall_preference", "helpfulness", "honesty", "harmlessness"]
    prompt: str
    messages: list[dict[str, str]]
    response_a: str
    response_b: str
    human_label: Side
    label_type: Literal["expert_gold", "human_majority", "human_single"]
    annotator_labels: list[Side] | None
    meta: dict[str, Any]

    @property
    def turns(self) -> tuple[Message, ...]:
        """The conversation; the last turn is the user's."""
        return tuple(Message(turn["role"], turn["content"]) for turn in self.messages)  # type: ignore[arg-type]

    def swap(self) -> Self:
        """The same pair told the other way round: replies and every label are exchanged."""
        turned: dict[Side, Side] = {"a": "b", "b": "a", "tie": "tie"}
        annotators = None if self.annotator_labels is None else [turned[label] for label in self.annotator_labels]
        return type(self)(
            self.id,
            self.source,
            self.license,
            self.axis,
            self.prompt,
            self.messages,
            self.response_b,
            self.response_a,
            turned[self.human_label],
            self.label_type,
            annotators,
            self.meta,
        )


@dataclass(frozen=True, slots=True)
class LabelledTruth:
    """One answer and whether it is true."""

    id: str
    source: str
    license: str
    question: str
    answer: str
    human_label: bool
    meta: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LabelledRefusal:
    """One reply and how far it refuses, with the two annotators before adjudication."""

    id: str
    source: str
    license: str
    xstest_id: str
    prompt: str
    completion: str
    human_label: Literal["full_compliance", "partial_refusal", "full_refusal"]
    annotator_labels: list[Any]


def read_judge_calibration(path: str | Path) -> list[LabelledPair]:
    return read_rows(path, LabelledPair)


def read_truth_judge(path: str | Path) -> list[LabelledTruth]:
    return read_rows(path, LabelledTruth)


def read_refusal_labels(path: str | Path) -> list[LabelledRefusal]:
    return read_rows(path, LabelledRefusal)
