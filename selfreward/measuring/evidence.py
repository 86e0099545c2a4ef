"""What a metric may look at: one round's sealed rows, and the same pools' rows of round 0 for paired changes."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from selfreward.judging.revising.rows import Critique, Revision
from selfreward.records import (
    Comparison,
    Drop,
    Judgment,
    Labelled,
    Likelihood,
    MetaJudgment,
    Pair,
    Pool,
    Prompt,
    Response,
    Reward,
    Rows,
    Sample,
    stable_id,
    to_line,
)
from selfreward.tasks.verifiers.protocol import Verifier


@dataclass(frozen=True, slots=True)
class PoolRows:
    """A policy's samples on the frozen prompt pools and its judge's scores of them."""

    prompts: Sequence[Prompt]
    responses: Sequence[Response]
    judgments: Sequence[Judgment]


@dataclass(frozen=True, slots=True)
class ProbeReply:
    """A reply that the judge scores so that something is learned of the judge. The replies of one `unit` are compared.

    A unit stands for one prompt. `arm` says what was done: padding added, a claim named, a liking told.
    """

    question: Literal["padded", "claims", "feedback"]
    unit: str
    arm: str
    prompt: Prompt
    response: Response

    @property
    def id(self) -> str:
        return self.response.id


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a judge that the run does not train on says of the answers `asked` about, of this round and earlier ones.

    `judgments` are its scores; `comparisons`, of a pairwise judge alone, its verdicts on this round's answers beside
    earlier ones in both orders. `trains`: it is the policy itself, or its weights have also scored answers for
    training in this run, so that it is not held out.
    """

    trains: bool
    asked: Sequence[str]
    judgments: Sequence[Judgment] = ()
    comparisons: Sequence[Comparison] | None = None


@dataclass(frozen=True, slots=True)
class AskedValue:
    """What a probe found about one question; `value` is None where the question is left out.

    `share`: values are 0 or 1. `cohort` "" belongs to none.
    """

    id: str
    metric: str
    question: str
    cluster: str
    value: float | None
    share: bool
    better: Literal["higher", "lower", ""]
    pool: Pool = "report"
    cohort: str = ""
    oracle: bool = False


@dataclass(frozen=True, slots=True)
class ByClassifier:
    """A cohort's judgments are probabilities of one label; `threshold` of them flags an answer.

    `flags` are the classifier's own on labelled rows, and `labels` what they should be; both empty where none are.
    """

    threshold: float
    flags: tuple[bool, ...] = ()
    labels: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class CohortRows:
    """A named set of frozen prompts with this round's and round 0's answers, graded by `verifier`, or by the judgments.

    `oracle`: the verifier knows what a user would not. `classifier`: whose the judgments are, where one grades.
    """

    name: str
    now: PoolRows
    initial: PoolRows
    verifier: Verifier | None
    oracle: bool = False
    classifier: ByClassifier | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """All rows of one round. `likelihoods` maps "policy" / "previous" / "initial" to rows about `pools.responses`.

    `round_*` are the rows that made this round's policy (empty at round 0). `initial` are round 0's pool rows and
    `previous` those of the round before. `frozen_judgments_*` are what the judges of those rounds said of `frozen`.
    `locked` are the labelled answers that must not steer, apart from `frozen`; `locked_judgments` are about them.
    `history` are the pool rows of all rounds that led here, from round 0 on. `initial_rejudged` and `text_likelihoods`
    ("policy", "initial") are about some of round 0's answers: what this round's judge and policy make of them.
    `reward_*`: where this round trained a reward model, preferences that it was not trained on, and its own judgments.
    `round_revised` are the answers' last revisions, `words` those that no answer should have.
    """

    round: int
    policy: str
    pools: PoolRows
    initial: PoolRows
    frozen: Sequence[Labelled]
    frozen_judgments: Sequence[Judgment]
    likelihoods: Mapping[str, Sequence[Likelihood]]
    round_prompts: Sequence[Prompt]
    round_responses: Sequence[Response]
    round_judgments: Sequence[Judgment]
    round_meta: Sequence[MetaJudgment]
    round_pairs: Sequence[Pair]
    round_drops: Sequence[Drop]
    training: Mapping[str, float]
    verifier: Verifier | None
    previous: PoolRows | None = None
    frozen_judgments_previous: Sequence[Judgment] = ()
    frozen_judgments_initial: Sequence[Judgment] = ()
    locked: Sequence[Labelled] = ()
    locked_judgments: Sequence[Judgment] = ()
    history: Sequence[PoolRows] = ()
    probes: Sequence[ProbeReply] = ()
    probe_judgments: Sequence[Judgment] = ()
    initial_rejudged: Sequence[Judgment] = ()
    text_likelihoods: Mapping[str, Sequence[Likelihood]] = field(default_factory=dict)
    held_out: HeldOut | None = None
    asked: Sequence[AskedValue] = ()
    asked_initial: Sequence[AskedValue] = ()
    cohorts: Sequence[CohortRows] = ()
    round_rewards: Sequence[Reward] = ()
    round_samples: Sequence[Sample] = ()
    reward_prompts: Sequence[Prompt] = ()
    reward_responses: Sequence[Response] = ()
    reward_pairs: Sequence[Pair] = ()
    reward_scores: Sequence[Judgment] = ()
    round_critiques: Sequence[Critique] = ()
    round_revisions: Sequence[Revision] = ()
    round_revised: Sequence[Response] = ()
    words: Sequence[str] = ()

    @property
    def digest(self) -> str:
        """Of all rows in it. A field that is added counts, so no measurement outlives a row that it was made of."""
        return stable_id({item.name: _digest(getattr(self, item.name)) for item in dataclasses.fields(self)})

    @property
    def frozen_by_people(self) -> bool:
        """The labels of the frozen pool are human ones, which a user of a real model has too: no oracle."""
        return all(row.source == "human" for row in self.frozen)


def _digest(value: Any) -> Any:
    """What stands for a field: the seal's digest where rows have one, else what is written of them."""
    if isinstance(value, Rows) and value.digest:
        return value.digest
    if isinstance(value, Mapping):
        return {str(key): _digest(item) for key, item in sorted(value.items())}
    if isinstance(value, list | tuple):
        return stable_id([_digest(item) for item in value])
    if isinstance(value, PoolRows | HeldOut | CohortRows):
        return {item.name: _digest(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if dataclasses.is_dataclass(value):
        return to_line(value)
    # A verifier is named by the recipe; everything else is a plain value.
    return value if isinstance(value, str | int | float | bool | None) else type(value).__name__
