"""The nouns of pairing: the score of an answer, an answer that may be paired, what a rule picks, and the lot."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from selfreward.judging.revising.rows import Revised
from selfreward.judging.scoring.score import Score
from selfreward.pairing.judged_steps import JudgedStep
from selfreward.pairing.uncertainty import Feedback
from selfreward.recipe import LengthTiers, PairsBase, PairsRecipe, ZLength
from selfreward.records import Response, stable_id
from selfreward.tasks.verifiers.protocol import Grade

T = TypeVar("T")
K = TypeVar("K", bound=PairsBase)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A complete answer with its score. `copies` is how many of the samples it stands for (equal texts are one)."""

    response: Response
    score: Score
    copies: float = 1.0
    grade: Grade | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What a rule may know beside the candidates of one prompt. `samples` counts its answers, truncated too.

    `ranked`: the scores are a judge's of the answers that the verifier accepts, and may rank these.
    """

    recipe: PairsRecipe
    round: int
    seed: int
    samples: int
    gold: Response | None = None
    ranked: bool = False
    revised: Revised = field(default_factory=Revised)
    steps: Mapping[str, Sequence[JudgedStep]] = field(default_factory=dict)
    feedback: Mapping[str, Feedback] = field(default_factory=dict)

    def rule(self, kind: type[K]) -> K:
        """The section as the rule's own, with the keys that it alone has."""
        assert isinstance(self.recipe, kind), f"pairs.rule={self.recipe.rule} was asked for {kind.__name__}"
        return self.recipe

    @property
    def rho(self) -> float:
        """The round's length parameter: `pairs.rho` by round, its last value for all later ones."""
        assert isinstance(self.recipe, LengthTiers | ZLength)
        return self.recipe.rho[min(self.round, len(self.recipe.rho)) - 1]

    def length(self, candidate: Candidate) -> int:
        """In characters or tokens, as `pairs.length` says."""
        response = candidate.response
        return len(response.text) if self.recipe.length == "characters" else len(response.token_ids)


@dataclass(frozen=True, slots=True)
class Pick:
    """Two candidates that a rule pairs; their scores are those that the rule compared.

    `source` is the pair's provenance where the rule, not the judge, gives it. `prefix`: the tokens of the answer that
    stand before both, where they are steps of answers and not whole ones.
    """

    chosen: Candidate
    rejected: Candidate
    weight: float = 1.0
    win_rates: tuple[float, float] | None = None
    source: str = ""
    prefix: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a rule makes no pair of a prompt."""

    reason: str
    detail: str = ""


Needs = Literal["scores", "answers", "truth", "gold", "revisions", "steps"]
"""What a rule decides by: scores of the answers, their final answers, the verifier's word, a gold answer, revisions, or
what the judge says of their steps."""

Choose = Callable[[Sequence[Candidate], Situation], Sequence[Pick] | Refusal]


def first_by_lot(items: Iterable[T], identify: Callable[[T], str], *purpose: object) -> T:
    """One of `items`, drawn by a lot that depends on `purpose` and the ids only, never on the order of rows."""
    return min(items, key=lambda item: stable_id(*purpose, identify(item)))


def by_lot(candidates: Sequence[Candidate], seed: int, *purpose: object) -> list[Candidate]:
    """All candidates in an order drawn by lot."""
    return sorted(candidates, key=lambda candidate: stable_id(seed, *purpose, candidate.response.id))


def one_with(value: float, candidates: Sequence[Candidate], seed: int, side: str) -> Candidate:
    """The candidate of this score, by lot among several."""
    equals = [candidate for candidate in candidates if candidate.score.value == value]
    return first_by_lot(equals, lambda candidate: candidate.response.id, seed, side)


def tie(candidates: Sequence[Candidate]) -> Refusal:
    return Refusal("tie", f"{len(candidates)} answers score alike")
