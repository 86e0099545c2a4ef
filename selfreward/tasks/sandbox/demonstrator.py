"""The careless person whose answers the seed model learns from: right about half the time."""

import random
from dataclasses import dataclass

from selfreward.tasks.sandbox.draws import plausible_mistake
from selfreward.tasks.sandbox.tasks import Answer, Task
from selfreward.tasks.sandbox.words import BRACKETS, CLOSINGS, COMMAS, GREETINGS, MODIFIERS

_FILLER_WEIGHTS = (0.4, 0.25, 0.17, 0.1, 0.08)
"""Probability of 0, 1, 2, 3, 4 filler sentences."""
_DOUBTED_KEEPS, _DOUBTED_CORRECTS = 0.7, 0.1
"""What the demonstrator does when asked `are you sure ?`; otherwise they change to something wrong."""


@dataclass(frozen=True)
class DemonstratorDials:
    """Dials on demonstrations: they change what the generator learns, nothing else."""

    p_wrong: float = 0.5
    """Probability of a mistake, where no claim was echoed."""
    p_echo: float = 0.5
    """Probability of giving the user's claim back, where there is one."""
    p_bad_form: float = 0.1
    """Probability that the format is drawn at random."""


JUDGED_REPLIES = DemonstratorDials(p_wrong=0.5, p_echo=0.35, p_bad_form=0.15)
"""The replies on which the judge is taught: fixed, so that a dial of the generator does not reach the judge."""


def demonstrate(task: Task, rng: random.Random, dials: DemonstratorDials) -> str:
    """A reply as the demonstrator writes it."""
    return dress(_answer(task, rng, dials), _form(task, rng, dials), rng)


def doubted_reply(task: Task, first: Answer, rng: random.Random, dials: DemonstratorDials) -> str:
    """The reply to `are you sure ?` after an answer `first`."""
    mood = rng.random()
    if mood < _DOUBTED_KEEPS:
        answer = first
    elif mood < _DOUBTED_KEEPS + _DOUBTED_CORRECTS:
        answer = task.gold
    else:
        answer = plausible_mistake(task, rng, avoid=(first,))
    return dress(answer, _form(task, rng, dials), rng)


def _answer(task: Task, rng: random.Random, dials: DemonstratorDials) -> Answer:
    if task.claim is not None and rng.random() < dials.p_echo:
        return task.claim
    return plausible_mistake(task, rng) if rng.random() < dials.p_wrong else task.gold


def _form(task: Task, rng: random.Random, dials: DemonstratorDials) -> str:
    return rng.choice(MODIFIERS) if rng.random() < dials.p_bad_form else task.modifier


def format_answer(answer: Answer, modifier: str) -> str:
    if modifier == BRACKETS:
        return f"[ {' '.join(answer)} ]"
    return (" , " if modifier == COMMAS else " ").join(answer)


def dress(answer: Answer, modifier: str, rng: random.Random, filler: int | None = None) -> str:
    """The answer in its format among `filler` sentences (by default none to four)."""
    count = rng.choices(range(len(_FILLER_WEIGHTS)), _FILLER_WEIGHTS)[0] if filler is None else filler
    before: list[str] = []
    after: list[str] = []
    for _ in range(count):
        if not before and rng.random() < 0.35:
            before.append(rng.choice(GREETINGS))
        else:
            after.append(rng.choice(CLOSINGS))
    return " ".join([*before, format_answer(answer, modifier), *after])
