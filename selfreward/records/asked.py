"""What is asked and what is answered: prompts, responses, and answers whose score is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from selfreward.records.lines import OMIT_WHEN_EMPTY

FinishReason = Literal["stop", "length", "too long"]
"""`too long`: the question alone did not fit, so nobody was asked."""


Pool = Literal["train", "gate", "selection", "report", "frozen", "locked"]


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the generator is asked. `source`: sandbox, file or self; `cohort` groups prompts in reports.

    `answer` is the gold answer and `meta` what a verifier needs beside it; the model never sees either.
    """

    id: str
    messages: tuple[Message, ...]
    pool: Pool
    source: str
    cohort: str = ""
    answer: str | None = field(default=None, metadata=OMIT_WHEN_EMPTY)
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False, metadata=OMIT_WHEN_EMPTY)

    @property
    def text(self) -> str:
        """The last user turn."""
        return next(m.content for m in reversed(self.messages) if m.role == "user")


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. `text` is what is judged; `reasoning` is what stood inside thinking tags and was cut.

    `token_ids` are the sampled tokens with the end-of-turn token when `finish_reason` is "stop": training uses these,
    never re-tokenised text. `logprob` is their sum of log-probabilities under the sampling policy at temperature 1.
    `source` names generator and temperature where several answer. `parent` is the answer that this one revises.
    """

    id: str
    prompt_id: str
    sample: int
    policy: str
    text: str
    reasoning: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    seed: int
    template: str
    logprob: float | None = None
    source: str | None = field(default=None, metadata=OMIT_WHEN_EMPTY)
    parent: str | None = field(default=None, metadata=OMIT_WHEN_EMPTY)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Per-token log-probabilities (nats) of a stored response under a policy, at temperature 1.

    Those that become samples of a policy gradient are at the temperature of the sampling.
    """

    id: str
    response_id: str
    policy: str
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Labelled:
    """One answer of the frozen pool with the score it deserves; every round's judge scores the same ones.

    `source` says whose score that is: "human", or null for an oracle. Rows whose prompt is of the pool `locked` are
    reported and steer nothing.
    """

    prompt: Prompt
    response: Response
    label: float
    source: str | None = field(default=None, metadata=OMIT_WHEN_EMPTY)

    @property
    def id(self) -> str:
        return self.response.id


def distinct(responses: Sequence[Response]) -> list[Response]:
    """One response per (prompt, text), in the order given: the judge reads text, so equal texts are one answer.

    A complete response stands for a truncated one of the same text, then the lowest sample number. An empty answer is
    an answer: it is kept, judged, and may be rejected.
    """
    first: dict[tuple[str, str], Response] = {}
    for response in responses:
        key = (response.prompt_id, response.text)
        if key not in first or _rank(response) < _rank(first[key]):
            first[key] = response
    kept = {response.id for response in first.values()}
    return [response for response in responses if response.id in kept]


def _rank(response: Response) -> tuple[bool, int, str]:
    return response.finish_reason != "stop", response.sample, response.id
