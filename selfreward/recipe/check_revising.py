"""What a recipe must not say about revising answers."""

from collections.abc import Iterator

from selfreward.recipe.pairs import Daif, Revision
from selfreward.recipe.recipe import Recipe
from selfreward.recipe.train import DpoRecipe

Found = Iterator[tuple[bool, str]]


def revising_that_cannot_work(recipe: Recipe) -> Found:
    """Contradictions of `pairs.revise` with the other sections."""
    rule = recipe.pairs
    if isinstance(rule, Daif):
        yield from _divided(recipe, rule)
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


def _divided(recipe: Recipe, rule: Daif) -> Found:
    """Two kinds of pairs with two scales of scores, divided among the prompts."""
    named = "pairs.rule=daif"
    yield (
        rule.certain + rule.refined >= 1,
        f"pairs.certain and pairs.refined add up to {rule.certain + rule.refined:g}, which leaves no prompt whose "
        "answers are compared; lower one, or set pairs.rule=revision",
    )
    yield (
        rule.min_gap >= 1,
        f"key 'pairs.min_gap' is {rule.min_gap:g}, but a revision has the score 1 and its answer 0: none of these "
        "pairs would be left; lower it",
    )
    yield (
        rule.revise.check is not None,
        f"pairs.revise.check gives soft labels, and {named} labels its other pairs hard; remove it, or set "
        "pairs.rule=revision",
    )
    yield (
        rule.implicit is not None,
        f"{named} asks the judge where answers differ most, which pairs.score=implicit_reward does not; remove one",
    )
    yield (
        rule.filters.internal_agreement or rule.filters.min_judge_margin is not None,
        f"{named} has pairs that no judge decides, which pairs.filters.internal_agreement and min_judge_margin would "
        "drop; remove them",
    )
