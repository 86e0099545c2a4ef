"""A JSON Lines file as dataclass rows: every field present, none unknown, each of its declared type."""

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar

from selfreward.errors import DataError
from selfreward.tasks.texts import kind_of, lines_of

Row = TypeVar("Row")


def read_rows(path: str | Path, kind: type[Row]) -> list[Row]:
    """All rows of a file, in its order. `kind` is a dataclass whose fields are the file's; `id` must be unique.

    Raises DataError naming file, line and field.
    """
    hints = typing.get_type_hints(kind)
    fields = [item.name for item in dataclasses.fields(kind)]  # type: ignore[arg-type]
    rows: list[Row] = []
    seen: dict[str, int] = {}
    for number, line in lines_of(Path(path)):
        where = f"{path}:{number}"
        try:
            found = json.loads(line)
        except json.JSONDecodeError as problem:
            raise DataError(f"{where}: not JSON ({problem}); expected an object with {', '.join(fields)}") from problem
        if not isinstance(found, dict):
            raise DataError(f"{where}: found {kind_of(found)}; expected an object with {', '.join(fields)}")
        for name in sorted(found.keys() ^ set(fields)):
            state = "unknown field" if name in found else "missing field"
            raise DataError(f"{where}: {state} {name!r}; expected exactly {', '.join(fields)}")
        for name in fields:
            if not _fits(found[name], hints[name]):
                shown = f"{kind_of(found[name])} ({str(found[name])[:60]!r})"
                raise DataError(f"{where}: {name} is {shown}; expected {_words(hints[name])}")
        same = seen.setdefault(found["id"], number)
        if same != number:
            raise DataError(f"{where}: id {found['id']!r} is already that of line {same}; ids must differ")
        rows.append(kind(**found))
    if not rows:
        raise DataError(f"{path}: no row in the file; expected one object a line with {', '.join(fields)}")
    return rows


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return value in arguments and type(value) in {type(one) for one in arguments}
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, arguments[1]) for item in value.values())
    # True is an int for Python, and not for a benchmark.
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _words(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(hint)))
    return str(getattr(hint, "__name__", hint)) if typing.get_origin(hint) is None else str(hint).replace("typing.", "")
