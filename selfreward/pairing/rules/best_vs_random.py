"""Best against random: chosen = highest score, rejected = any answer that scores below it, by lot.

The worst of K answers is often worse in a way that teaches little (empty, off topic); a random loser is nearer to what
the policy usually says. Drawn among the losers only: an answer as good as the chosen one is no rejected one. All equal
is a tie.
"""

from collections.abc import Sequence

from selfreward.pairing.candidates import Candidate, Needs, Pick, Refusal, Situation, first_by_lot, one_with, tie

NEEDS: Needs = "scores"


def choose(candidates: Sequence[Candidate], situation: Situation) -> Sequence[Pick] | Refusal:
    best = max(candidate.score.value for candidate in candidates)
    losers = [candidate for candidate in candidates if candidate.score.value < best]
    if not losers:
        return tie(candidates)
    rejected = first_by_lot(losers, lambda candidate: candidate.response.id, situation.seed, "rejected")
    return [Pick(one_with(best, candidates, situation.seed, "chosen"), rejected)]
