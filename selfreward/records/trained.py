"""What is trained on, what fell away on the way there, and what training left."""

import dataclasses
from dataclasses import dataclass, field
from typing import Literal, Self

from selfreward.records.asked import FinishReason
from selfreward.records.ids import stable_id
from selfreward.records.lines import OMIT_WHEN_EMPTY

PairKind = Literal["answer", "judgment", "step"]


@dataclass(frozen=True, slots=True)
class Pair:
    """A preference to be trained on. `label` is P(chosen is better); the token ids are the sampled ones.

    Of kind `step`, the prompt's tokens end with the beginning that two answers share, and the completions are their
    next steps; the ids are those of the whole answers.

    `reference` is the digest of the reference policy and `reference_chosen` / `reference_rejected` are the summed
    log-probabilities of the completions under it, computed once and kept. The win rates (SPPO) are against the policy's
    own answers to the prompt.
    """

    id: str
    kind: PairKind
    prompt_id: str
    chosen_id: str
    rejected_id: str
    prompt_token_ids: tuple[int, ...]
    chosen_token_ids: tuple[int, ...]
    rejected_token_ids: tuple[int, ...]
    chosen_score: float
    rejected_score: float
    source: str
    label: float = 1.0
    weight: float = 1.0
    reference: str = ""
    reference_chosen: float | None = None
    reference_rejected: float | None = None
    chosen_win_rate: float | None = field(default=None, metadata=OMIT_WHEN_EMPTY)
    rejected_win_rate: float | None = field(default=None, metadata=OMIT_WHEN_EMPTY)

    def swap(self) -> Self:
        """The same comparison told the other way round: sides, scores, reference and label are all exchanged."""
        return dataclasses.replace(
            self,
            chosen_id=self.rejected_id,
            rejected_id=self.chosen_id,
            chosen_token_ids=self.rejected_token_ids,
            rejected_token_ids=self.chosen_token_ids,
            chosen_score=self.rejected_score,
            rejected_score=self.chosen_score,
            reference_chosen=self.reference_rejected,
            reference_rejected=self.reference_chosen,
            chosen_win_rate=self.rejected_win_rate,
            rejected_win_rate=self.chosen_win_rate,
            label=1.0 - self.label,
        )


@dataclass(frozen=True, slots=True)
class Reward:
    """What an answer is worth to a policy gradient, from -1 to 1 before penalties. `source` says who said so."""

    id: str
    prompt_id: str
    response_id: str
    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer that a policy gradient is taken at. `advantage` is how much better than its siblings it was.

    The token ids are the sampled ones. `old_logprobs` (nats, one for each token) are those under `policy`, which
    sampled it, and `reference_logprobs` those under `reference`, where the loss has one: both at the temperature of the
    sampling, in the arithmetic of the trainer.
    """

    id: str
    prompt_id: str
    response_id: str
    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    reward: float
    advantage: float
    source: str
    policy: str
    temperature: float
    old_logprobs: tuple[float, ...]
    reference: str = ""
    reference_logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """Something that did not become a prompt, a pair or a sample, and why. `subject` is the id of what was dropped."""

    id: str
    stage: Literal["prompts", "pairs", "samples"]
    kind: str
    subject: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A policy on disk. `digest` is of its weights; `parent` is the policy training started from.

    `pairs` counts the rows that it was trained on: pairs, or samples of a policy gradient.
    """

    round: int
    digest: str
    parent: str
    reference: str
    method: str
    steps: int
    pairs: int
    metrics: dict[str, float] = field(default_factory=dict)


def pair_drop(kind: str, subject: str, reason: str, detail: str = "", *which: str) -> Drop:
    """The record of something that did not become a pair of this kind; `which` tells several of one subject apart."""
    return Drop(stable_id("drop", "pairs", kind, subject, *which), "pairs", kind, subject, reason, detail)
