"""Every recipe that ships loads, and says first what it shows, on what hardware, in how many minutes."""

from itertools import takewhile
from pathlib import Path

import pytest

from selfreward.commands.ablate import load_grid
from selfreward.recipe import to_yaml
from selfreward.recipe.read import load_recipe

RECIPES = Path(__file__).parent.parent / "recipes"
GRIDS = sorted((RECIPES / "grids").glob("*.yaml"))
PLAIN = sorted(set(RECIPES.rglob("*.yaml")) - set(GRIDS))


def test_there_are_recipes() -> None:
    assert {"sandbox", "smoke"} <= {path.stem for path in PLAIN}
    assert GRIDS


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.stem)
def test_a_recipe_loads_and_its_resolved_form_is_the_same_recipe(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    resolved = tmp_path / "recipe.yaml"
    resolved.write_text(to_yaml(recipe), encoding="utf-8")
    assert load_recipe(resolved) == recipe


@pytest.mark.parametrize("path", [*PLAIN, *GRIDS], ids=lambda path: path.stem)
def test_a_recipe_opens_with_what_it_shows_hardware_and_minutes(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    opening = "".join(takewhile(lambda line: line.startswith("#"), lines)).lower()
    for word in ("hardware:", "minute"):
        assert word in opening, f"{path}: the opening comment lacks {word!r}"


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_every_arm_of_a_grid_loads_and_the_arms_differ(path: Path) -> None:
    grid = load_grid(path)
    recipes = {cell.name: load_recipe(grid.base, cell.overrides) for cell in grid.cells()}
    assert len(recipes) == len(grid.arms) * len(grid.models) * len(grid.seeds)
    assert len({to_yaml(recipe) for recipe in recipes.values()}) == len(recipes)


def test_the_smoke_recipe_is_the_whole_loop() -> None:
    recipe = load_recipe(RECIPES / "smoke.yaml")
    assert recipe.meta.enabled
    assert recipe.prompts.writer.share > 0
    assert recipe.rounds >= 2
    assert recipe.train.method == "dpo"
    assert recipe.measure.frozen > 0


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("meta_rewarding_llama3_8b", ["meta.enabled=false", "rounds=4"]),
        ("meta_rewarding_llama3_8b", ["judge.aggregate=adaptive"]),
        ("self_rewarding_llama3_8b", ["prompts.writer.share=1"]),
        ("meta_rewarding", ["meta.control=coin_flip"]),
        ("meta_rewarding", ["meta.battles=weighted"]),
    ],
)
def test_what_an_opening_comment_suggests_loads(name: str, overrides: list[str]) -> None:
    path = RECIPES / f"{name}.yaml"
    assert load_recipe(path, overrides) != load_recipe(path)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*_[0-9]*b.yaml")), ids=lambda path: path.stem)
def test_a_recipe_for_a_real_model_uses_nothing_of_the_sandbox(path: Path) -> None:
    recipe = load_recipe(path)
    named = [recipe.model.path, recipe.prompts.source.kind, recipe.measure.source.kind, recipe.measure.verifier]
    named += [recipe.generate.template, recipe.judge.template, recipe.meta.template, recipe.prompts.writer.template]
    assert not any("sandbox" in name for name in named)
    assert recipe.generate.sampling.max_tokens + 512 <= recipe.train.max_length
    assert recipe.train.max_length <= (recipe.engine.max_length or 0)
    assert recipe.model.dtype == "bfloat16" and recipe.handoff.noise > 0.3
    opening = path.read_text(encoding="utf-8")
    assert "# From the paper" in opening and "# Assumed:" in opening
