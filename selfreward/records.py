"""The nouns of a run. A row on disk is one record, whole, and holds nothing that differs between two equal runs.

Rows join by id, never by position. Ids are made from what identifies a row (`stable_id`), so a resumed run and an
uninterrupted one write the same ids.
"""

import dataclasses
import hashlib
import json
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Self, TypeVar

from selfreward.errors import DataError

FinishReason = Literal["stop", "length", "too long"]
"""`too long`: the question alone did not fit, so nobody was asked."""

Pool = Literal["train", "gate", "selection", "report", "frozen", "locked"]
PairKind = Literal["answer", "judgment"]
T = TypeVar("T")

LOWEST, HIGHEST = 0.0, 5.0
"""The scale of all scores (SRLM's additive prompt): judges', people's, verifiers' qualities and ratings."""

OMIT_WHEN_EMPTY = {"omit_when_empty": True}
"""Metadata of an optional field that is written only where it says something: rows without it keep their bytes."""


def stable_id(*parts: object) -> str:
    """16 hex digits that depend on `parts` and on nothing else (SHA-256 of their JSON)."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, default=str).encode()).hexdigest()[:16]


def seed_for(*parts: object) -> int:
    """A seed in [0, 2**31) made from run seed, round, role and ids: the same work always gets the same seed."""
    return int(stable_id(*parts), 16) % 2**31


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
    `source` names generator and temperature where several answer.
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
class Pair:
    """A preference to be trained on. `label` is P(chosen is better); the token ids are the sampled ones.

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


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number with its 95 % interval. `n` counts clusters (prompts) unless the metric's docstring says otherwise.

    `oracle` marks rows that used knowledge a real user would not have: gates and selection refuse them. `better` says
    which direction is an improvement, or "" where none is.
    """

    round: int
    policy: str
    metric: str
    cohort: str
    pool: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    excluded: int
    better: Literal["higher", "lower", ""]
    oracle: bool = False


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


Record = (
    Prompt
    | Response
    | Judgment
    | Comparison
    | Ranking
    | MetaJudgment
    | Pair
    | Reward
    | Sample
    | Drop
    | Checkpoint
    | Measurement
    | Likelihood
)


class Rows(list[T]):
    """The rows of a sealed artifact, with the digest of its file: what is made from them names it."""

    def __init__(self, rows: Iterable[T] = (), digest: str = "") -> None:
        super().__init__(rows)
        self.digest = digest


def by_id(rows: Iterable[Any]) -> dict[str, Any]:
    """Rows of one kind by their ids."""
    return {row.id: row for row in rows}


def to_line(record: Any) -> str:
    """One JSON line, keys sorted, without the newline. NaN is refused: a missing value is null."""
    return json.dumps(_fields(record), ensure_ascii=False, sort_keys=True, allow_nan=False, default=_fields)


def _fields(record: Any) -> dict[str, Any]:
    """The fields of a record, not copied (`dataclasses.asdict` copies every token id: 15 times slower)."""
    values = {name: getattr(record, name) for name in record.__dataclass_fields__}
    for name in _omitted_when_empty(record.__class__):
        if values[name] is None or values[name] == {}:
            del values[name]
    return values


@cache
def _omitted_when_empty(kind: type) -> tuple[str, ...]:
    return tuple(item.name for item in dataclasses.fields(kind) if item.metadata.get("omit_when_empty"))


@cache
def _field_types(kind: type) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)


@cache
def _builder(annotation: Any) -> Callable[[Any, str], Any] | None:
    """How a JSON value becomes `annotation`: nested records and tuples are rebuilt; None passes the value through."""
    if dataclasses.is_dataclass(annotation):
        return lambda value, where: from_dict(annotation, value, where)
    if typing.get_origin(annotation) is tuple:
        item_builder = _builder(typing.get_args(annotation)[0])
        if item_builder is None:
            return lambda value, _: tuple(value)
        return lambda value, where: tuple(item_builder(item, where) for item in value)
    return None


@cache
def _builders(kind: type) -> Mapping[str, Callable[[Any, str], Any]]:
    """The fields of `kind` that JSON does not give back as they were."""
    found = {name: _builder(annotation) for name, annotation in _field_types(kind).items()}
    return {name: builder for name, builder in found.items() if builder is not None}


def from_dict(kind: Any, row: Any, where: str) -> Any:
    """A record of class `kind` from a parsed JSON object.

    Raises DataError naming `where` when a field is missing or unknown.
    """
    hints = _field_types(kind)
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected a JSON object for {kind.__name__}, found {type(row).__name__}")
    unknown = sorted(row.keys() - hints.keys())
    if unknown:
        raise DataError(f"{where}: unknown field {unknown[0]!r} for {kind.__name__}; expected {', '.join(hints)}")
    try:
        rebuilt = {name: builder(row[name], where) for name, builder in _builders(kind).items() if name in row}
        return kind(**{**row, **rebuilt})
    except (TypeError, ValueError) as problem:
        raise DataError(f"{where}: not a {kind.__name__}: {problem}") from problem


def from_line(kind: type[T], line: str, where: str) -> T:
    """The inverse of `to_line`. Raises DataError naming `where` for a line that is not whole."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as problem:
        raise DataError(f"{where}: not a whole JSON line ({problem}); the file was cut or edited") from problem
    record: T = from_dict(kind, row, where)
    return record


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


def pair_drop(kind: str, subject: str, reason: str, detail: str = "", *which: str) -> Drop:
    """The record of something that did not become a pair of this kind; `which` tells several of one subject apart."""
    return Drop(stable_id("drop", "pairs", kind, subject, *which), "pairs", kind, subject, reason, detail)
