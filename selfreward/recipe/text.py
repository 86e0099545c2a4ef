"""Recipes as text: YAML whose plain scalars stay as they are written until a key says what they are.

YAML 1.1 reads 12:30 as 750, 010 as 8 and `no` as false. Here only null, .inf and .nan mean something by themselves;
all else is text, which a key of numbers reads as a number and a key of text keeps.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml

from selfreward.errors import RecipeError


class _Loader(yaml.SafeLoader):
    """See above. A key that stands twice in one mapping is refused."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in getattr(node, "value", ()):
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} stands twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"), list("-+.")
)


def read_yaml(path: str | Path, what: str = "recipe") -> Any:
    """A YAML file as plain values. Raises RecipeError for what is no text, no YAML or too deep."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise RecipeError(f"{what} {shown(path)}: cannot be read ({reason}); expected a YAML file") from problem
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise RecipeError(
            f"{what} {shown(path)}: not UTF-8 text (byte {problem.start} is {data[problem.start]:#04x}); save it so"
        ) from problem
    return parse(text, f"{what} {shown(path)}")


def parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as problem:
        raise RecipeError(f"{where}: not valid YAML: {' '.join(str(problem).split())}") from problem
    except RecursionError as problem:
        raise RecipeError(f"{where}: nested too deeply to be a recipe") from problem
    except ValueError as problem:
        raise RecipeError(f"{where}: not valid YAML: {problem}") from problem


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """`key=value` strings as one layer; of two that say the same the later one wins."""
    layer: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        _refuse_malformed(override, key, equals)
        value = "" if text == "" else parse(text, f"override {shown(override)!r}: not key=value with a YAML value")
        _assign(layer, [part.strip() for part in key.split(".")], value)
    return layer


SHORT = "\0"
"""In a layer: where a bare string stands beside keys, as of `judge.reading=verdict judge.reading.ask_again=1`."""


def _assign(layer: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    *sections, last = parts
    for part in sections:
        inner = layer.get(part)
        if not isinstance(inner, dict):
            inner = layer[part] = {SHORT: inner} if isinstance(inner, str) else {}
        layer = inner
    before = layer.get(last)
    if isinstance(before, dict) and isinstance(value, str):
        before[SHORT] = value
    elif isinstance(before, dict) and isinstance(value, dict):
        before |= value
    else:
        layer[last] = value


def _refuse_malformed(override: str, key: str, equals: str) -> None:
    """Raise RecipeError for an override that is not key=value with a key of joined names."""
    if not equals:
        raise RecipeError(f"override {shown(override)!r}: expected key=value, for example rounds=5")
    if not key.strip():
        raise RecipeError(
            f"override {shown(override)!r}: no key stands before '='; expected key=value, for example rounds=5"
        )
    if not all(part.strip() for part in key.split(".")):
        raise RecipeError(
            f"override {shown(override)!r}: the key {shown(key)!r} has an empty part; expected names joined by single "
            "dots, for example train.beta=0.1"
        )


def shown(value: object, limit: int = 120) -> str:
    """A value as it stands in a sentence: not ten megabytes of it."""
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def quoted(value: Any) -> str:
    """Numbers as they are, text in quotes, neither longer than a line."""
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return repr(shown(value))
    return shown(value)
