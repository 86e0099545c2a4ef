"""What of `pairs` is about who wrote the answers: weights by generator, and a rule that wants the start policy's."""

from collections.abc import Iterator

from selfreward.recipe.pairs import Anchored
from selfreward.recipe.recipe import Recipe
from selfreward.recipe.reference import INITIAL
from selfreward.recipe.train import PolicyGradient


def generators_that_cannot_work(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    """Weights that no loss reads, or by one generator alone; a rule whose rejected answers nobody gives."""
    pairs = recipe.pairs
    weighs = recipe.train.method in ("dpo", "own")
    yield (
        pairs.balance != "none" and not isinstance(recipe.train, PolicyGradient) and not weighs,
        f"pairs.balance={pairs.balance} weighs pairs, which train.method={recipe.train.method} does not read; set "
        "train.method=dpo",
    )
    yield (
        "source" in pairs.balance and not recipe.generate.mix,
        f"pairs.balance={pairs.balance} weighs by generator, and there is one only; set generate.mix",
    )
    yield (
        isinstance(pairs, Anchored) and not any(one.model == INITIAL for one in recipe.generate.mix),
        "pairs.rule=anchored rejects the start policy's answers, and nobody asks it; set "
        "generate.mix='[{model: initial, samples: 6}]'",
    )
