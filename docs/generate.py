"""The pages that are made of the code: recipe keys, recipes, commands, metrics and how each was proved.

    python docs/generate.py [DIRECTORY]     docs/generated unless given; the package must be installed

Every page is a function without arguments that returns Markdown, so that a test can read what a reader will.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from artifacts_page import artifacts_page
from pages import ROOT, TABLES, module_docstring, page, table
from proofs import metrics_page
from recipe_keys import keys_page

WIDTH = 96
"""Columns of a command's help."""

# Recipes


def opening(path: Path) -> dict[str, str]:
    """The opening comment of a recipe by its headings, `Shows`, `Hardware`, `Minutes` ...; continued lines joined."""
    lines = takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    found: dict[str, str] = {}
    heading = "Shows"
    for line in lines:
        text = line.removeprefix("#")
        head = re.match(r" ([A-Z][^:.]{2,40}): (.*)", text)
        if head and not text.startswith("  "):
            heading, text = head.group(1), head.group(2)
        found[heading] = f"{found.get(heading, '')} {text.strip()}".strip()
    return found


def recipes_page() -> str:
    def rows(paths: Iterable[Path]) -> Iterator[tuple[str, ...]]:
        for path in paths:
            said = opening(path)
            shows, hardware = said.get("Shows", ""), said.get("Hardware", "")
            minutes = said.get("Minutes", "see hardware")
            link = f"[{path.stem}](../../{path.relative_to(ROOT).as_posix()})"
            yield link, shows, hardware.rstrip("."), minutes.rstrip(".")

    folder = ROOT / "recipes"
    plain = sorted(folder.glob("*.yaml"))
    sandbox = [path for path in plain if "models/" not in path.read_text(encoding="utf-8")]
    real = [path for path in plain if path not in sandbox]
    head = ["recipe", "shows", "hardware", "minutes"]
    return page(
        "Recipes",
        "Read from the opening comment of each file. `selfreward run NAME` takes any of them by its name; the comment "
        "in the file also says what is the paper's and what was assumed.",
        "## In the sandbox",
        table(head, rows(sandbox)),
        "## For real models",
        "Their minutes and memory are arithmetic, not measurements, and none has been run on a GPU. Each needs a model "
        "directory and prompts of yours.",
        table(head, rows(real)),
        "## Grids",
        "`selfreward ablate NAME` runs every arm with every seed and sets them side by side.",
        table(head[:3], (row[:3] for row in rows(sorted((folder / "grids").glob("*.yaml"))))),
    )


# Commands


def commands() -> Iterator[tuple[str, str]]:
    """Each command, its words joined, with the help that it prints, in plain lines."""
    from typer.main import get_command

    from selfreward.commands.cli import app

    def below(command: Any, word: str, parent: Any = None) -> Iterator[tuple[str, str]]:
        command.rich_markup_mode = None
        settings = {"parent": parent, "info_name": word, "terminal_width": WIDTH, **command.context_settings}
        context = command.context_class(command, **settings)
        yield context.command_path, command.get_help(context).strip("\n")
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(inner, name, context)

    yield from below(get_command(app), "selfreward")


def commands_page() -> str:
    parts = [f"## {name}\n\n```text\n{text}\n```" for name, text in commands()]
    return page("Commands", "What each command says of itself under `--help`.", *parts)


# Rules, losses, verifiers


def rules_page() -> str:
    from selfreward.pairing import PAIR_RULES
    from selfreward.tasks.verifiers import VERIFIERS

    def said(name: str, address: str) -> str:
        module = address.partition(":")[0]
        return f"### {name}\n\n`{module}`\n\n```text\n{module_docstring(module)}\n```"

    return page(
        "Pair rules, losses, verifiers",
        "Paper, formula, assumption and edge cases of each, as its file says them.",
        "## Pair rules",
        "`pairs.rule=NAME`",
        *(said(name, address) for name, address in PAIR_RULES.items()),
        "## Losses",
        "`train.loss=NAME`",
        f"```text\n{module_docstring('selfreward.training.losses')}\n```",
        "## Verifiers",
        "`measure.verifier=NAME`",
        *(said(name, address) for name, address in VERIFIERS.items()),
    )


# Results


def results_pages() -> dict[str, str]:
    """The log and the tables as they are committed, with a title where they have none, and a page that lists them."""
    found = [ROOT / "results" / "LOG.md", *sorted({*(ROOT / "results").glob("*.md")} - {ROOT / "results" / "LOG.md"})]
    found += sorted(TABLES.glob("*.md"))
    pages = {path.relative_to(ROOT).as_posix(): _titled(path) for path in found}
    listed = "\n".join(name.removeprefix("results/") for name in pages)
    said = "The log reads the tables; each entry names the command that made its table."
    return {"results/index.md": page("Results", said, f"```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```"), **pages}


def _titled(path: Path) -> str:
    text = path.read_text(encoding="utf-8").lstrip()
    return text if text.startswith("# ") else f"# {path.stem.replace('_', ' ').capitalize()}\n\n{text}"


PAGES: dict[str, Callable[[], str]] = {
    "keys.md": keys_page,
    "recipes.md": recipes_page,
    "commands.md": commands_page,
    "rules.md": rules_page,
    "metrics.md": metrics_page,
    "artifacts.md": artifacts_page,
}


def write_all(directory: Path) -> None:
    """A page that has not changed keeps its file as it is, so that a build does only what is owed."""
    for name, text in {**{name: make() for name, make in PAGES.items()}, **results_pages()}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "generated")
