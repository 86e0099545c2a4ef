"""What may stand at a key: a section, one of several variants, sections by name or in a list, or a plain value.

Read off the classes once, so that reading a recipe, its errors and the key reference agree with the sections.
"""

import inspect
import types
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from selfreward.recipe.reference import ModelReference
from selfreward.recipe.section import Section, tag_of, tags_of


@dataclass(frozen=True, slots=True)
class Shape:
    """`variants` are sections by tag ("" where there is one); empty for a plain value.

    `holds` says whether they stand there themselves (one), by name (named) or in a list (listed); `default` is the tag
    that stands there where nothing is written.
    """

    variants: Mapping[str, type[Section]]
    tag: str = ""
    holds: Literal["one", "named", "listed"] = "one"
    optional: bool = False
    default: str = ""

    def fields(self, tag: str) -> Mapping[str, "Shape"]:
        return fields(self.variants[tag])


def fields(kind: type[Section]) -> Mapping[str, Shape]:
    """The keys of a section, in order."""
    if kind not in _FIELDS:
        hints = get_type_hints(kind, include_extras=True)
        _FIELDS[kind] = {
            name: _shape(hints[name], info.default_factory or info.default)
            for name, info in kind.__pydantic_fields__.items()
        }
    return _FIELDS[kind]


_FIELDS: dict[type[Section], Mapping[str, Shape]] = {}


def whole(kind: type[Section]) -> Shape:
    """The shape of a section itself."""
    return Shape({"": kind})


def _shape(hint: Any, default: Any) -> Shape:
    hint = _bare(hint)
    options = [_bare(one) for one in get_args(hint)] if get_origin(hint) in (Union, types.UnionType) else [hint]
    optional = type(None) in options
    kinds = [kind for one in options for kind in (get_args(one) if get_origin(one) is types.UnionType else (one,))]
    sections = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)]
    if len(sections) > 1:
        tag = tag_of(sections[0])
        variants = {name: kind for kind in sections for name in tags_of(kind)}
        made = default() if callable(default) else default
        standing = getattr(made, tag, None) or next(iter(variants))
        return Shape(variants, tag, "one", optional, str(standing))
    if sections:
        return Shape({"": sections[0]}, optional=optional)
    inner = [kind for kind in get_args(hint) if isinstance(kind, type) and issubclass(kind, Section)]
    if inner:
        return Shape({"": inner[0]}, holds="named" if get_origin(hint) is dict else "listed")
    return Shape({}, optional=optional)


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def declared(kind: type[Section], name: str) -> type | None:
    """The class that a key comes from: two variants that inherit it from one class mean the same by it."""
    for one in kind.__mro__:
        if name in inspect.get_annotations(one):
            return one
    return None


@dataclass(frozen=True, slots=True)
class Key:
    """A key as a reference tells it. `variant` names the tags without which it is not there, as key=value."""

    name: str
    type: str
    default: Any
    bounds: str
    variant: str
    description: str
    horizon: bool


_WORDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def keys(kind: type[Section]) -> Iterator[Key]:
    """Every key of a section, those of all its variants included. A name that the user gives stands as NAME."""
    yield from _keys({"": kind}, "", "", "", None)


def _keys(variants: Mapping[str, type[Section]], place: str, tag: str, variant: str, standing: Any) -> Iterator[Key]:
    """The keys at `place`; those that several variants inherit from one class come once. `standing` is the default."""
    prefix, groups = f"{place}." if place else "", defaultdict[tuple[str, type | None], list[type[Section]]](list)
    kinds = dict.fromkeys(variants.values())
    for kind in kinds:
        for name in kind.__pydantic_fields__:
            if name != tag:
                groups[name, declared(kind, name)].append(kind)
    # What all variants read comes first.
    for (name, _), readers in sorted(groups.items(), key=lambda item: len(item[1]) < len(kinds)):
        tags = "|".join(one for one, kind in variants.items() if kind in readers)
        which = variant if len(readers) == len(kinds) else f"{variant} {place}.{tag}={tags}".strip()
        reader = type(standing) if type(standing) in readers else readers[0]
        info, dotted, shape = reader.__pydantic_fields__[name], f"{prefix}{name}", fields(reader)[name]
        default = getattr(standing, name) if isinstance(standing, reader) else _default(info)
        words = info.description or ""
        if not shape.variants:
            hint = get_type_hints(reader, include_extras=True)[name]
            needed = info.is_required() and not isinstance(standing, reader)
            value = "(needed)" if needed else list(default) if isinstance(default, tuple) else default
            yield Key(dotted, type_words(hint), value, _bounds(info), which, words, _horizon(info))
            continue
        inner = dotted + {"one": "", "named": ".NAME", "listed": "[]"}[shape.holds]
        if shape.tag:
            value = None if default is None else shape.default
            yield Key(f"{inner}.{shape.tag}", " | ".join(shape.variants), value, "", which, words, _horizon(info))
        elif shape.optional or shape.holds != "one":
            yield Key(dotted, "section" if shape.optional else "sections", default, "", which, words, _horizon(info))
        yield from _keys(shape.variants, inner, shape.tag, which, default if shape.holds == "one" else None)


def _default(info: FieldInfo) -> Any:
    value = info.get_default(call_default_factory=True, validated_data={})
    return None if value is PydanticUndefined else value


def _bounds(info: FieldInfo) -> str:
    limits = [
        f"{words} {getattr(one, bound):g}"
        for one in info.metadata
        for bound, words in _WORDS.items()
        if hasattr(one, bound)
    ]
    return ", ".join(limits)


def _horizon(info: FieldInfo) -> bool:
    extra = info.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("horizon"))


_PLAIN = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    ModelReference: "a model",
    type(None): "null",
}


def type_words(hint: Any) -> str:
    """A type in words; a narrowed one in those that it brings."""
    if get_origin(hint) is Annotated:
        told = [one.description for one in get_args(hint)[1:] if isinstance(one, FieldInfo) and one.metadata]
        if told and told[0]:
            return told[0]
    hint = _bare(hint)
    arguments = get_args(hint)
    if get_origin(hint) is Literal:
        return " | ".join(map(str, arguments))
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(type_words(one) for one in arguments)
    if get_origin(hint) in (tuple, list):
        return f"a list of: {type_words(arguments[0])}"
    return _PLAIN.get(hint, getattr(hint, "__name__", str(hint)))


def paths(kind: type[Section]) -> list[str]:
    """Every dotted key there is, sections too, each once."""
    found: dict[str, None] = {}

    def look(kind: type[Section], prefix: str) -> None:
        for name, shape in fields(kind).items():
            found[f"{prefix}{name}"] = None
            if shape.holds == "one":
                for one in dict.fromkeys(shape.variants.values()):
                    look(one, f"{prefix}{name}.")

    look(kind, "")
    return list(found)
