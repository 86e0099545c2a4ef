"""Reading the documentation as its readers do: what stands in code, which commands and keys it names."""

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
RECIPES = ROOT / "recipes"
WRITTEN = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *(path for path in sorted(DOCS.rglob("*.md")) if not {"generated", "_build"} & set(path.relative_to(DOCS).parts)),
]


@cache
def generate() -> ModuleType:
    """docs/generate.py, as the site's build imports it: with its own folder on the path."""
    sys.path.insert(0, str(DOCS))
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DOCS))
    return module


@cache
def help_of_commands() -> dict[str, str]:
    """Each command without `selfreward` in front, with its help."""
    return {" ".join(name.split()[1:]): text for name, text in generate().commands()}


def fences(text: str) -> list[str]:
    """What stands in fenced blocks, lines that go on joined."""
    return [block.replace("\\\n", " ") for block in re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M)]


def spans(text: str) -> list[str]:
    """What stands in inline code, outside of fenced blocks."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", outside)]


def commands(text: str) -> Iterator[list[str]]:
    """The words of each `selfreward ...` that can be typed as it stands."""
    lines = [line for block in fences(text) for line in block.splitlines()]
    for line in [*lines, *spans(text)]:
        for part in line.split("&&"):
            if part.strip().startswith("selfreward "):
                yield shlex.split(part, comments=True)[1:]


def assignments(words: list[str]) -> list[str]:
    return [word for word in words if re.match(r"(seed|rounds|[a-z_]+(\.[a-zA-Z_]+)+)=", word)]
