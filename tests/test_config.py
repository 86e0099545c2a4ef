"""Recipes: what is refused, with which words, before anything runs."""

import pytest

from selfreward.errors import RecipeError
from selfreward.recipe import identity, to_yaml
from selfreward.recipe.read import build_recipe, load_recipe


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("judge.sampels=3", "unknown key 'judge.sampels'; did you mean 'judge.samples'"),
        ("generate.samples=1", "'generate.samples' is 1; expected at least 2"),
        ("judge.aggregate.samples=0", "'judge.samples' is 0; expected at least 1"),
        ("train.beta=0", "'train.beta' is 0.0; expected above 0"),
        ("train.beta=.inf", "'train.beta' is inf; expected a finite number"),
        ("generate.sampling.temperature=.nan", "'generate.sampling.temperature' is nan; expected a finite number"),
        ("rounds=many", "'rounds': Value 'many'"),
        ("train.reference=round:9", "'train.reference' is 'round:9'; expected round:K"),
        ("train.loss.label_smoothing=0.5", "'train.label_smoothing' is 0.5; expected below 0.5"),
        ("rounds", "expected key=value"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(override: str, words: str) -> None:
    with pytest.raises(RecipeError) as refused:
        build_recipe([], [override])
    assert words in str(refused.value)


def test_a_value_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(RecipeError, match="not key=value with a YAML value"):
        build_recipe([], ["rounds=:"])


def test_a_resolved_recipe_loads_as_itself_and_the_horizon_is_no_identity(tmp_path) -> None:
    recipe = build_recipe([], ["rounds=5", "train.lora.rank=4", "seed=3"])
    (tmp_path / "recipe.yaml").write_text(to_yaml(recipe))
    assert load_recipe(tmp_path / "recipe.yaml") == recipe
    longer = build_recipe([], ["rounds=7", "train.lora.rank=4", "seed=3"])
    assert identity(longer) == identity(recipe) != identity(build_recipe([], ["seed=4"]))
