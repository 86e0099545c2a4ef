"""Sections of a recipe for tests, by their keys, as a recipe file would give them."""

from typing import Any

from selfreward.recipe import PairsRecipe
from selfreward.recipe.read import build_recipe

NEEDED: dict[str, dict[str, Any]] = {
    "anchored": {"generate": {"mix": [{"model": "initial", "samples": 2}]}},
    "steps": {"judge": {"question": {"kind": "steps"}}},
}
"""By pair rule: what else a recipe must say."""


def pairs_of(**keys: Any) -> PairsRecipe:
    return build_recipe([{"pairs": keys}, NEEDED.get(str(keys.get("rule")), {})]).pairs
