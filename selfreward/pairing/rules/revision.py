"""A revision against the answer that it was made of (constitutional AI, 2212.08073; DAIF's refinement, TACL 2025).

Chosen = the last usable revision, rejected = the answer; scores are 1 and 0. Nobody has judged that the revision is
better: that is an assumption, unless `pairs.revise.check` asks a judge, whose probability is then the label, and a
revision that it likes less than the answer is dropped (`not preferred`). An answer without a usable revision makes no
pair, with the reason of its first fault (judging/revising/faults.py) or `nothing to revise`.

`control: sibling` is the null of fine-tuning on the chosen: another of the policy's answers to the same prompt, by lot
among those that nobody criticised, takes the revision's place: as many rows of the same prompts. The answer itself
would be no null, for the critic found fault with it: a policy that is trained on it learns more of just that.
"""

from collections.abc import Sequence
from dataclasses import replace

from selfreward.judging.scoring.score import counted
from selfreward.pairing.candidates import Candidate, Needs, Pick, Refusal, Situation, first_by_lot
from selfreward.recipe import Revision

NEEDS: Needs = "revisions"


def choose(candidates: Sequence[Candidate], situation: Situation) -> Sequence[Pick] | Refusal:
    revised = situation.revised
    picks: list[Pick] = []
    refusals: list[Refusal] = []
    for candidate in sorted(candidates, key=lambda one: one.response.id):
        name = candidate.response.id
        if name in revised.reasons:
            refusals.append(Refusal(revised.reasons[name], f"answer {name}"))
        if name not in revised.revisions:
            continue
        revision = Candidate(revised.revisions[name], counted(1.0))
        refused = _not_preferred(revision, candidate, situation)
        if refused is not None:
            refusals.append(refused)
            continue
        rejected = replace(candidate, score=counted(0.0))
        if not isinstance(situation.recipe, Revision) or situation.recipe.control == "none":
            picks.append(Pick(revision, rejected, source="revision"))
            continue
        others = [one for one in candidates if one.response.id not in {**revised.revisions, **revised.reasons}]
        if others:
            sibling = first_by_lot(others, lambda one: one.response.id, situation.seed, "sibling", name)
            picks.append(Pick(replace(sibling, score=counted(1.0)), rejected, source="sibling"))
        else:
            refusals.append(Refusal("identical text", "the control needs an answer that was not criticised"))
    return picks or (refusals[0] if refusals else Refusal("not revised"))


def _not_preferred(revision: Candidate, answer: Candidate, situation: Situation) -> Refusal | None:
    preferences = situation.revised.preferences
    if preferences is None:
        return None
    chance = preferences.get((revision.response.id, answer.response.id))
    if chance is None:
        return Refusal("unreadable", "revision and answer were not compared in both orders")
    return Refusal("not preferred", f"P(revision is better) is {chance:.3f}") if chance < 0.5 else None
