"""Anchored rejection: the first phase of Temporal Self-Rewarding (2508.06026; read in abstract and notes, unverified).

    chosen = the best answer of the round's policy
    rejected = the worst answer of the start policy, where it scores below the worst of the policy's own; else that one

Rejected answers that improve with the policy come ever nearer to the chosen ones, and the gap closes that a pair
teaches; an anchor at round 0 keeps it open. One judge scores both kinds in one round: the start policy's come from
`generate.mix` with model=initial. A text that both said counts as the policy's own. Equal scores are a tie.

Assumption: the start policy's bad answers are bad for their content. They are unlikely under the policy, so pushing
them down teaches style first: watch `chosen_logprob_shift`, and how many pairs have the source self:anchored. In round
1 both are one policy. The paper's second phase, answers of a policy that is trained and discarded, is not here.
"""

from collections.abc import Sequence

from selfreward.pairing.candidates import Candidate, Needs, Pick, Refusal, Situation, one_with, tie

NEEDS: Needs = "scores"
ANCHOR, SOURCE = "initial@", "self:anchored"
"""How the source of an answer by the start policy begins (roles/respond.py), and that of a pair that rejects one."""


def choose(candidates: Sequence[Candidate], situation: Situation) -> Sequence[Pick] | Refusal:
    anchors = [one for one in candidates if (one.response.source or "").startswith(ANCHOR)]
    own = [one for one in candidates if one not in anchors]
    if not own:
        return Refusal("no own answer", f"{len(anchors)} answers, all of them the start policy's")
    worst = min(one.score.value for one in own)
    low = min((one.score.value for one in anchors), default=worst)
    from_anchor = low < worst
    rejected = one_with(min(low, worst), anchors if from_anchor else own, situation.seed, "rejected")
    chosen = one_with(max(one.score.value for one in own), own, situation.seed, "chosen")
    if chosen.score.value <= rejected.score.value:
        return tie(candidates)
    return [Pick(chosen, rejected, source=SOURCE if from_anchor else "")]
