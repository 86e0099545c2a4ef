"""Two steps that go on from one beginning: step-level preferences (Process-based Self-Rewarding, 2503.03746).

    prefix = the tokens of the steps that two answers to a prompt share, none before the first step
    P      = the judge's P(step is right | request, prefix), the mean where several answers take the same step
    chosen = the step of the highest P after a prefix        rejected = that of the lowest        scores = 5 P

A pair's prompt is the request and the prefix, its completions are the two steps, in the tokens that were sampled. What
both answers say before and after says nothing of which is better and is not trained on. A completion ends the turn only
where its step is the answer's last.

The paper searches: at every step it draws several, keeps the best, and goes back on ties. Here nothing is drawn beside
the round's answers, so pairs lie where whole answers happen to part: at the first step for almost every prompt, later
ones where answers are short or steps few. Of a prompt's pairs those of the widest gap are taken, `pairs.per_prompt` of
them; they weigh 1 together, so that a prompt with many branches has no larger say (ours; the paper was read in notes).

Assumption: the judge can tell a right beginning from a wrong one. Edge cases: equal P after a prefix is no preference;
a step that could not be read is in no pair; answers of one step can be paired as whole ones, with any beginning that
they share. Two steps of the same words are no pair, though only one of them ends its answer.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from selfreward.judging.scoring.score import counted
from selfreward.pairing.candidates import Candidate, Needs, Pick, Refusal, Situation, first_by_lot
from selfreward.pairing.judged_steps import JudgedStep
from selfreward.recipe import StepPairs
from selfreward.recipe.scale import HIGHEST

NEEDS: Needs = "steps"
SOURCE = "steps"

Branch = tuple[Candidate, JudgedStep]


def choose(candidates: Sequence[Candidate], situation: Situation) -> Sequence[Pick] | Refusal:
    after: defaultdict[tuple[int, ...], defaultdict[tuple[int, ...], list[Branch]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for candidate in candidates:
        for step in situation.steps.get(candidate.response.id, ()):
            if step.right is not None:
                after[step.before][step.tokens].append((candidate, step))
    parted = [branches for branches in after.values() if len(branches) > 1]
    if not parted:
        return Refusal("no shared step", f"{len(candidates)} answers, none of which part at a readable step")
    picks = [pick for branches in parted if (pick := _pick(list(branches.values()), situation.seed)) is not None]
    if not picks:
        return Refusal("tie", f"{len(parted)} places where answers part, all steps judged alike")
    # The id of a pair says which answers it is of; one pair for each two answers, at the place where they part.
    picks.sort(key=lambda pick: (_gap(pick), pick.chosen.response.id, pick.rejected.response.id))
    kept = picks[: situation.rule(StepPairs).per_prompt]
    return [replace(pick, weight=1.0 / len(kept)) for pick in kept]


def _gap(pick: Pick) -> float:
    return pick.rejected.score.value - pick.chosen.score.value


def _pick(branches: Sequence[Sequence[Branch]], seed: int) -> Pick | None:
    """The best against the worst of the steps that follow one prefix."""
    means = [math.fsum(step.right or 0.0 for _, step in branch) / len(branch) for branch in branches]
    high, low = max(means), min(means)
    if high == low:
        return None
    sides = []
    for side, value in (("chosen", high), ("rejected", low)):
        equals = [branch for branch, mean in zip(branches, means, strict=True) if mean == value]
        members = [member for branch in equals for member in branch]
        candidate, step = first_by_lot(members, lambda member: member[0].response.id, seed, side)
        said = replace(candidate.response, text=step.text, token_ids=step.tokens)
        sides.append((replace(candidate, response=said, score=counted(HIGHEST * value)), step))
    return Pick(sides[0][0], sides[1][0], source=SOURCE, prefix=sides[0][1].before)
