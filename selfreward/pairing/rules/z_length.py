"""Length-adjusted scores (TPO / Thinking LLMs, 2410.10630 §2.3): chosen = highest, rejected = lowest of

    z(score) - rho * z(length)

with z over the prompt's own answers (population standard deviation; equal lengths have z = 0). The pair keeps the
adjusted scores, in standard deviations: a chosen answer may have a lower raw score than the rejected one, and
`pairs.min_gap` then is a gap of adjusted scores. Equal raw scores are a tie: which of them is better nobody has said,
and length alone shall not make a preference.
"""

import dataclasses
import statistics
from collections.abc import Sequence

from selfreward.pairing.candidates import Candidate, Needs, Pick, Refusal, Situation, tie
from selfreward.pairing.rules import best_vs_worst

NEEDS: Needs = "scores"

_DIGITS = 9
"""Adjusted scores that differ by less are equal: z-values carry rounding."""


def choose(candidates: Sequence[Candidate], situation: Situation) -> Sequence[Pick] | Refusal:
    scores = [candidate.score.value for candidate in candidates]
    if min(scores) == max(scores):
        return tie(candidates)
    lengths = [float(situation.length(candidate)) for candidate in candidates]
    adjusted = [
        dataclasses.replace(
            candidate,
            score=dataclasses.replace(candidate.score, value=round(score - situation.rho * length, _DIGITS)),
        )
        for candidate, score, length in zip(candidates, standardised(scores), standardised(lengths), strict=True)
    ]
    return best_vs_worst.choose(adjusted, situation)


def standardised(values: Sequence[float]) -> list[float]:
    """(value - mean) / population standard deviation; all 0 where the values are equal."""
    mean, deviation = statistics.fmean(values), statistics.pstdev(values)
    return [(value - mean) / deviation if deviation else 0.0 for value in values]
