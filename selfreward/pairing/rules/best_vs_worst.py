"""Best against worst: chosen = highest score, rejected = lowest (SRLM, 2401.10020 §2.3).

Equal highest and lowest scores say nothing about which answer is better: no pair. Among several answers with the
highest (or the lowest) score a seeded lot decides, so an affine map of the scores and a permutation of the rows
leave the picks unchanged.
"""

from collections.abc import Sequence

from selfreward.pairing.candidates import Candidate, Needs, Pick, Refusal, Situation, one_with, tie

NEEDS: Needs = "scores"


def choose(candidates: Sequence[Candidate], situation: Situation) -> Sequence[Pick] | Refusal:
    best = max(candidate.score.value for candidate in candidates)
    worst = min(candidate.score.value for candidate in candidates)
    if best == worst:
        return tie(candidates)
    seed = situation.seed
    return [Pick(one_with(best, candidates, seed, "chosen"), one_with(worst, candidates, seed, "rejected"))]
