"""Verdicts of the sandbox's one-line language, where a reply ends with a word that leads and what it leads to.

    comparison   ... better 2                step   ... is wrong
    list         ... best 2 3 1              rubric ... ; how many 4 3 no ; first b b yes

A word that leads twice to different values contradicts itself. A rubric's reply answers each criterion after a `;`, in
their order and in their words, and ends each answer with yes or no: 5 or 0 points. It opens with anything.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from selfreward.recipe.scale import HIGHEST, LOWEST
from selfreward.roles.unreadable import Unreadable, without_verdict

V = TypeVar("V")

_POINTS = {"yes": HIGHEST, "no": LOWEST}


def last_word(text: str, lead: str, values: Mapping[str, V]) -> V | Unreadable:
    """The value of the last word, which `lead` leads to."""
    spoken = text.split()
    if spoken[-2:-1] != [lead] or spoken[-1] not in values:
        return without_verdict(text)
    named = {after for word, after in pairwise(spoken) if word == lead}
    return values[spoken[-1]] if len(named) == 1 else Unreadable("contradiction", text[-80:])


def up_to(rationale: str, lead: str) -> str:
    """The beginning of a reply up to the word that leads to the verdict; what the rationale's own led to is cut."""
    spoken = rationale.split()
    last = len(spoken) - 1 - spoken[::-1].index(lead) if lead in spoken else len(spoken)
    return " ".join([*spoken[:last], lead])


def order(text: str, lead: str, slots: int) -> tuple[float, ...] | Unreadable:
    """The rank of every slot, 1 for the best, from slots named best first."""
    spoken = text.split()
    if lead not in spoken:
        return without_verdict(text)
    named = spoken[len(spoken) - spoken[::-1].index(lead) :]
    if spoken.count(lead) > 1:
        return Unreadable("contradiction", text[-80:])
    if sorted(named) != sorted(str(slot) for slot in range(1, slots + 1)):
        return Unreadable("no ranking", f"{' '.join(named)[:60]!r} does not name each of {slots} responses once")
    return tuple(float(named.index(str(slot)) + 1) for slot in range(1, slots + 1))


def points(text: str, criteria: Sequence[str]) -> list[float] | Unreadable:
    """The points of every criterion, in the words of `criteria`."""
    answers = [answer.split() for answer in text.split(";")][1:]
    if len(answers) != len(criteria):
        return Unreadable("no verdict", f"{len(answers)} answers to {len(criteria)} criteria")
    for answer, criterion in zip(answers, criteria, strict=True):
        asked = criterion.split()
        if answer[: len(asked)] != asked or len(answer) == len(asked) or answer[-1] not in _POINTS:
            return Unreadable("no verdict", f"no answer for criterion {criterion!r}: {' '.join(answer)[:60]!r}")
    return [_POINTS[answer[-1]] for answer in answers]
