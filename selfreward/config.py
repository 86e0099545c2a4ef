"""Reading a recipe: a YAML file and `key=value` overrides, merged over the typed defaults and checked.

Every refusal is a RecipeError that names the key, what was there and what was expected.
"""

import dataclasses
import difflib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from selfreward.errors import RecipeError
from selfreward.recipe import LoraRecipe, Recipe, walk
from selfreward.recipe_checks import check


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply `key=value` overrides.

    Raises RecipeError for a missing file, malformed YAML, an unknown key (the nearest known one is named), a wrong
    type, or a value that cannot work.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as problem:
        raise RecipeError(f"recipe {path}: cannot be read ({problem.strerror}); expected a YAML file") from problem
    try:
        layer = OmegaConf.create(text)
    except (YAMLError, OmegaConfBaseException) as problem:
        raise RecipeError(f"recipe {path}: not valid YAML: {problem}") from problem
    return build_recipe([layer], overrides, where=str(path))


def build_recipe(layers: Sequence[Any], overrides: Sequence[str] = (), where: str = "recipe") -> Recipe:
    """Merge mappings (later ones win) and `key=value` strings over the defaults; check the result."""
    for override in overrides:
        if "=" not in override:
            raise RecipeError(f"override {override!r}: expected key=value, for example rounds=5")
    config = OmegaConf.structured(Recipe)
    try:
        given = OmegaConf.from_dotlist(list(overrides))
    except (YAMLError, OmegaConfBaseException) as problem:
        raise RecipeError(f"overrides {', '.join(overrides)}: not key=value with a YAML value: {problem}") from problem
    try:
        for layer in [*layers, given]:
            if not isinstance(layer, dict | DictConfig):
                raise RecipeError(f"{where}: expected a mapping of recipe keys, found {type(layer).__name__}")
            config = OmegaConf.merge(config, layer)
        recipe: Any = OmegaConf.to_object(config)
    except OmegaConfBaseException as problem:
        raise RecipeError(_explain(problem, where)) from problem
    check(recipe, where)
    return typing.cast(Recipe, recipe)


def _explain(problem: OmegaConfBaseException, where: str) -> str:
    """OmegaConf's error as one sentence: the key, what was there, what was expected."""
    key = problem.full_key or "?"
    reason = str(problem).splitlines()[0]
    known = [name for name, _, _ in walk(Recipe())] + [item.name for item in dataclasses.fields(Recipe)]
    known += [f"train.lora.{name}" for name, _, _ in walk(LoraRecipe())]
    if "not in" in reason:
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.3)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        return f"{where}: unknown key {key!r}{hint}"
    return f"{where}: key {key!r}: {reason}"
