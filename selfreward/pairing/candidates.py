"""The nouns of pairing: the score of an answer, an answer that may be paired, what a rule picks, and the lot."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from selfreward.recipe import PairsRecipe
from selfreward.records import Drop, Response, stable_id

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Score:
    """What the judge thinks of one answer: `value` over its `readable` judgments; `unreadable` ones are only counted.

    `spread` is the sample variance (n - 1) of the readable scores, or None for a single one.
    """

    value: float
    readable: int
    unreadable: int
    spread: float | None


@dataclass(frozen=True, slots=True)
class Grade:
    """What a verifier says of one answer: its final `answer`, and whether it is `correct`, None where it is left open.

    `quality` is finer where the verifier is; only differences between answers of one prompt mean something.
    """

    answer: str
    correct: bool | None
    quality: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A complete answer with its score. `copies` is how many of the samples it stands for (equal texts are one)."""

    response: Response
    score: Score
    copies: float = 1.0
    grade: Grade | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What a rule may know beside the candidates of one prompt. `samples` counts its answers, truncated too."""

    recipe: PairsRecipe
    round: int
    seed: int
    samples: int
    gold: Response | None = None

    @property
    def rho(self) -> float:
        """The round's length parameter: `pairs.rho` by round, its last value for all later ones."""
        return self.recipe.rho[min(self.round, len(self.recipe.rho)) - 1]

    def length(self, candidate: Candidate) -> int:
        """In characters or tokens, as `pairs.length` says."""
        response = candidate.response
        return len(response.text) if self.recipe.length == "characters" else len(response.token_ids)


@dataclass(frozen=True, slots=True)
class Pick:
    """Two candidates that a rule pairs; their scores are those that the rule compared.

    `source` is the pair's provenance where the rule, not the judge, gives it.
    """

    chosen: Candidate
    rejected: Candidate
    weight: float = 1.0
    win_rates: tuple[float, float] | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a rule makes no pair of a prompt."""

    reason: str
    detail: str = ""


Needs = Literal["scores", "answers", "truth", "gold"]
"""What a rule decides by: scores of the answers, their final answers, the verifier's word, or a gold answer."""

Choose = Callable[[Sequence[Candidate], Situation], Sequence[Pick] | Refusal]


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


def counted(value: float) -> Score:
    """A score that no judge gave: votes, a verdict, a win rate."""
    return Score(value, 1, 0, None)


def pair_drop(kind: str, subject: str, reason: str, detail: str = "", *which: str) -> Drop:
    """The record of something that did not become a pair of this kind; `which` tells several of one subject apart."""
    return Drop(stable_id("drop", "pairs", kind, subject, *which), "pairs", kind, subject, reason, detail)
