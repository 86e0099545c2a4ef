"""Which models a recipe's roles name."""

from selfreward.recipe.recipe import Recipe


def role_references(recipe: Recipe) -> list[str]:
    """Every model that some role names, beside the policy itself."""
    held_out = recipe.measure.held_out
    references = [recipe.judge.model, *(name.partition("@")[2] for name in recipe.judge.members)]
    references += [recipe.meta.model, recipe.prompts.writer.model, recipe.train.reference]
    references += [recipe.measure.cohort_judge] if recipe.measure.cohorts else []
    references += [recipe.pairs.implicit.reference] if recipe.pairs.implicit else []
    return [*references, *([held_out.model] if held_out else [])]
