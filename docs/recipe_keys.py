"""Every key of a recipe, from the recipe's own classes."""

import inspect
import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pages import page, table

from selfreward.recipe import Recipe
from selfreward.recipe.shape import Key, Shape, fields, keys


def _section(key: Key) -> str:
    return re.split(r"[.\[]", key.name)[0]


def _default(value: Any) -> str:
    if value == "(needed)":
        return "needed"
    return f"`{json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value}`"


def _said_by(kind: type) -> str:
    """A class's own docstring; not the signature that a dataclass writes where there is none."""
    words = inspect.getdoc(kind) or ""
    return "" if words.startswith(f"{kind.__name__}(") else words


def section_prose(section: str) -> str:
    """What a section's class says of it, then what each of its variants says of itself."""
    shape = fields(Recipe)[section]
    prose = [] if shape.tag or shape.holds != "one" else [_said_by(shape.variants[""])]
    return "\n\n".join([*prose, "\n".join(_variants(shape, section))])


def _variants(shape: Shape, place: str) -> Iterator[str]:
    """A line for each variant at this place, then for those below it; what several variants share is said once."""
    kinds = list(dict.fromkeys(shape.variants.values()))
    tags = {kind: [tag for tag, one in shape.variants.items() if one is kind] for kind in kinds}
    if shape.tag:
        for kind in kinds:
            yield f"- `{place}.{shape.tag}={'|'.join(tags[kind])}`: {' '.join(_said_by(kind).split())}"
    below = {name: inner for kind in reversed(kinds) for name, inner in shape.fields(tags[kind][0]).items()}
    for name, inner in below.items():
        if inner.variants and inner.holds == "one":
            yield from _variants(inner, f"{place}.{name}")


def keys_page() -> str:
    described = list(keys(Recipe))
    parts = [
        f"{len(described)} keys, read from the recipe's own classes when this page is built. `key=value` on the "
        "command line sets one, and in a file it is nested YAML. A key that says *only with* is not there otherwise, "
        "and is refused; `judge.question=comparison` is short for `judge.question.kind=comparison`, and so for every "
        "other `kind`. † may change when a run goes on; every other key is the run's identity.",
    ]
    # Keys that belong to no section stand together; `served` belongs to its own.
    sections = {_section(key) for key in described if key.name != _section(key)} | {"served"}
    for section, group in groupby(described, key=lambda key: _section(key) if _section(key) in sections else "run"):
        members = list(group)
        rows = [
            (
                f"`{key.name}`" + ("†" if key.horizon else ""),
                ", ".join(part for part in (key.type, key.bounds) if part),
                _default(key.default),
                key.description + (f". Only with `{key.variant}`" if key.variant else ""),
            )
            for key in members
        ]
        prose = "" if section == "run" else section_prose(section)
        parts += [f"## {section}", prose, table(["key", "value", "default", "meaning"], rows)]
    return page("Recipe keys", *parts)
