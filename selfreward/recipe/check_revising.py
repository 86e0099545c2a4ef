"""What a recipe must not say about revising answers."""

from collections.abc import Iterator

from selfreward.recipe.pairs import Revision
from selfreward.recipe.recipe import Recipe
from selfreward.recipe.train import DpoRecipe

Found = Iterator[tuple[bool, str]]


def revising_that_cannot_work(recipe: Recipe) -> Found:
    """Contradictions of `pairs.revise` with the other sections."""
    rule = recipe.pairs
    if not isinstance(rule, Revision):
        return
    train, check = recipe.train, rule.revise.check
    yield (
        rule.control == "sibling" and train.method not in ("sft_chosen", "none"),
        f"pairs.control=sibling is a control for what is trained on the chosen answers alone, but train.method="
        f"{train.method} learns from the criticised ones too; set train.method=sft_chosen",
    )
    yield (
        rule.min_gap >= 1,
        f"key 'pairs.min_gap' is {rule.min_gap:g}, but a revision has the score 1 and its answer 0: no pair would be "
        "left; lower it",
    )
    yield (
        rule.control == "sibling" and rule.per_prompt >= recipe.generate.answers,
        f"pairs.control=sibling needs answers that are not revised, but pairs.per_prompt is {rule.per_prompt} of "
        f"{recipe.generate.answers}; lower it",
    )
    yield (
        rule.control == "sibling" and check is not None,
        "pairs.control=sibling chooses no revision, which pairs.revise.check asks about; remove one of both",
    )
    if check is None:
        return
    yield (
        check.model.server is not None,
        f"key 'pairs.revise.check.model' is {check.model!r}: a served model gives no probabilities of the two labels; "
        "name policy, initial, round:K or a directory",
    )
    yield (
        isinstance(train, DpoRecipe) and "label" not in train.loss.READS,
        "pairs.revise.check gives soft labels, which this train.loss does not read; choose another loss",
    )
