"""The expected score from the probabilities of the score tokens (d-RLAIF, 2309.00267 §2; G-Eval, 2303.16634).

    E = sum_i i * p_i / sum_i p_i        i = 0 .. 5, mass = sum_i p_i

It removes the noise of sampling a verdict, not the judge's systematic error. Edge cases: below `floor` the judge was
about to say something other than a score, and a ratio of two small numbers would look like one: that is unreadable,
"no score mass". NaN is refused as the engine's failure. A probability of 0 (log -inf) is a value like any other.
"""

import math
from collections.abc import Sequence

from selfreward.errors import EngineError
from selfreward.roles.unreadable import Unreadable

SCORE_WORDS = ("0", "1", "2", "3", "4", "5")


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
