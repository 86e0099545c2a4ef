"""Sections of a recipe for tests, by their keys, as a recipe file would give them."""

from typing import Any

from selfreward.recipe import PairsRecipe
from selfreward.recipe.read import build_recipe


def pairs_of(**keys: Any) -> PairsRecipe:
    return build_recipe([{"pairs": keys}]).pairs
