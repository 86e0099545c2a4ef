"""Every recipe that ships loads, and says first what it shows, on what hardware, in how many minutes."""

from itertools import takewhile
from pathlib import Path

import pytest

from selfreward.ablate import load_grid
from selfreward.config import load_recipe, to_yaml

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
    for word in ("hardware:", "minutes"):
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
