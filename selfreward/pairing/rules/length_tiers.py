"""Quality tiers with length control (Meta-Rewarding, 2407.19594 §2.4).

With Smax and Smin the best and the worst score of the prompt and rho the round's tier width:

    chosen    the shortest answer with a score in [(1 - rho) Smax + rho Smin, Smax]
    rejected  the longest answer with a score in [Smin, (1 - rho) Smin + rho Smax]

rho = 0 is best against worst, the shortest of several best and the longest of several worst. Tiers are closed, and a
score that lies on a bound but for rounding is inside, so an affine map of the scores with a positive factor leaves the
picks unchanged. From rho = 1/2 on the tiers may overlap: a chosen answer that does not score above the rejected one is
refused, not repaired, since any repair would be another rule. Equal lengths are decided by lot.
"""

from collections.abc import Sequence

from selfreward.pairing.candidates import Candidate, Needs, Pick, Refusal, Situation, first_by_lot, tie

NEEDS: Needs = "scores"

_ROUNDING = 1e-9
"""Share of Smax - Smin by which a score may miss a bound."""


def choose(candidates: Sequence[Candidate], situation: Situation) -> Sequence[Pick] | Refusal:
    best = max(candidate.score.value for candidate in candidates)
    worst = min(candidate.score.value for candidate in candidates)
    if best == worst:
        return tie(candidates)
    # Position between worst (0) and best (1): the same for every affine map of the scores.
    height = {candidate.response.id: (candidate.score.value - worst) / (best - worst) for candidate in candidates}
    width = situation.rho + _ROUNDING
    top = [candidate for candidate in candidates if height[candidate.response.id] >= 1 - width]
    bottom = [candidate for candidate in candidates if height[candidate.response.id] <= width]
    chosen = _extreme(top, situation, "chosen", min(situation.length(candidate) for candidate in top))
    rejected = _extreme(bottom, situation, "rejected", max(situation.length(candidate) for candidate in bottom))
    if chosen.score.value <= rejected.score.value:
        detail = f"rho {situation.rho:g}: chosen scores {chosen.score.value:g}, rejected {rejected.score.value:g}"
        return Refusal("tiers overlap", detail)
    return [Pick(chosen, rejected)]


def _extreme(tier: Sequence[Candidate], situation: Situation, side: str, length: int) -> Candidate:
    equals = [candidate for candidate in tier if situation.length(candidate) == length]
    return first_by_lot(equals, lambda candidate: candidate.response.id, situation.seed, side)
