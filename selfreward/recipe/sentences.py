"""What is said of a key that cannot stand: which one, what was there, what was expected."""

import difflib
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args, get_type_hints

from pydantic import ValidationError

from selfreward.errors import RecipeError
from selfreward.recipe.former_keys import moved
from selfreward.recipe.recipe import Recipe
from selfreward.recipe.shape import Shape, fields, paths, type_words, whole
from selfreward.recipe.text import SHORT, quoted, shown


def refuse_marks(value: Any, key: str, where: str) -> None:
    """Raise RecipeError for text that OmegaConf would put something else in place of, an environment's secret too."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            if not isinstance(name, str):
                raise RecipeError(f"{where}: the name {shown(name)!r} under {key or 'the recipe'!r} is no text")
            refuse_marks(name, key, where)
            refuse_marks(one, f"{key}.{name}" if key and name != SHORT else name or key, where)
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            refuse_marks(one, f"{key}[{number}]", where)
    elif isinstance(value, str) and "${" in value:
        raise RecipeError(
            f"{where}: key {shown(key)!r} holds '${{', which stands for a value from elsewhere; a recipe says what it "
            "means itself, and secrets must not get in: write the value"
        )
    elif value == "???":
        raise RecipeError(f"{where}: key {shown(key)!r} is '???', which is no value; write one or remove the key")


def not_a_section(shape: Shape, value: Any, key: str, where: str) -> str:
    tag = shape.tag or next(iter(shape.fields(next(iter(shape.variants)))))
    value = value.get(SHORT) if isinstance(value, Mapping) else value
    return (
        f"{where}: key {key!r} is {quoted(value)}, but it is a section; expected one of its keys, for example "
        f"{key}.{tag}"
    )


def no_variant(shape: Shape, tag: Any, key: str, where: str) -> str:
    nearest = difflib.get_close_matches(str(tag), shape.variants, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"{where}: key {key!r} is {quoted(tag)}; expected one of {', '.join(shape.variants)}{hint}"


def unknown_key(shape: Shape, tag: str, key: str, name: str, value: Any, where: str) -> str:
    """Of a key that its section, or the variant that stands there, does not have."""
    if shape.tag:
        section = key[: -len(name) - 1]
        readers = [other for other, kind in shape.variants.items() if name in kind.__pydantic_fields__]
        if readers:
            some = " or ".join(dict.fromkeys(readers)) if len(readers) < 4 else f"one of {', '.join(readers)}"
            return (
                f"{where}: key {key!r}: {section}.{shape.tag}={tag} does not read it; remove it or set "
                f"{section}.{shape.tag}={some}"
            )
    new = moved(key, value)
    if new is not None:
        return f"{where}: key {key!r} is of an earlier version; write {new}"
    if "." in name and (name in _known() or name.split(".")[0] in fields(Recipe)):
        first, _, rest = name.partition(".")
        return (
            f"{where}: the name {shown(name)!r} has a dot; in a file a section holds its keys, so write {first}: "
            f"{{{rest.replace('.', ': {')}: …{'}' * (rest.count('.') + 1)}; dots are for overrides on the command line"
        )
    elsewhere = any(known.endswith(f".{name}") for known in _known())
    own = [] if elsewhere else difflib.get_close_matches(name, shape.fields(tag), n=1, cutoff=0.75)
    nearest = f"{key[: -len(name)]}{own[0]}" if own else nearest_key(key)
    return f"{where}: unknown key {shown(key)!r}" + (f"; did you mean {nearest!r}?" if nearest else "")


@cache
def _known() -> tuple[str, ...]:
    return tuple(paths(Recipe))


def nearest_key(key: str) -> str | None:
    """The known key that is most like this one, by its whole name and by its last part; never the key itself."""
    leaf, section = key.rpartition(".")[2][:80], key.rpartition(".")[0]
    if len(key) > 400:
        return None

    def alike(known: str) -> float:
        end = known.rpartition(".")[2]
        whole_name = difflib.SequenceMatcher(None, key, known).ratio()
        # Three letters stand in many a word: `run` is not what is meant by `truncated`.
        within = min(len(leaf), len(end)) > 3 and (end in leaf or leaf in end)
        last = difflib.SequenceMatcher(None, leaf, end).ratio() + (0.5 if within else 0.0)
        return whole_name + 1.5 * last + (0.4 if section and known.startswith(f"{section}.") else 0.0)

    best = max((known for known in _known() if known != key), key=alike)
    return best if alike(best) > 1.7 else None


MOST_NAMED = 8
"""Keys of one message."""
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("above", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("below", "lt"),
}


def explain(problem: ValidationError, where: str) -> str:
    """The first of pydantic's errors as one sentence, and every other number that is out of bounds, so that whoever
    mends one does not meet the next.
    """
    first, *others = problem.errors(include_url=False)
    said = {_place(first["loc"])[0]: f"{where}: {_explained(first)}"}
    for error in others:
        key, _ = _place(error["loc"])
        if error["type"] in _BOUNDS and key not in said and len(said) < MOST_NAMED:
            said[key] = _explained(error)
    return "; ".join(said.values())


def _explained(error: Mapping[str, Any]) -> str:
    key, hint = _place(error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    said = f"key {key!r}"
    if kind == "missing":
        return f"{said} is missing; expected {type_words(hint)}"
    said += f" is {quoted(error['input'])}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"{said}; expected {words} {context[bound]:g}"
    if kind == "finite_number":
        return f"{said}; expected a finite number"
    if kind == "string_too_short":
        return f"{said}; expected text that is not empty"
    if kind in ("string_too_long", "int_parsing_size"):
        return f"{said}; that is too long"
    return f"{said}; expected {type_words(hint)}"


def _place(loc: tuple[int | str, ...]) -> tuple[str, Any]:
    """pydantic's place, which names tags too, as a dotted key; and what the sections say may stand there."""
    key, shape, hint, parts = "", whole(Recipe), Any, list(loc)
    tag = ""
    while parts:
        name = parts.pop(0)
        if isinstance(name, int):
            key += f"[{name}]"
            hint = (get_args(hint) or (hint,))[0]
            continue
        kind = shape.variants.get(tag) if shape.variants else None
        if kind is None or name not in fields(kind):
            # A name that the user gave, or what pydantic calls the alternative of an optional value.
            if shape.holds == "named" and shape.variants:
                key, shape, tag = f"{key}.{name}", Shape(shape.variants), ""
            continue
        key = f"{key}.{name}" if key else str(name)
        hint, shape = get_type_hints(kind, include_extras=True)[str(name)], fields(kind)[str(name)]
        tag = str(parts.pop(0)) if shape.tag and parts else ""
    return key, hint
