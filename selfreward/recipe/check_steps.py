"""What a recipe must not say where steps of answers are paired: nobody judges them, or a key is about whole answers."""

from collections.abc import Iterator

from selfreward.recipe.pairs import StepPairs
from selfreward.recipe.recipe import Recipe
from selfreward.recipe.train import DpoRecipe, PolicyGradient
from selfreward.recipe.weights import NrdpoWeights


def steps_that_cannot_work(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    """Contradictions of `pairs.rule=steps` with the other sections."""
    pairs, judge = recipe.pairs, recipe.judge
    if not isinstance(pairs, StepPairs) or isinstance(recipe.train, PolicyGradient):
        return
    named, filters = "pairs.rule=steps", pairs.filters
    yield (
        judge.stepping is None or judge.source != "model" or judge.control != "none",
        f"{named} pairs steps by what the stepwise judge says of them; set judge.question=steps with "
        "judge.source=model and judge.control=none",
    )
    yield (
        not isinstance(recipe.train, DpoRecipe),
        f"{named} gives pairs that begin in the middle of an answer, which train.method={recipe.train.method} cannot "
        "learn from; set train.method=dpo",
    )
    for key, given in (
        ("pairs.weights", isinstance(pairs.weights, NrdpoWeights)),
        ("pairs.filters.min_logprob_margin", filters.min_logprob_margin is not None),
        ("pairs.filters.verifier_conflict", filters.verifier_conflict),
        ("pairs.filters.max_class_share", filters.max_class_share is not None),
    ):
        yield given, f"{key} reads whole answers, and {named} pairs single steps; remove one of both"
