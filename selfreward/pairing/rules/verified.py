"""Correct against incorrect, by a verifier (Iterative RPO, 2404.19733 §2): cycle through both lists to make K pairs.

Both lists are in an order drawn by lot; pair i is correct[i mod C] against incorrect[i mod W], until
`pairs.per_prompt` pairs are made or a pair repeats (after the least common multiple of C and W). An answer that the
verifier leaves open is in neither list. Prompts without a correct or without an incorrect answer say nothing and are
dropped, each with its reason. The scores are the verifier's qualities, or 1 and 0 where these do not tell them apart.

With `judge.source=verifier_and_model` the judge ranks what passed: correct[0] is the best-judged correct answer, so one
pair of a prompt has it as the chosen one (several cycle on through the ranking; equals by lot). The rejected ones stay
the incorrect answers by lot, and the scores are those of judging/scoring/passing.py. A correct answer whose judgment
could not be read comes last.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from selfreward.judging.scoring.passing import PASSES
from selfreward.judging.scoring.score import counted
from selfreward.pairing.candidates import Candidate, Needs, Pick, Refusal, Situation, by_lot
from selfreward.recipe import Verified
from selfreward.recipe.scale import LOWEST

NEEDS: Needs = "truth"


def choose(candidates: Sequence[Candidate], situation: Situation) -> Sequence[Pick] | Refusal:
    decided = [candidate for candidate in candidates if candidate.grade is not None]
    correct = [candidate for candidate in decided if candidate.grade and candidate.grade.correct is True]
    incorrect = [candidate for candidate in decided if candidate.grade and candidate.grade.correct is False]
    if not correct and not incorrect:
        return Refusal("verifier undecided", f"{len(candidates)} answers left open")
    if not correct or not incorrect:
        reason = "all correct" if correct else "all wrong"
        return Refusal(reason, f"{len(correct) + len(incorrect)} answers")
    good = by_lot(correct, situation.seed, "correct")
    if situation.ranked:
        good = sorted(good, key=lambda candidate: -candidate.score.value)
    bad = by_lot(incorrect, situation.seed, "incorrect")
    number = min(situation.rule(Verified).per_prompt, math.lcm(len(good), len(bad)))
    pick = _ranked if situation.ranked else _pick
    return [pick(good[index % len(good)], bad[index % len(bad)]) for index in range(number)]


def _ranked(correct: Candidate, incorrect: Candidate) -> Pick:
    high, low = counted(max(correct.score.value, PASSES)), counted(LOWEST)
    return Pick(replace(correct, score=high), replace(incorrect, score=low), source="verifier")


def _pick(correct: Candidate, incorrect: Candidate) -> Pick:
    high = correct.grade.quality if correct.grade else 1.0
    low = incorrect.grade.quality if incorrect.grade else 0.0
    if high <= low:
        high, low = 1.0, 0.0
    return Pick(replace(correct, score=counted(high)), replace(incorrect, score=counted(low)), source="verifier")
