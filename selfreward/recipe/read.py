"""Reading a recipe: a YAML file and `key=value` overrides, merged, read as sections and checked.

Every refusal is a RecipeError that names the key, what was there and what was expected.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from selfreward.errors import RecipeError
from selfreward.recipe.check import check
from selfreward.recipe.idle import check_read
from selfreward.recipe.layers import over
from selfreward.recipe.recipe import Recipe
from selfreward.recipe.sentences import explain
from selfreward.recipe.text import parse_overrides, read_yaml, shown


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply `key=value` overrides.

    Raises RecipeError for a missing file, malformed YAML, an unknown key (the nearest known one is named), a wrong
    type, or a value that cannot work.
    """
    layer = read_yaml(path)
    return build_recipe([{} if layer is None else layer], overrides, where=shown(path), over_it="override")


def build_recipe(
    layers: Sequence[Any], overrides: Sequence[str] = (), where: str = "recipe", over_it: str | None = None
) -> Recipe:
    """Merge mappings (later ones win) and `key=value` strings over the defaults; check the result.

    Errors say `where` a key stands, and `over_it` of one that no layer holds but an override.
    """
    file: dict[str, Any] = {}
    for layer in layers:
        file = over(file, layer, where)
    given = parse_overrides(overrides)
    recipe = _recipe(over(file, given, over_it or where) if given else file, where)
    check(recipe, where)
    if given:
        check_read(recipe, file, given, over_it or where)
    return recipe


def _recipe(values: dict[str, Any], where: str) -> Recipe:
    try:
        return _reader().validate_python(values)
    except ValidationError as problem:
        raise RecipeError(explain(problem, where)) from problem


@cache
def _reader() -> TypeAdapter[Recipe]:
    return TypeAdapter(Recipe)
