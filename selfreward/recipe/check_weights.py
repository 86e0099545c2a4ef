"""What a recipe must not say about pairs that a likelihood weighs or filters: nobody reads it, or it says nothing."""

from collections.abc import Iterator

from selfreward.recipe.pairs import Scored
from selfreward.recipe.recipe import Recipe
from selfreward.recipe.train import NoTraining, PolicyGradient
from selfreward.recipe.weights import NrdpoWeights


def weights_that_cannot_work(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    """Contradictions of `pairs.weights` with the other sections."""
    pairs, weights = recipe.pairs, recipe.pairs.weights
    if not isinstance(weights, NrdpoWeights):
        return
    named = f"pairs.weights={weights.kind}"
    yield (
        isinstance(recipe.train, PolicyGradient),
        f"{named} weighs pairs, and train.method={recipe.train.method} learns from rewards; set train.method=dpo",
    )
    yield (
        recipe.train.method not in ("dpo", "own"),
        f"{named} weighs pairs, which train.method={recipe.train.method} does not read; set train.method=dpo",
    )
    yield (
        pairs.balance != "none",
        f"pairs.balance={pairs.balance} gives every class the same say, which {named} would undo; remove one of both",
    )
    yield (
        weights.reference.server is not None,
        f"key 'pairs.weights.reference' is {weights.reference!r}, but this role needs weights and tokens, which a "
        "server does not give; name initial, round:K or a directory",
    )


def agreement_that_cannot_work(recipe: Recipe) -> Iterator[tuple[bool, str]]:
    """The agreement filter sets two readings side by side, so there must be two, and they must be apart."""
    pairs, key = recipe.pairs, "pairs.filters.internal_agreement"
    if not pairs.filters.internal_agreement:
        return
    yield (
        not isinstance(pairs, Scored) or pairs.implicit is not None or not recipe.judge.asks_model,
        f"{key} compares the judge's word with the policy's implicit reward, but no judge scores the answers here",
    )
    yield (
        recipe.rounds < 2,
        f"{key} reads what training has changed since the start policy, and in round 1 that is nothing; set rounds to "
        "2 or more",
    )
    yield (
        isinstance(recipe.train, NoTraining),
        f"{key} reads what training has changed, and train.method=none changes nothing; remove one of both",
    )
