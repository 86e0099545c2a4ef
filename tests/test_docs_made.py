"""The pages that are made of the code hold all of it, and what the written pages measured is what the tables say."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs_reader import DOCS, RECIPES, ROOT, fences, generate

from selfreward import __version__


def leaves(section: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_key_that_a_recipe_sets_is_in_the_reference(path: Path) -> None:
    page = generate().keys_page()
    for written in leaves(yaml.safe_load(path.read_text(encoding="utf-8"))):
        name = re.sub(r"^(measure\.cohorts|served)\.[^.]+", r"\1.NAME", written)
        assert f"`{name}`" in page or f"`{name}.kind`" in page, name


def test_every_command_is_on_the_commands_page() -> None:
    from typer.main import get_command

    from selfreward.commands.cli import app

    page = generate().commands_page()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        assert f"## selfreward {name}\n" in page
        assert (command.help or "").split()[0] in page
    assert "╭" not in page


def test_every_recipe_is_on_the_recipes_page_with_hardware_and_minutes() -> None:
    page = generate().recipes_page()
    for path in RECIPES.glob("*.yaml"):
        row = next(line for line in page.splitlines() if line.startswith(f"| [{path.stem}]("))
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 4 and all(cells), row
        assert "GPU" in cells[2] or "core" in cells[2]


def test_an_opening_comment_is_read_by_its_headings(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(
        "# Shows: a thing (2401.10020): twice\n#        as long.\n# Hardware: one core.\n# Minutes: 2.\nseed: 0\n"
        "# Shows: what comes later is no opening\n",
        encoding="utf-8",
    )
    assert generate().opening(path) == {
        "Shows": "a thing (2401.10020): twice as long.",
        "Hardware": "one core.",
        "Minutes": "2.",
    }


def test_every_metric_is_on_the_metrics_page_with_its_proof() -> None:
    from selfreward.measuring.metrics import addresses, families

    page = generate().metrics_page()
    for family in families():
        assert f"## {family.name}\n" in page
        for metric in family.metrics:
            assert f"| `{metric}` |" in page
    for name in addresses():
        assert f"### {name}\n" in page
    power = (ROOT / "results" / "tables" / "power.md").read_text(encoding="utf-8")
    size = re.search(r"\| refusal_rate \| \*\*([\d.]+)\*\*", power)
    assert size and f"refusals: {size.group(1)} |" in page
    silence = re.search(r"are_you_sure_flips_change \| (\S+ \[\S+ \S+\])", power)
    assert silence and silence.group(1) in page


def test_every_rule_loss_and_verifier_is_on_the_rules_page() -> None:
    from selfreward.pairing import PAIR_RULES
    from selfreward.tasks.verifiers import VERIFIERS

    page = generate().rules_page()
    assert all(f"### {name}\n" in page for name in [*PAIR_RULES, *VERIFIERS])
    assert "2407.19594" in page and "dpo_length_normalised" in page


def test_a_bar_in_a_cell_does_not_make_a_column() -> None:
    rows = generate().table(["a", "b"], [("x|y", "two\nlines")]).splitlines()
    assert rows == ["| a | b |", "| --- | --- |", "| x\\|y | two lines |"]


# What README promises


def test_the_readme_is_short_and_its_tree_is_of_folders_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    tree = next(block for block in fences(text) if "selfreward/" in block.splitlines()[-1] or "loop.py" in block)
    lines = tree.splitlines()
    assert len(lines) <= 40
    place: list[str] = []
    for line in lines:
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.findall(r"[\w.]+/(?=\s|$)|\w+\.py(?=\s)", line.split("   ")[0] + " ") or [line.split()[0]]
        place = [*place[:depth], names[0]]
        for name in names:
            assert ROOT.joinpath(*place[:depth], name).exists(), f"the tree names {'/'.join(place[:depth])}/{name}"
    shown = {line.split()[0].rstrip("/") for line in lines if re.match(r"  \w+/", line)}
    assert {path.parent.name for path in (ROOT / "selfreward").glob("*/*.py")} <= shown


def test_the_picture_is_there_and_small() -> None:
    picture = DOCS / "images" / "report.png"
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size < 200_000


def test_the_citation_has_this_version() -> None:
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_versions_page_has_the_pins() -> None:
    from selfreward.commands.doctor import SUPPORTED_PAIRS

    page = (DOCS / "versions.md").read_text(encoding="utf-8")
    for torch, vllm in SUPPORTED_PAIRS.items():
        assert f"| {torch} | {vllm} |" in page
    needs = " ".join(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"])
    for name, said in (
        ("torch", r"\| torch \| ([\d.]+) or newer"),
        ("transformers", r"\| transformers \| ([\d.]+) or"),
    ):
        found = re.search(said, page)
        assert found and f"{name}>={found.group(1)}" in needs
    pinned = re.search(r"\| trl \| ([\d.]+) \|", page)
    assert pinned and f"trl>={pinned.group(1)}," in needs


ARM = re.compile(r"Arm\s+`(\w+)`\s+of\s+\[\w+\.md\]\(\S*?(\w+\.md)\):\s+(.*?\d x \d)", re.S)


@pytest.mark.parametrize("page", sorted((DOCS / "methods").glob("*.md")), ids=lambda path: path.stem)
def test_what_the_sandbox_measured_is_what_the_table_says(page: Path) -> None:
    for arm, table, said in ARM.findall(page.read_text(encoding="utf-8")):
        rows = (ROOT / "results" / "tables" / table).read_text(encoding="utf-8").splitlines()
        row = rows[rows.index("**true accuracy**") :]
        cells = [cell.strip() for cell in next(line for line in row if line.startswith(f"| {arm} |")).split("|")]
        first, last, gain, models = cells[2].split()[0], cells[3].split()[0], cells[4], cells[5]
        expected = f"true accuracy {first} → {last}, gain {gain}, {models}"
        assert " ".join(said.split()) == expected, f"{page}: {arm}"


def test_most_methods_say_what_the_sandbox_measured() -> None:
    found = [arm for page in (DOCS / "methods").glob("*.md") for arm, *_ in ARM.findall(page.read_text("utf-8"))]
    assert {"self_judged", "meta", "cream", "spin", "sppo", "length_tiers", "verified", "expected", "hybrid"} <= set(
        found
    )
