"""Best against the answer near mu - 2 sigma (Finding the Sweet Spot, 2502.16825): chosen = highest score, rejected =
the one whose score is nearest to two standard deviations below the mean.

    z(y) = (score(y) - mu) / sigma over all of the prompt's samples        rejected = argmin |z(y) + 2| among the losers

With many samples the worst answer is an outlier (empty, off topic) that teaches little, and the paper finds that best
against worst gets worse with their number. mu and sigma (population) count a text as often as it was sampled. Of two
scores that are equally near, the lower one; among equal scores a lot decides; all equal is a tie.

Assumption: scores spread as if normal. Of at most 5 samples none lies below mu - 2 sigma, so that this is best against
worst there; ask for K of a dozen or more (`generate.samples`).
"""

import math
from collections.abc import Sequence

from selfreward.pairing.candidates import Candidate, Needs, Pick, Refusal, Situation, one_with, tie

NEEDS: Needs = "scores"

_DIGITS = 9
"""Distances that differ by less are equal: z-values carry rounding."""


def choose(candidates: Sequence[Candidate], situation: Situation) -> Sequence[Pick] | Refusal:
    best = max(candidate.score.value for candidate in candidates)
    losing = {candidate.score.value for candidate in candidates} - {best}
    if not losing:
        return tie(candidates)
    samples = math.fsum(one.copies for one in candidates)
    mean = math.fsum(one.copies * one.score.value for one in candidates) / samples
    deviation = math.sqrt(math.fsum(one.copies * (one.score.value - mean) ** 2 for one in candidates) / samples)
    near = min(losing, key=lambda score: (round(abs((score - mean) / deviation + 2), _DIGITS), score))
    seed = situation.seed
    return [Pick(one_with(best, candidates, seed, "chosen"), one_with(near, candidates, seed, "rejected"))]
