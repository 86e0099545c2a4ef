"""A section of a recipe: a frozen dataclass whose values pydantic checks, and whose keys say what they mean.

Where a section is one of several variants, each variant is a class of its own with its own keys, and the tag, a key
named `kind`, `method` or `rule`, says which one stands there. A key that two variants inherit from one class is one
key: it stays when a later layer changes the tag. Keys that two variants declare apart are two, whatever their names.
"""

import dataclasses
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform, get_args, get_type_hints

import pydantic.dataclasses
from pydantic import ConfigDict, Field
from pydantic.fields import FieldInfo

Kind = TypeVar("Kind", bound=type)

TAGS = ("kind", "method", "rule")

LONGEST = 4096
"""Characters of a string; no path of any file system is longer."""

_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False, str_min_length=1, str_max_length=LONGEST, defer_build=True)


class Section:
    """What every section is. `dataclasses.replace` makes a changed one, and checks it."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    __pydantic_fields__: ClassVar[dict[str, FieldInfo]]

    SHORTHAND: ClassVar[str | None] = None
    """Of a variant: the key that a bare string which is no tag is the value of."""


@dataclass_transform(frozen_default=True)
def section(kind: Kind) -> Kind:
    """The class as a section."""
    return cast(Kind, pydantic.dataclasses.dataclass(frozen=True, config=_CONFIG)(kind))


@dataclass_transform(frozen_default=True, kw_only_default=True)
def keyed(kind: Kind) -> Kind:
    """The class as a section that adds keys without a default to those that it inherits."""
    return cast(Kind, pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=_CONFIG)(kind))


def setting(
    default: Any,
    words: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    horizon: bool = False,
    later: bool = False,
) -> Any:
    """A key: its default, its meaning in one line, its bounds, and whether it may change between invocations.

    `later`: it came after runs had been made without it. At its default it is not told (`as_dict`), so they go on.
    """
    bounds = {"ge": minimum, "gt": above, "le": maximum, "lt": below}
    given: dict[str, Any] = {name: bound for name, bound in bounds.items() if bound is not None}
    return Field(default, description=words, json_schema_extra={"horizon": horizon, "later": later}, **given)


def needed(words: str) -> Any:
    """A key without a default, for `Annotated[str, needed(...)]`."""
    return Field(description=words, json_schema_extra={"horizon": False})


def part(make: Callable[[], Any], words: str, *, horizon: bool = False, later: bool = False) -> Any:
    """A section within a section, or another default that has to be made anew each time."""
    return Field(default_factory=make, description=words, json_schema_extra={"horizon": horizon, "later": later})


def tag_of(kind: type[Section]) -> str:
    """The key that says which variant this is."""
    return next(name for name in TAGS if name in kind.__pydantic_fields__)


def tags_of(kind: type[Section]) -> tuple[str, ...]:
    return get_args(get_type_hints(kind)[tag_of(kind)])


def is_section(value: object) -> bool:
    return isinstance(value, Section)


def walk(section: Any, prefix: str = "") -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield (dotted key, value, metadata) of every leaf of a recipe section."""
    for name, info in type(section).__pydantic_fields__.items():
        value = getattr(section, name)
        if is_section(value):
            yield from walk(value, f"{prefix}{name}.")
        else:
            extra = info.json_schema_extra
            yield f"{prefix}{name}", value, dict(extra) if isinstance(extra, dict) else {}


def as_dict(section: Any) -> dict[str, Any]:
    """A recipe section as plain JSON types; a tag comes first, and a later key is there where it says something."""
    names = sorted((item.name for item in dataclasses.fields(section)), key=lambda name: name not in TAGS)
    silent = _later(type(section))  # type: ignore[arg-type]  # a class is hashable
    values = {name: getattr(section, name) for name in names}
    return {name: _plain(value) for name, value in values.items() if name not in silent or value != silent[name]}


@cache
def _later(kind: type[Section]) -> dict[str, Any]:
    """The keys of `later`, with their defaults."""
    fields: dict[str, Any] = getattr(kind, "__pydantic_fields__", {})
    extras = {name: field.json_schema_extra for name, field in fields.items()}
    return {
        name: fields[name].get_default(call_default_factory=True)
        for name, extra in extras.items()
        if isinstance(extra, dict) and extra.get("later")
    }


def _plain(value: Any) -> Any:
    if is_section(value):
        return as_dict(value)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, str) else value
