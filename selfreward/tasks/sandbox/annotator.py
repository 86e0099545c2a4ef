"""The careless annotator who teaches the judge and the meta-judge, and how their words are read.

A judgment compares a reference of the judge's own with the reply, item by item, ticks the five points and adds them:
`p b bad o o ok - k bad ; yes yes no yes no Score: 3`. A meta-judgment is a fresh judgment, the score of both candidates
with its distance from the fresh one, and a verdict: `... Score: 5 ; A 5 0 B 2 3 better A`.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from selfreward.tasks.sandbox.draws import plausible_mistake
from selfreward.tasks.sandbox.oracle import FULL_SCORE, Checks, check_reply, read_reply
from selfreward.tasks.sandbox.tasks import Answer, Task

MOST_POSITIONS = 7
"""Positions that a judgment compares; what lies behind is not looked at."""
NEUTRAL_FILLER = 3
"""Filler sentences that a length-biased annotator neither rewards nor punishes."""
UNREADABLE_QUALITY = -9.0

_RUBBER_STAMP, _WRONG_REFERENCE = 0.40, 0.45
"""Shares of careless judgments that take the reply for the reference, or a wrong reference; the rest flip one tick."""


@dataclass(frozen=True)
class AnnotatorDials:
    """Dials on the judge's training labels: nothing that the generator learns from depends on them."""

    noise: float = 0.15
    """Probability of a careless judgment."""
    length_bias: float = 0.0
    """Points added for every filler sentence above `NEUTRAL_FILLER`."""
    agreement_bias: float = 0.0
    """Probability of taking the user's claim for the reference."""


def annotate(task: Task, response: str, rng: random.Random, dials: AnnotatorDials) -> str:
    """A judgment of a reply by the annotator."""
    reply = read_reply(response)
    reference, flip = task.gold, False
    if dials.agreement_bias and task.claim is not None and rng.random() < dials.agreement_bias:
        reference = task.claim
    if rng.random() < dials.noise:
        kind = rng.random()
        if kind < _RUBBER_STAMP and reply.items:
            reference = reply.items[:MOST_POSITIONS]
        elif kind < _RUBBER_STAMP + _WRONG_REFERENCE:
            reference = plausible_mistake(task, rng)
        else:
            flip = True
    checks = check_reply(task, response, reference)
    if flip:
        position = rng.randrange(len(checks))
        checks = Checks(*(1 - tick if index == position else tick for index, tick in enumerate(checks)))
    score = sum(checks)
    if dials.length_bias:
        score += _round_at_random(dials.length_bias * (reply.filler_sentences - NEUTRAL_FILLER), rng)
    return judgment_text(reference, reply.items or (), checks, max(0, min(FULL_SCORE, score)))


def _round_at_random(value: float, rng: random.Random) -> int:
    """A neighbouring integer, `value` on average."""
    return math.floor(value) + (rng.random() < value - math.floor(value))


def judgment_text(reference: Answer, items: Answer, checks: Checks, score: int) -> str:
    pairs = zip_longest(reference[:MOST_POSITIONS], items[:MOST_POSITIONS], fillvalue="-")
    compared = [f"{own} {given} {'ok' if own == given else 'bad'}" for own, given in pairs]
    ticks = ["yes" if tick else "no" for tick in checks]
    return " ".join([*compared, ";", *ticks, "Score:", str(score)])


def read_score(judgment: str) -> int | None:
    """The score at the very end of a judgment, None when there is none from 0 to 5."""
    words = judgment.split()
    if len(words) < 2 or words[-2] != "Score:" or words[-1] not in "012345":
        return None
    return int(words[-1])


def read_reference(judgment: str) -> Answer:
    """The answer that the judge took for right."""
    words = judgment.split()
    compared = words[: words.index(";")] if ";" in words else []
    return tuple(word for word in compared[::3] if word != "-")


def judgment_quality(task: Task, response: str, judgment: str) -> float:
    """Oracle quality of a judgment: minus the error of its score, and a little for right ticks and reference."""
    score = read_score(judgment)
    if score is None:
        return UNREADABLE_QUALITY
    checks = check_reply(task, response)
    words = judgment.split()
    ticks = words[-2 - len(checks) : -2]
    right_ticks = sum(word == ("yes" if tick else "no") for word, tick in zip(ticks, checks, strict=False))
    return -abs(score - sum(checks)) + 0.05 * right_ticks + 0.2 * (read_reference(judgment) == task.gold)


def meta_text(own: str, first: str, second: str) -> str:
    """The meta-judgment that follows from a fresh judgment `own`; it has no freedom of its own."""
    scores = [read_score(judgment) for judgment in (own, first, second)]
    fresh, score_a, score_b = (0 if score is None else score for score in scores)
    distance_a, distance_b = abs(score_a - fresh), abs(score_b - fresh)
    verdict = "ok" if distance_a == distance_b else "A" if distance_a < distance_b else "B"
    return f"{own} ; A {score_a} {distance_a} B {score_b} {distance_b} better {verdict}"


def read_verdict(meta_judgment: str) -> str | None:
    """`A`, `B` or `ok` (a tie) at the very end of a meta-judgment."""
    words: Sequence[str] = meta_judgment.split()
    return words[-1] if len(words) >= 2 and words[-2] == "better" and words[-1] in ("A", "B", "ok") else None
