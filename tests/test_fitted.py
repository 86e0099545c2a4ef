"""Tables in a narrow terminal: nothing is cut, intervals stay whole, and every row is known in every block."""

import io
import random
import re
from pathlib import Path

import pytest
from rich.console import Console
from run_factory import Story, write_run
from typer.testing import CliRunner

from selfreward.commands.cli import app
from selfreward.commands.see.listing import print_listing, print_status
from selfreward.report.fitted import EDGES, LABEL, LONGEST, fitted, fold, telling
from selfreward.report.tables import Table
from selfreward.report.terminal import print_table
from selfreward.store.results import Store
from selfreward.store.view import RunView

STORY = Story((0.4, 0.5, 0.6), report=12, train=8)
NAME = "self_rewarding_with_a_longer_name"
COMPARISON = Table(
    "second minus first",
    ["metric", "round", "first", NAME, "difference", "p (Holm)", "verdict", "n", "resolvable", "up / down, sign test"],
    [
        [metric, number, "4.135", "4.271", "+0.14 [-0.10, +0.37]", "1", "not resolved", "16", "0.331", "5 / 3, p 0.73"]
        for metric, number in (("judge's mean", "2"), ("judge's mean", "1"), ("distinct answers, no filler", "1"))
    ],
)
ROUNDS = Table(
    "rounds",
    ["metric", *(f"round {number}" for number in range(9)), "n"],
    [[name, *["0.0001 [-0.0012, +0.0013]"] * 9, "16 (small sample)"] for name in ("KL to initial, per token", "KL")],
)


def printed(table: Table, width: int) -> list[str]:
    stream = io.StringIO()
    print_table(table, Console(file=stream, width=width))
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 120])
@pytest.mark.parametrize("table", [COMPARISON, ROUNDS])
def test_no_line_is_wider_and_nothing_is_cut_or_lost(table: Table, width: int) -> None:
    lines = printed(table, width)
    assert max(map(len, lines)) <= width and not any("…" in line for line in lines)
    shown = {column for block in fitted(table, width) for column in block.columns}
    assert shown == set(range(len(table.header)))
    for block in fitted(table, width):
        for row, made in zip(table.rows, block.rows, strict=True):
            for column, cell in zip(block.columns, made, strict=True):
                assert re.sub(r"\s", "", cell) == re.sub(r"\s", "", row[column])


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_an_interval_stays_on_one_line(width: int) -> None:
    cells = [cell for block in fitted(ROUNDS, width) for row in block.rows for cell in row if "[" in cell]
    assert cells and all(re.search(r"\[\S+, \S+\]", cell) for cell in cells)


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_rows_are_told_apart_in_every_block(width: int) -> None:
    assert telling(COMPARISON) == 2, "a metric stands there once for each round"
    for block in fitted(COMPARISON, width):
        assert list(block.columns[:2]) == [0, 1]
        assert len({tuple(row[:2]) for row in block.rows}) == len(COMPARISON.rows)


def test_what_fits_is_left_alone_and_one_block_is_enough_where_folding_makes_it_so() -> None:
    (wide,) = fitted(COMPARISON, 200)
    assert [list(row) for row in wide.rows] == [list(row) for row in COMPARISON.rows] and wide.gap == 3
    short = Table("", [*COMPARISON.header[:3], "second", *COMPARISON.header[4:]], COMPARISON.rows)
    assert max(map(len, printed(short, 300)[3:])) > 120
    (block,) = fitted(short, 120)
    assert max(len(line) for line in block.rows[2][0].split("\n")) >= LABEL - EDGES, "the label is not squeezed"


def test_a_word_is_broken_only_where_it_is_too_long_and_then_after_a_mark() -> None:
    assert fold("train.learning_rate", 12) == ("train.learning_", "rate")
    assert fold("unresolvable", 4) == ("unresolvable",)
    assert fold("x" * 40, 8) == ("x" * 16, "x" * 16, "x" * 8)
    draw = random.Random(0)
    for _ in range(300):
        text = "".join(draw.choice("ab _-[],.\n") for _ in range(draw.randrange(1, 60)))
        width = draw.randrange(1, 30)
        lines = fold(text, width)
        assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)
        whole = max(map(len, re.findall(r"\[[^\]\n]*\]\S*", text)), default=0)
        assert all(len(line) <= max(width, LONGEST, whole) for line in lines), (text, width, lines)


@pytest.fixture
def view(tmp_path: Path) -> RunView:
    return write_run(Store(tmp_path / "results", share=False), NAME, STORY)


def test_a_verdict_without_room_stands_below_its_run(view: RunView) -> None:
    def listed(width: int) -> list[str]:
        stream = io.StringIO()
        print_listing([view], Console(file=stream, width=width))
        return stream.getvalue().splitlines()

    wide, narrow = listed(160), listed(80)
    said = wide[3].split("ago", 1)[1].strip()
    assert len(said) > 30
    assert re.match(rf"{NAME} +2/2 +finished .* ago$", narrow[0].rstrip()) and narrow[1].rstrip() == f"    {said}"


def test_status_is_as_wide_as_the_terminal(view: RunView) -> None:
    stream = io.StringIO()
    print_status(view, Console(file=stream, width=60))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 60 and not any("…" in line for line in lines)


def test_the_list_of_recipes_is_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, longest in (("72", 72), ("300", 118)):
        monkeypatch.setenv("COLUMNS", columns)
        lines = CliRunner().invoke(app, ["recipes"]).stdout.splitlines()
        assert longest - 15 < max(map(len, lines)) <= longest
