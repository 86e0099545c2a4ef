"""Golden calls of a prompt's row, and whether what a program returned is what they say.

`meta.entry` is the name of the function, `meta.tests` a list of {"args": [...], "kwargs": {...}, "expected": ...,
"tolerance": x}, of which `kwargs` and `tolerance` may be left out, and `answer` a program that passes them. A result is
compared as JSON: a tuple is a list, the keys of an object are strings. Numbers are equal by their value (2 and 2.0), or
within the absolute `tolerance`; true is not 1, NaN and infinity are no results, and nothing is equal to another type.
Refused are tests that a constant would pass, and fewer than three: what is guessed must not be right.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.truths import named, require_answer

LEAST = 3
"""Golden calls that a prompt must have."""

LONGEST = 100_000
"""Characters of a call, and of a result, as JSON."""

_KEYS = {"args", "kwargs", "expected", "tolerance"}


@dataclass(frozen=True)
class Golden:
    """One call and its result. Only `call` is ever sent to the process that runs a program."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    expected: Any
    tolerance: float

    @property
    def call(self) -> dict[str, Any]:
        return {"args": list(self.args), "kwargs": dict(self.kwargs)}

    @property
    def words(self) -> str:
        return json.dumps(self.call)[:120]


@dataclass(frozen=True)
class Task:
    entry: str
    tests: Sequence[Golden]
    reference: str


def read_task(prompt: Prompt) -> Task:
    """The task of a row. Raises DataError that says what its row lacks."""
    entry, tests = prompt.meta.get("entry"), prompt.meta.get("tests")
    if not isinstance(entry, str) or not entry.isidentifier() or not entry.isascii():
        raise DataError(f"{named(prompt)}: meta.entry is {entry!r}; expected the name of the function that is called")
    if not isinstance(tests, list) or len(tests) < LEAST:
        there = f"has {len(tests)}" if isinstance(tests, list) else f"is {str(tests)[:40]!r}"
        raise DataError(
            f"{named(prompt)}: meta.tests {there}; expected at least {LEAST} golden calls, each an object with args "
            "and expected"
        )
    goldens = [_golden(prompt, number, test) for number, test in enumerate(tests)]
    if all(same(goldens[0].expected, golden.expected, 0.0) for golden in goldens):
        raise DataError(
            f"{named(prompt)}: all golden calls of meta.tests give {str(goldens[0].expected)[:40]!r}, so that a "
            "constant would pass; add one that gives something else"
        )
    return Task(entry, goldens, require_answer(prompt, "a program that passes meta.tests,"))


def _golden(prompt: Prompt, number: int, test: Any) -> Golden:
    where = f"{named(prompt)}: meta.tests[{number}]"
    if not isinstance(test, dict) or not {"args", "expected"} <= test.keys() <= _KEYS:
        keys = ", ".join(test) if isinstance(test, dict) else repr(test)[:40]
        raise DataError(f"{where} has {keys or 'no key'}; expected args and expected, and perhaps kwargs and tolerance")
    args, kwargs, tolerance = test["args"], test.get("kwargs", {}), test.get("tolerance", 0.0)
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise DataError(f"{where}: args is {args!r} and kwargs {kwargs!r}; expected a list and an object")
    if not _is_number(tolerance) or not 0 <= tolerance < float("inf"):
        raise DataError(f"{where}: tolerance is {tolerance!r}; expected a number of at least 0")
    try:
        lengths = [len(json.dumps(value, allow_nan=False)) for value in ([args, kwargs], test["expected"])]
    except ValueError as problem:
        raise DataError(f"{where}: {problem}; expected JSON without NaN and infinity") from problem
    if max(lengths) > LONGEST:
        raise DataError(f"{where}: {max(lengths)} characters of JSON; expected at most {LONGEST}")
    return Golden(args, kwargs, test["expected"], float(tolerance))


def same(expected: Any, found: Any, tolerance: float) -> bool:
    """Whether `found` is the golden result. Both are JSON values; the depth of `expected` bounds the recursion."""
    if _is_number(expected):
        return _is_number(found) and _near(expected, found, tolerance)
    if type(expected) is not type(found):
        return False
    if isinstance(expected, list):
        return len(expected) == len(found) and all(
            same(one, other, tolerance) for one, other in zip(expected, found, strict=True)
        )
    if isinstance(expected, dict):
        return expected.keys() == found.keys() and all(
            same(value, found[name], tolerance) for name, value in expected.items()
        )
    return bool(expected == found)


def _near(expected: float, found: float, tolerance: float) -> bool:
    if found == expected:
        return True
    try:
        return abs(found - expected) <= tolerance and tolerance > 0
    except OverflowError:  # an integer beyond every float
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
