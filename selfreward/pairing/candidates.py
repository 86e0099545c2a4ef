"""The nouns of pairing: the score of an answer, an answer that may be paired, and the lot drawn between equals."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

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
class Candidate:
    """A complete answer with its score."""

    response: Response
    score: Score


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


def pair_drop(kind: str, subject: str, reason: str, detail: str = "") -> Drop:
    """The record of something that did not become a pair of this kind."""
    return Drop(stable_id("drop", "pairs", kind, subject), "pairs", kind, subject, reason, detail)
