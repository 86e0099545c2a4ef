"""The expected score from the probabilities of the score tokens (d-RLAIF, 2309.00267 §2; G-Eval, 2303.16634).

    E = sum_i i * p_i / sum_i p_i        i = 0 .. 5 or 1 .. 10, mass = sum_i p_i

It removes the noise of sampling a verdict, not the judge's systematic error. Edge cases: below `floor` the judge was
about to say something other than a score, and a ratio of two small numbers would look like one: that is unreadable,
"no score mass". NaN is refused as the engine's failure. A probability of 0 (log -inf) is a value like any other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from selfreward.errors import EngineError
from selfreward.recipe.scale import HIGHEST, LOWEST
from selfreward.roles.unreadable import Unreadable

SCORE_WORDS = ("0", "1", "2", "3", "4", "5")


@dataclass(frozen=True, slots=True)
class Scale:
    """What the words of a score are worth, in points of the scale that all scores are kept on."""

    words: tuple[str, ...]
    points: tuple[float, ...]


_TEN = tuple(str(number) for number in range(1, 11))

SCALES: dict[str, Scale] = {
    "0-5": Scale(SCORE_WORDS, tuple(map(float, SCORE_WORDS))),
    # d-RLAIF's: linear, so that 1 is the lowest score and 10 the highest, and a reward is 2 (s - 1) / 9 - 1.
    "1-10": Scale(_TEN, tuple(LOWEST + (HIGHEST - LOWEST) * number / 9 for number in range(10))),
}


def ten_in_two(first: Sequence[float], second: Sequence[float]) -> tuple[float, ...]:
    """Log-probabilities of 1 to 10 where 10 is two tokens, from those of the digits 1 to 9 and of 0 to 9 after a 1.

    P(10) = P("1") P("0" | "1"), and P(1) is what of P("1") no further digit follows: 12 is no score.
    """
    if not first or not second:
        return ()
    more = math.fsum(math.exp(min(logprob, 0.0)) for logprob in second)
    alone = math.log1p(-more) if more < 1 else -math.inf
    return (first[0] + alone, *first[1:], first[0] + second[0])


def expected_value(
    logprobs: Sequence[float], values: Sequence[float], floor: float
) -> tuple[float | Unreadable, float]:
    """(E or why there is none, mass) of `values` with these log-probabilities of their words; none were read at all
    where the question did not fit (judging/asking.py).
    """
    if not logprobs:
        return Unreadable("question too long", "the question does not fit into the judge's context"), 0.0
    if any(math.isnan(logprob) or logprob > 1e-6 for logprob in logprobs):
        raise EngineError(f"log-probabilities {list(logprobs)}: expected numbers of at most 0; the engine is broken")
    chances = [math.exp(min(logprob, 0.0)) for logprob in logprobs]
    mass = math.fsum(chances)
    if mass < floor or mass == 0.0:
        return Unreadable("no score mass", f"{mass:.3g} on {len(chances)} words, at least {floor:g} needed"), mass
    # Rounding must not carry the mean past the ends of the scale.
    mean = math.fsum(value * chance for value, chance in zip(values, chances, strict=True)) / mass
    return min(max(values), max(min(values), mean)), mass
