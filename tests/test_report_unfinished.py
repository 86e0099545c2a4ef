"""Runs that did not come to their end, and runs beside each other: what the first words say."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from run_factory import Story, write_run

from selfreward.commands.run import ending_noted
from selfreward.errors import TrainingError
from selfreward.recipe.read import build_recipe
from selfreward.report.alike import differing_keys
from selfreward.report.html import write_report
from selfreward.report.reading import Reading
from selfreward.report.terminal import print_comparison
from selfreward.report.verdict import judge_run
from selfreward.store.results import Store
from selfreward.store.view import RunView


def compared(a: RunView, b: RunView) -> str:
    stream = io.StringIO()
    print_comparison(a, b, Console(file=stream, width=120))
    return " ".join(stream.getvalue().split())


def test_a_comparison_begins_with_a_sentence_and_says_which_run_did_not_end(tmp_path: Path) -> None:
    store = Store(tmp_path, share=False)
    good = write_run(store, "good", Story((0.4, 0.8), report=60, train=8))
    bad = write_run(store, "bad", Story((0.4, 0.1), report=60, train=8))
    said = compared(good, bad)
    assert said.startswith("bad (round 1) beside good (round 1): true accuracy lower (-0."), said
    assert "is finished" not in said
    recipe = bad.path / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("rounds: 1\n", "rounds: 2\n"))
    assert "bad is interrupted, in round 1 of 2. the same command goes on" in compared(good, bad)
    assert compared(good, good).startswith("Of their last rounds, 1 and 1, nothing can be compared.")
    assert "different judges" not in compared(good, bad)
    recipe.write_text(
        recipe.read_text().replace("    kind: mean\n    samples: 3\n", "    kind: mean\n    samples: 1\n")
    )
    assert "two different judges scored them" in compared(good, bad)


def test_a_run_that_failed_in_its_first_round_says_so_in_its_verdict(tmp_path: Path) -> None:
    store = Store(tmp_path, share=False)
    view = write_run(store, "broken", Story((0.4,), report=12, train=8))
    assert "nothing to compare it with yet" in judge_run(Reading(view)).headline
    opened = store.open_run("broken", view.recipe(), environment={})
    with opened as run, pytest.raises(TrainingError), ending_noted(run):
        raise TrainingError("no pair is left")
    assert judge_run(Reading(view)).headline.endswith(": TrainingError: no pair is left")


def test_differing_keys_are_leaves_under_names_too() -> None:
    keys = ["judge.model=served:big", "served.big.model=m", "judge.reading=verdict"]
    recipes = [build_recipe([], [*keys, f"served.big.url=http://h{n}/v1"]) for n in (1, 2)]
    runs: Any = [SimpleNamespace(name=f"run{n}", recipe=recipe) for n, recipe in enumerate(recipes)]
    assert differing_keys(runs).rows == [["served.big.url", "http://h1/v1", "http://h2/v1"]]
    without: Any = SimpleNamespace(name="plain", recipe=build_recipe([], []))
    rows = {row[0]: row[1:] for row in differing_keys([without, runs[0]]).rows}
    assert rows["judge.model"] == ["policy", "served:big"]
    assert rows["served.big.model"] == ["", "m"]


def test_the_numbers_of_two_reports_in_one_directory_do_not_overwrite_each_other(tmp_path: Path) -> None:
    run = write_run(Store(tmp_path / "results", share=False), "one", Story((0.4, 0.5), report=12, train=8))
    written = [path.name for name in ("report.html", "both.html") for path in write_report([run], tmp_path / name)]
    assert {"measurements.csv", "both.csv"} < set(written)
    assert len(set(written)) == 8
