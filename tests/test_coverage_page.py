"""docs/coverage.md: every row has a home that exists and a test that exists, or says why it has none."""

import re

import pytest
from docs_reader import DOCS, ROOT, help_of_commands

from selfreward.measuring.metrics import families
from selfreward.recipe import Recipe
from selfreward.recipe.read import build_recipe
from selfreward.recipe.shape import keys
from selfreward.tasks.sets import OWN, READERS

PAGE = DOCS / "coverage.md"
NUMBERS = [*map(str, range(1, 165)), *(f"C{n}" for n in range(1, 14)), *(f"D{n}" for n in range(1, 13))]
REASONS = ("Not here:", "Out of scope")


def rows() -> list[list[str]]:
    lines = re.findall(r"^\| ((?:[CD])?\d+) \| (.*) \| (.*) \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.M)
    return [list(line) for line in lines]


ROWS = rows()
KEYS = {key.name for key in keys(Recipe)}
SECTIONS = {name.rpartition(".")[0] for name in KEYS} | {name.split(".")[0] for name in KEYS}
METRICS = {name for family in families() for name in family.metrics}
SETS = {*(f"own:{name}" for name in OWN), *READERS}
META = {"meta.rubric", "meta.context"}
"""What a prompt's row may hold for a judge."""


def exists(name: str) -> bool:
    """Is it a command, a recipe's key (with a value that it takes), a metric, a set or a file of the repository?"""
    if name.startswith("selfreward "):
        return name.removeprefix("selfreward ") in help_of_commands()
    if "/" in name:
        return (ROOT / name).exists()
    key, _, value = name.partition("=")
    known = key in KEYS or key in SECTIONS
    if value:
        return known and takes(key, value)
    return known or name in METRICS | SETS | META


def takes(key: str, value: str) -> bool:
    """Does the key take this value, as the recipe's own reference says?"""
    tagged = [one for one in keys(Recipe) if one.name in (key, f"{key}.kind", f"{key}.method", f"{key}.rule")]
    told = " ".join(f"{one.type} {one.description} {one.variant}" for one in tagged)
    inside = " ".join(one.variant for one in keys(Recipe) if one.name.startswith(f"{key}."))
    return bool(re.search(rf"(?<![\w]){re.escape(value)}(?![\w])", f"{told} {inside}")) or file_exists(value)


def file_exists(value: str) -> bool:
    """A template is named by its file."""
    folder = ROOT / "selfreward" / "judging" / "prompts" / "templates"
    return any(path.stem == value for path in folder.rglob("*.txt"))


def test_the_rows_are_all_there_and_in_order() -> None:
    assert [row[0] for row in ROWS] == NUMBERS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_has_a_home_that_exists_or_a_reason(row: list[str]) -> None:
    number, _, home, test = row
    names = re.findall(r"`([^`]+)`", home)
    missing = [name for name in names if not exists(name)]
    assert not missing, f"row {number}: {missing} do not exist"
    if home.startswith(REASONS):
        assert len(home.split()) >= 5, f"row {number}: a reason, in words"
        return
    assert names, f"row {number}: names no command, key, metric or file"
    tests = re.findall(r"`([^`]+)`", test)
    assert tests and all(name.startswith("tests/test_") and (ROOT / name).is_file() for name in tests), test


def test_a_name_that_does_not_exist_is_noticed() -> None:
    for name in ("selfreward nowhere", "judge.nothing", "judge.question=opinion", "no_metric", "recipes/none.yaml"):
        assert not exists(name), name
    assert all(map(exists, ("selfreward anchors sample", "train.method=grpo", "own:refusals", "refusal_rate")))


def test_values_that_the_page_names_are_taken_by_the_recipe() -> None:
    """What has keys without a default, or goes with others only, cannot stand alone; the rest is read as it stands."""
    alone = ["judge.question=list", "judge.question=comparison", "judge.aggregate=adaptive", "train.loss.kind=simpo"]
    for change in alone:
        assert f"`{change}`" in PAGE.read_text(encoding="utf-8")
        build_recipe([], ["meta.enabled=false", change])
