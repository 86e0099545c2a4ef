"""Self-consistency preferences (ScPO, 2411.04109): the most-voted final answer against the least-voted one.

    votes(y) = number of samples with y's final answer        weight = (votes(chosen) - votes(rejected)) / k

k counts all samples of the prompt; an answer that is truncated or from which no final answer can be read has no vote
and is not paired. Prompts whose winner has less than `pairs.min_vote_share` of k are dropped. No judge and no gold:
what is rewarded is agreement with oneself, right or wrong. All votes equal is a tie; among answers with equal votes a
lot decides. Equal texts count as often as they were sampled.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

from selfreward.judging.scoring.score import counted
from selfreward.pairing.candidates import Candidate, Needs, Pick, Refusal, Situation
from selfreward.pairing.rules import best_vs_worst
from selfreward.recipe import SelfConsistency

NEEDS: Needs = "answers"


def choose(candidates: Sequence[Candidate], situation: Situation) -> Sequence[Pick] | Refusal:
    votes: defaultdict[str, float] = defaultdict(float)
    voters = [(candidate, candidate.grade.answer) for candidate in candidates if candidate.grade is not None]
    voters = [(candidate, answer) for candidate, answer in voters if answer]
    for candidate, answer in voters:
        votes[answer] += candidate.copies
    if len(votes) < 2:
        return Refusal("one final answer", f"{len(votes)} different among {situation.samples} samples")
    voted = [dataclasses.replace(candidate, score=counted(votes[answer])) for candidate, answer in voters]
    share = max(votes.values()) / situation.samples
    needed = situation.rule(SelfConsistency).min_vote_share
    if share < needed:
        return Refusal("too few votes", f"winner has {share:.2f} of the samples, {needed:g} needed")
    picked = best_vs_worst.choose(voted, situation)
    if isinstance(picked, Refusal):
        return picked
    (pick,) = picked
    weight = (pick.chosen.score.value - pick.rejected.score.value) / situation.samples
    return [dataclasses.replace(pick, weight=weight, source="votes")]
