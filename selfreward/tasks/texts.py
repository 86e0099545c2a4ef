"""Lines and values of the user's files: what is text, and how an error shows what else was there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfreward.errors import DataError, beside


def lines_of(path: Path) -> list[tuple[int, str]]:
    """The lines of a UTF-8 file with their numbers, from 1."""
    return list(stream_lines(path))


def stream_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The same, one at a time: a file may be larger than memory."""
    require_regular(path)
    number = 0
    try:
        # Not splitlines(): a prompt may hold U+2028 and other characters that it takes for line ends.
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                yield number, line.removesuffix("\n")
    except OSError as problem:
        hint = "" if path.exists() else beside(path)
        raise DataError(f"{path}: cannot be read ({problem.strerror}); expected a file of rows{hint}") from problem
    except UnicodeDecodeError as problem:
        raise DataError(f"{path}: not UTF-8 (after line {number}); save the file as UTF-8") from problem


def require_regular(path: Path) -> None:
    """Refuse a pipe or a device: a file of rows is read more than once, and its rows have to be the same then."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise DataError(f"{path}: no regular file, and its rows are read more than once; save them as a file")


def text_of(value: Any, name: str, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: {name} is {kind_of(value)}; expected a string")
    if not value.strip():
        raise DataError(f"{where}: {name} is empty; expected text")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise DataError(f"{where}: {name} holds half a surrogate pair, which is no text; save the file as UTF-8")
    return value


def kind_of(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number") if value != [] else "an empty list"


def quoted(text: str, longest: int = 60) -> str:
    return repr(text if len(text) <= longest else f"{text[:longest]}…")
