"""`selfreward recipes`: what ships, from the comments at the top of each recipe, and one of them whole.

A header is `# Shows: ...`, `# Hardware: ...`, `# Minutes: ...`; a field goes on over lines that are indented further,
and the next capitalised word with a colon begins another. tests/test_first_steps.py holds every shipped recipe to it.
"""

import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from selfreward.commands.shipped import recipe_file, shipped

FIELDS = ("Shows", "Hardware", "Minutes")
WIDTH = 118
"""Of a line, in a pipe and where the terminal has room."""
_FIELD = re.compile(r"# (?P<name>[A-Z][\w -]*?)(?: \([^)]*\))?: (?P<text>.*)")


def header(text: str) -> dict[str, str]:
    """The fields of a recipe's header, each as one line. A recipe without a header has none."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        field = _FIELD.match(line)
        if field and field["name"] in FIELDS:
            name = field["name"]
            found[name] = field["text"]
        elif field:
            name = ""
        elif name:
            found[name] = f"{found[name]} {line.lstrip('# ')}"
    return {name: " ".join(words.split()) for name, words in found.items()}


def listing(recipes: dict[str, Path], width: int = WIDTH) -> Iterator[str]:
    """Each recipe: its name, the first sentence of what it shows, what it wants and how long it takes."""
    for name, path in recipes.items():
        told = header(path.read_text(encoding="utf-8"))
        yield name
        for words in (first_sentence(told.get("Shows", "")), _wants(told)):
            yield from textwrap.wrap(words, width, initial_indent="    ", subsequent_indent="    ")


def _wants(told: dict[str, str]) -> str:
    hardware, minutes = (first_sentence(told.get(name, "")).rstrip(".") for name in FIELDS[1:])
    return f"{hardware} · minutes: {minutes}" if hardware and minutes else hardware or minutes


def first_sentence(text: str) -> str:
    """Up to the first full stop that a capital follows; a stop inside brackets or a number is none."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth <= 0 and character == "." and re.match(r"\s+[A-Z]", text[place + 1 :]):
            return text[: place + 1]
    return text


def recipes(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Print this one.")] = None,
) -> None:
    """The recipes that ship: what each shows, wants and takes. With a name, that recipe itself."""
    if name is not None:
        typer.echo(recipe_file(Path(name)).read_text(encoding="utf-8"), nl=False)
        return
    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 1)).columns)
    for line in listing(shipped(), width):
        typer.echo(line)
    grids = ", ".join(shipped("grids"))
    last = f"selfreward run NAME runs one, selfreward recipes NAME prints it. Grids for ablate: {grids}"
    typer.echo("\n" + textwrap.fill(last, width, break_on_hyphens=False))
