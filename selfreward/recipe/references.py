"""Which models a recipe's roles name."""

from selfreward.recipe.pairs import Revising
from selfreward.recipe.recipe import Recipe
from selfreward.recipe.reference import ModelReference
from selfreward.recipe.weights import NrdpoWeights


def role_references(recipe: Recipe) -> list[ModelReference]:
    """Every model that some role names, beside the policy itself."""
    held_out = recipe.measure.held_out
    references = [recipe.judge.model, *recipe.judge.models, recipe.judge.debater]
    references += [recipe.meta.model, recipe.prompts.writer.model, recipe.train.reference]
    references += [recipe.measure.cohort_judge] if recipe.measure.cohorts else []
    references += [recipe.pairs.implicit.reference] if recipe.pairs.implicit else []
    weights = recipe.pairs.weights
    references += [weights.reference] if isinstance(weights, NrdpoWeights) else []
    revise = recipe.pairs.revise if isinstance(recipe.pairs, Revising) else None
    references += [revise.model, *([revise.check.model] if revise.check else [])] if revise else []
    labels = recipe.reward_model.labels if recipe.reward_model else None
    references += [labels.model, *labels.models, labels.debater] if labels else []
    references += [one.model for one in recipe.generate.mix if one.model.kind != "earlier"]
    return [*references, *([held_out.model] if held_out else [])]
