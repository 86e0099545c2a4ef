"""What revising answers asks of a model in one round: an upper bound, every critique finding something."""

from selfreward.commands.plan.workload import Asking, Lengths
from selfreward.judging.revising.asking import CRITIQUES, REVISIONS
from selfreward.judging.revising.check import ARTIFACT
from selfreward.recipe import Daif, Recipe, Revising
from selfreward.store.artifacts import part_of


def revising(recipe: Recipe, lengths: Lengths) -> list[Asking]:
    """The critiques and revisions of every turn, and what a judge is asked about them; none without the rule."""
    rule = recipe.pairs
    if not isinstance(rule, Revising):
        return []
    revise, answers = rule.revise, float(recipe.prompts.per_round * min(rule.per_prompt, recipe.generate.answers))
    answers *= rule.refined if isinstance(rule, Daif) else 1.0
    limit, server = float(revise.sampling.max_tokens), revise.model.server or ""
    found = []
    for turn in range(1, revise.turns + 1):
        question = lengths.rubric + lengths.prompt + (lengths.response if turn == 1 else limit)
        shown = (question, limit, lengths.rubric + answers * (question - lengths.rubric))
        found.append(Asking("criticise", part_of(CRITIQUES, turn), answers, *shown, server=server))
        told = (question + limit, limit, lengths.rubric + answers * (question + limit - lengths.rubric))
        found.append(Asking("revise", part_of(REVISIONS, turn), answers, *told, server=server))
    if revise.check is not None:
        question = lengths.rubric + lengths.prompt + lengths.response + limit
        found.append(Asking("compare revisions", ARTIFACT, 2 * answers, question, 0.0, 2 * answers * question))
    return found
