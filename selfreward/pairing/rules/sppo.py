"""Win-rate pairs (SPPO, 2405.00675 §4): best against worst, with both answers' win rates against the policy.

    P(i beats j) = sigma(s_i - s_j)        P_i = mean over all K samples j of P(i beats j), j = i included (1/2)

The pair is argmax and argmin of s; the loss regresses each side's log-ratio to (P - 1/2) / beta, so the win rates are
kept on the pair. Samples with equal text count as often as they were drawn, since the mean is over the policy. Adding a
constant to all scores changes nothing; their scale matters. All scores equal is a tie (every P is 1/2).
"""

import dataclasses
import math
from collections.abc import Sequence

from selfreward.pairing.candidates import Candidate, Needs, Pick, Refusal, Situation
from selfreward.pairing.rules import best_vs_worst

NEEDS: Needs = "scores"


def choose(candidates: Sequence[Candidate], situation: Situation) -> Sequence[Pick] | Refusal:
    picked = best_vs_worst.choose(candidates, situation)
    if isinstance(picked, Refusal):
        return picked
    (pick,) = picked
    rates = win_rate(pick.chosen, candidates), win_rate(pick.rejected, candidates)
    return [dataclasses.replace(pick, win_rates=rates)]


def win_rate(candidate: Candidate, candidates: Sequence[Candidate]) -> float:
    """The chance that `candidate` beats a sample of the policy."""
    total = math.fsum(other.copies for other in candidates)
    return math.fsum(other.copies * _beats(candidate, other) for other in candidates) / total


def _beats(candidate: Candidate, other: Candidate) -> float:
    return 0.5 * (1.0 + math.tanh((candidate.score.value - other.score.value) / 2))
