"""README and docs: links lead somewhere, and the commands, recipes, keys and files that they name exist."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from docs_reader import (
    DOCS,
    RECIPES,
    ROOT,
    WRITTEN,
    assignments,
    commands,
    fences,
    generate,
    help_of_commands,
    spans,
)

from selfreward.recipe import Recipe
from selfreward.recipe.read import load_recipe
from selfreward.recipe.shape import keys

written = pytest.mark.parametrize("page", WRITTEN, ids=lambda path: path.relative_to(ROOT).as_posix())


# Links and names


@written
def test_links_lead_to_files(page: Path) -> None:
    made = {f"generated/{name}" for name in [*generate().PAGES, *generate().results_pages()]}
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path = target.partition("#")[0]
        if not path or re.match(r"[a-z]+:", path):
            continue
        reached = (page.parent / path).resolve()
        assert reached.is_relative_to(ROOT), f"{page}: {target} leads out of the repository"
        inside = reached.relative_to(DOCS).as_posix() if reached.is_relative_to(DOCS) else ""
        assert reached.exists() or inside in made, f"{page}: {target} does not exist"


@written
def test_paths_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\b((?:selfreward|recipes|tests|benchmarks)/[\w./*-]*[\w*/])", text):
        if "NAME" in name or "*" in name:
            continue
        assert (ROOT / name).exists(), f"{page}: {name} does not exist"


@written
def test_commands_that_are_named_exist_with_their_options(page: Path) -> None:
    known = help_of_commands()
    for words in commands(page.read_text(encoding="utf-8")):
        if words[0] == "--help" or words[0].isupper():
            continue
        name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in known), None)
        assert name, f"{page}: there is no command {words[0]!r}"
        for option in (word.partition("=")[0] for word in words if word.startswith("--")):
            assert re.search(rf"{option}\b", known[name]), f"{page}: selfreward {name} has no option {option}"


@written
def test_recipes_that_are_run_by_name_ship(page: Path) -> None:
    for command, named, *further in (words for words in commands(page.read_text(encoding="utf-8")) if len(words) > 1):
        folder = {"run": RECIPES, "plan": RECIPES, "ablate": RECIPES / "grids"}.get(command)
        if command == "ablate" and "--vary" in further:
            folder = RECIPES
        if folder and not named.isupper():
            assert (folder / f"{named}.yaml").exists() or (ROOT / named).exists(), f"{page}: no recipe {named!r}"


@written
def test_make_targets_and_extras_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for line in [*spans(text), *(line for block in fences(text) for line in block.splitlines())]:
        if line.startswith("make "):
            words = [word for word in shlex.split(line.partition("&&")[0], comments=True)[1:] if "=" not in word]
            assert set(words) <= targets, f"{page}: no make target {set(words) - targets}"
        for named in re.findall(r"\.\[([\w,-]+)\]", line):
            assert set(named.split(",")) <= set(extras), f"{page}: no extra of {named!r}"


# Keys


@written
def test_keys_that_are_named_are_keys(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    known: dict[str, set[str]] = {}
    for key in keys(Recipe):
        known.setdefault(key.name, set()).update(part.strip() for part in key.type.split("|"))
    for span in spans(text):
        for name, value in (word.split("=", 1) for word in assignments(span.split())):
            place = re.sub(r"^served\.\w+", "served.NAME", name)
            full = next((one for one in (place, f"{place}.kind") if one in known), None)
            assert full, f"{page}: `{name}` is no key of a recipe"
            options = known[full]
            if len(options) > 1 and value.isidentifier() and not place.endswith(".source"):
                assert value in options, f"{page}: `{name}={value}`; expected one of {sorted(options)}"


@written
def test_runs_that_are_shown_have_recipes_that_load(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in commands(page.read_text(encoding="utf-8")):
        overrides = assignments(words)
        if words[0] in ("run", "fork", "plan") and not any("=value" in word for word in overrides):
            path = RECIPES / f"{words[1]}.yaml"
            load_recipe(path if path.exists() else RECIPES / "sandbox.yaml", overrides)


@written
def test_parts_of_a_recipe_that_are_shown_load(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)):
        if not block.startswith("base:"):
            part = tmp_path / f"{number}.yaml"
            part.write_text(block, encoding="utf-8")
            load_recipe(part)


# The site


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_asks_no_network(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="pip install '.[docs]'")
    command: list[Any] = [sys.executable, "-m", "sphinx", "--fresh-env", "--fail-on-warning", "--keep-going", "--quiet"]
    done = subprocess.run([*command, DOCS, tmp_path / "site"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for path in (tmp_path / "site").rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"(?:https?:)?//", html), path
