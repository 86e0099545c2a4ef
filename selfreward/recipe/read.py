"""Reading a recipe: a YAML file and `key=value` overrides, merged over the typed defaults and checked.

Every refusal is a RecipeError that names the key, what was there and what was expected.
"""

import dataclasses
import difflib
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from selfreward.errors import RecipeError
from selfreward.recipe import HeldOutRecipe, LoraRecipe, Recipe, walk
from selfreward.recipe.check import check
from selfreward.recipe.check_unread import check_read

OPTIONAL_SECTIONS: dict[str, type[Any]] = {"train.lora": LoraRecipe, "measure.held_out": HeldOutRecipe}
"""Sections that may be null: key -> class."""


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
        _refuse_malformed(override)
    config = OmegaConf.structured(Recipe)
    try:
        given = OmegaConf.from_dotlist(list(overrides))
    except (YAMLError, OmegaConfBaseException) as problem:
        raise RecipeError(f"overrides {', '.join(overrides)}: not key=value with a YAML value: {problem}") from problem
    try:
        for layer in layers:
            config = _merged(config, layer, where)
        file: Any = OmegaConf.to_object(config)
        recipe: Any = OmegaConf.to_object(_merged(config, given, where))
    except OmegaConfBaseException as problem:
        raise RecipeError(_explain(problem, where)) from problem
    check(recipe, where)
    check_read(recipe, file, where)
    return typing.cast(Recipe, recipe)


def _refuse_malformed(override: str) -> None:
    """Raise RecipeError for an override that is not key=value with a key of joined names."""
    key, equals, _ = override.partition("=")
    if not equals:
        raise RecipeError(f"override {override!r}: expected key=value, for example rounds=5")
    if not key.strip():
        raise RecipeError(f"override {override!r}: no key stands before '='; expected key=value, for example rounds=5")
    if not all(part.strip() for part in key.split(".")):
        raise RecipeError(
            f"override {override!r}: the key {key!r} has an empty part; expected names joined by single dots, for "
            "example train.beta=0.1"
        )


def _merged(config: Any, layer: Any, where: str) -> Any:
    """`config` with `layer` on top. Raises RecipeError for what is no mapping where a mapping belongs."""
    if not isinstance(layer, dict | DictConfig):
        raise RecipeError(f"{where}: expected a mapping of recipe keys, found {type(layer).__name__}")
    plain: Any = OmegaConf.to_container(OmegaConf.create(layer), resolve=False)
    _refuse_flat_sections(plain, where)
    return OmegaConf.merge(config, layer)


def _refuse_flat_sections(layer: Mapping[Any, Any], where: str, prefix: str = "") -> None:
    """Raise RecipeError for a section that is given a value, such as `train: 5`."""
    for name, value in layer.items():
        key = f"{prefix}{name}"
        inside = [known for known in _known_keys() if known.startswith(f"{key}.")]
        if isinstance(value, Mapping):
            _refuse_flat_sections(value, where, f"{key}.")
        elif inside and (value is not None or key not in OPTIONAL_SECTIONS):
            raise RecipeError(
                f"{where}: key {key!r} is {value!r}, but it is a section; expected one of its keys, for example "
                f"{inside[0]}"
            )


@cache
def _known_keys() -> tuple[str, ...]:
    """Every leaf, those of sections that may be null too."""
    optional = [(f"{section}.", kind()) for section, kind in OPTIONAL_SECTIONS.items()]
    return tuple(name for prefix, section in [("", Recipe()), *optional] for name, _, _ in walk(section, prefix))


def _explain(problem: OmegaConfBaseException, where: str) -> str:
    """OmegaConf's error as one sentence: the key, what was there, what was expected."""
    key = problem.full_key or "?"
    reason = str(problem).splitlines()[0]
    known = [*_known_keys(), *(item.name for item in dataclasses.fields(Recipe))]
    if "not in" in reason:
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.3)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        return f"{where}: unknown key {key!r}{hint}"
    return f"{where}: key {key!r}: {reason}"
