"""Gold against generated (SPIN, 2401.01335): chosen = the given answer, rejected = the policy's own.

No judge: the assumption is that the given answers are better, so they are the ceiling, and where the policy has reached
them the pairs are noise. `pairs.per_prompt` generated answers per prompt, by lot among the different ones. A generated
text that equals the gold one makes no pair; a prompt without a gold answer is dropped with that reason. Scores are 1
and 0. SPIN also trains on the previous iteration's pairs: that is `pairs.mix.earlier_share`.
"""

from collections.abc import Sequence
from dataclasses import replace

from selfreward.judging.scoring.score import counted
from selfreward.pairing.candidates import Candidate, Needs, Pick, Refusal, Situation, by_lot
from selfreward.recipe import Spin

NEEDS: Needs = "gold"


def choose(candidates: Sequence[Candidate], situation: Situation) -> Sequence[Pick] | Refusal:
    if situation.gold is None:
        return Refusal("no gold answer")
    chosen = Candidate(situation.gold, counted(1.0))
    generated = [candidate for candidate in candidates if candidate.response.text != chosen.response.text]
    if not generated:
        return Refusal("identical text", "every generated answer equals the gold one")
    drawn = by_lot(generated, situation.seed, "rejected")[: situation.rule(Spin).per_prompt]
    return [Pick(chosen, replace(candidate, score=counted(0.0)), source="gold") for candidate in drawn]
