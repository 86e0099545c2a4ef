"""Curriculum of a reward model: stages by how sure the labels are, each prompt as often as without."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.errors import RecipeError
from selfreward.recipe import RewardModelRecipe
from selfreward.recipe.read import build_recipe
from selfreward.training.curriculum import ease, staged_order
from selfreward.training.reward_rows import Group
from selfreward.training.rows import training_order


def groups(labels: list[float]) -> list[Group]:
    rows = (((1,), (2, 3)), ((1,), (4,)))
    return [Group(f"p{place:03}", rows, ((0, 1, label),)) for place, label in enumerate(labels)]


def test_a_sure_label_is_easy_whichever_way_round() -> None:
    assert [ease(one) for one in groups([1.0, 0.0, 0.5, 0.75])] == [1.0, 1.0, 0.0, 0.5]
    assert ease(Group("p", (), ((0, 1, 1.0), (0, 2, 0.5)))) == 0.5


labels = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(labels, st.sampled_from([1.0, 2.0]), st.integers(2, 5), st.integers(0, 99))
def test_every_prompt_is_seen_as_often_as_without(said, epochs, stages, seed):  # type: ignore[no-untyped-def]
    made = groups(said)
    for order in ("easy_first", "hard_first"):
        recipe = RewardModelRecipe(order=order, stages=stages, epochs=epochs, batch_size=4)
        assert Counter(staged_order(made, recipe, seed)) == dict.fromkeys(range(len(said)), int(epochs))


@given(labels, st.integers(0, 99))
def test_no_later_stage_is_easier_and_the_control_is_the_other_way_round(said, seed):  # type: ignore[no-untyped-def]
    made = groups(said)
    easy, hard = (
        [round(ease(made[at]), 9) for at in staged_order(made, RewardModelRecipe(order=way, stages=3, epochs=1), seed)]
        for way in ("easy_first", "hard_first")
    )
    cuts = [round(stage * len(made) / 3) for stage in range(4)]
    for values, worse in ((easy, lambda early, late: min(early) >= max(late)), (hard, lambda a, b: max(a) <= min(b))):
        parts = [values[a:b] for a, b in pairwise(cuts) if b > a]
        assert all(worse(early, late) for early, late in pairwise(parts))


def test_shuffled_is_the_order_that_it_was() -> None:
    made, recipe = groups([0.1, 0.5, 0.9, 1.0, 0.3]), RewardModelRecipe()
    lengths = [one.tokens for one in made]
    assert staged_order(made, recipe, 7) == training_order(lengths, recipe.epochs, recipe.batch_size, 7)


def test_stages_without_an_order_are_refused() -> None:
    model = ["judge.model=reward_model", "judge.reading=scalar", "reward_model.prompts=40"]
    with pytest.raises(RecipeError, match="nothing would read it"):
        build_recipe([], [*model, "reward_model.stages=4"])
    assert build_recipe([], [*model, "reward_model.order=easy_first", "reward_model.stages=4"]).reward_model is not None
