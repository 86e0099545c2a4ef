"""One layer of keys over another, where a key may be one of several variants.

Before OmegaConf merges two layers, the upper one is written out (a bare string at a variant is its tag) and checked
against the sections, and what the lower one says of a variant that the upper one leaves is dropped: a base recipe goes
on working under every arm of a grid. What a layer says itself and its own variant does not know is refused.
"""

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from selfreward.errors import RecipeError
from selfreward.recipe.recipe import Recipe
from selfreward.recipe.sentences import no_variant, not_a_section, refuse_marks, unknown_key
from selfreward.recipe.shape import Shape, declared, whole
from selfreward.recipe.text import SHORT, quoted

RECIPE = whole(Recipe)


def over(base: Mapping[str, Any], layer: Any, where: str) -> dict[str, Any]:
    """`layer` on top of `base`, which is such a result, as plain values. Raises RecipeError for an unknown key."""
    if not isinstance(layer, Mapping):
        raise RecipeError(f"{where}: expected a mapping of recipe keys, found {type(layer).__name__}")
    try:
        refuse_marks(layer, "", where)
        below, above = _fit(RECIPE, base, layer, "", where)
    except RecursionError as problem:
        raise RecipeError(f"{where}: nested too deeply to be a recipe") from problem
    upper = OmegaConf.create(above)
    merged: Any = OmegaConf.to_container(OmegaConf.merge(OmegaConf.create(below), upper) if below else upper)
    return dict(merged)


def _fit(shape: Shape, base: Any, layer: Any, key: str, where: str) -> tuple[Any, Any]:
    """(what stays of `base`, `layer` written out) at `key`."""
    if not shape.variants or (layer is None and shape.optional):
        return base, layer
    if shape.holds == "listed":
        return base, _listed(shape, layer, key, where)
    if shape.holds == "named":
        if not isinstance(layer, Mapping):
            raise RecipeError(f"{where}: key {key!r} is {quoted(layer)}; expected names, each with a section of keys")
        known = base if isinstance(base, Mapping) else {}
        fitted = {
            str(name): _section(shape, "", known.get(name), one, f"{key}.{name}", where) for name, one in layer.items()
        }
        under = {name: fitted[name][0] if name in fitted else one for name, one in known.items()}
        return under, {name: above for name, (_, above) in fitted.items()}
    if not shape.tag:
        return _section(shape, "", base, layer, key, where)
    layer = _written_out(shape, layer, key, where)
    below: Mapping[str, Any] = base if isinstance(base, Mapping) else {}
    before = str(below.get(shape.tag, shape.default))
    tag = layer.get(shape.tag, before)
    if not isinstance(tag, str) or tag not in shape.variants:
        raise RecipeError(no_variant(shape, tag, f"{key}.{shape.tag}", where))
    old, new = shape.variants[before], shape.variants[tag]
    kept = {
        name: value
        for name, value in below.items()
        if name in new.__pydantic_fields__ and declared(old, name) is declared(new, name)
    }
    under, above = _section(shape, tag, kept, layer, key, where)
    return under, {**above, shape.tag: tag}


def _written_out(shape: Shape, layer: Any, key: str, where: str) -> dict[Any, Any]:
    """A variant as a mapping: a bare string is a tag, or what the one variant says that takes one."""
    given = dict(layer) if isinstance(layer, Mapping) else {SHORT: layer}
    if SHORT not in given:
        return given
    short = given.pop(SHORT)
    if not isinstance(short, str):
        raise RecipeError(not_a_section(shape, short, key, where))
    takes = next((tag for tag, kind in shape.variants.items() if kind.SHORTHAND), None)
    if short in shape.variants or takes is None:
        return {**given, shape.tag: short}
    return {**given, shape.tag: takes, str(shape.variants[takes].SHORTHAND): short}


def _section(shape: Shape, tag: str, base: Any, layer: Any, key: str, where: str) -> tuple[dict[str, Any], Any]:
    if not isinstance(layer, Mapping) or SHORT in layer:
        raise RecipeError(not_a_section(shape, layer, key, where))
    prefix = f"{key}." if key else ""
    known, below = shape.fields(tag), dict(base) if isinstance(base, Mapping) else {}
    above = {}
    for name, value in layer.items():
        if name not in known:
            raise RecipeError(unknown_key(shape, tag, f"{prefix}{name}", name, value, where))
        kept, above[name] = _fit(known[name], below.get(name), value, f"{prefix}{name}", where)
        if name in below:
            below[name] = kept
    return below, above


def _listed(shape: Shape, layer: Any, key: str, where: str) -> Any:
    if not isinstance(layer, list | tuple):
        raise RecipeError(f"{where}: key {key!r} is {quoted(layer)}; expected a list, each with a section of keys")
    return [_section(shape, "", {}, one, f"{key}[{number}]", where)[1] for number, one in enumerate(layer)]
