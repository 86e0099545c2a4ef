"""Stage: is the revision better than the answer that it was made of? A judge is asked, in both orders.

Public code for constitutional AI takes every revision for better by construction, and nobody asks. Here the pair's
label is the judge's P(revision is better) by a principle that did not make the revision where the constitution has
another one, the mean of both orders (scoring/soft_labels.py), and a pair whose label is below one half is dropped.
"""

import random
from collections.abc import Mapping

from selfreward.judging.pairwise import Question, compare_answers
from selfreward.judging.prompts.pairwise import load_constitution
from selfreward.judging.revising.rows import Revised
from selfreward.judging.scoring.soft_labels import soft_labels
from selfreward.recipe import JudgeRecipe, PrincipleQuestion, ProbabilityReading, RevisionCheckRecipe
from selfreward.records import Prompt, Response, Rows, by_id, seed_for
from selfreward.roles.round import Round
from selfreward.store.artifacts import COMPARISONS, part_of

ARTIFACT = part_of("revisions", COMPARISONS)


def judge_of(recipe: RevisionCheckRecipe) -> JudgeRecipe:
    """The check as a judge's section."""
    question = PrincipleQuestion(constitution=recipe.constitution, template=recipe.template, clamp=recipe.clamp)
    return JudgeRecipe(model=recipe.model, question=question, reading=ProbabilityReading(min_mass=recipe.min_mass))


def check_revisions(
    round: Round, prompts: Rows[Prompt], responses: Rows[Response], revised: Revised, recipe: RevisionCheckRecipe
) -> Mapping[tuple[str, str], float]:
    """P(first is better) by (first id, second id), both ways round, for every answer and its revision."""
    answers, judge = by_id(responses), judge_of(recipe)
    written = load_constitution(recipe.constitution)[1]
    seed = seed_for(round.recipe.seed, ARTIFACT, round.number)
    asked = []
    for name in sorted(revised.revisions):
        revision, answer = revised.revisions[name], answers[name]
        others = [one for one in written if one.name not in revised.principles.get(name, ())]
        principle = random.Random(seed_for(seed, name)).choice(others or list(written))
        asked += [Question(revision, answer, principle), Question(answer, revision, principle)]
    work = compare_answers(
        round.role(recipe.model),
        by_id(prompts),
        [],
        judge,
        made_from={"prompts": prompts.digest, "responses": responses.digest, "revisions": revised.digest},
        round=round.number,
        artifact=ARTIFACT,
        asked=asked,
    )
    return soft_labels(round.complete(work), recipe.clamp)
