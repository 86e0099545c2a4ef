"""What a metric may look at: one round's sealed rows, and the same pools' rows of round 0 for paired changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from selfreward.records import Drop, Judgment, Labelled, Likelihood, MetaJudgment, Pair, Prompt, Response


@dataclass(frozen=True, slots=True)
class Truth:
    """What a verifier says of one answer. `quality` is on the judge's scale; `echoes_claim` is None without a claim.

    `answer` is the answer with everything around it removed, so that distinct answers can be counted. `open` says why
    the verifier leaves the answer open (it raised, ran out of time, has nothing to compare with): never correct then.
    """

    quality: float
    correct: bool
    answer: str
    wrong_claim: bool
    echoes_claim: bool | None
    open: str = ""


class Verifier(Protocol):
    def require(self, prompt: Prompt) -> None:
        """Raise DataError, before a run starts, for a prompt whose answers could not be verified."""
        ...

    def check(self, prompt: Prompt, text: str) -> Truth:
        """The truth about `text` as an answer to `prompt`."""
        ...

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        """How right a judgment of `answer` is; higher is better, only differences of one answer's matter."""
        ...


@dataclass(frozen=True, slots=True)
class PoolRows:
    """A policy's samples on the frozen prompt pools and its judge's scores of them."""

    prompts: Sequence[Prompt]
    responses: Sequence[Response]
    judgments: Sequence[Judgment]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All rows of one round. `likelihoods` maps "policy" / "previous" / "initial" to rows about `pools.responses`.

    `round_*` are the rows that made this round's policy (empty at round 0). `initial` are round 0's pool rows and
    `previous` those of the round before. `frozen_judgments_*` are what the judges of those rounds said of `frozen`.
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
