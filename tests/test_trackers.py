"""Trackers: nothing unless asked, each round once, and the real packages where they are installed."""

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from selfreward.commands.run import run
from selfreward.errors import RecipeError
from selfreward.progress import Progress
from selfreward.recipe import identity
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Measurement
from selfreward.report.trackers import PACKAGES, TOLD, TRACKERS, Tracking, require_tracker, tracking
from selfreward.store.results import Store

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
TINY = [
    *("rounds=1", "prompts.writer.share=0", "meta.enabled=false", "prompts.per_round=8", "measure.frozen=0"),
    *(f"measure.judge_probes.{name}=0" for name in ("padded", "claims", "initial")),
    *("measure.gate=2", "measure.selection=2", "measure.report=4", "measure.samples=2"),
]
QUIET = Progress(style="silent")


def row(number, metric, value, cohort="all", low=None, high=None):
    return Measurement(number, "p", metric, cohort, "report", value, low, high, 5, 0, "")


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_run_tells_its_recipe_every_round_and_the_loss_of_every_step(tmp_path: Path):
    recipe = load_recipe(SMOKE, TINY)
    directory = run(recipe, Store(tmp_path), "told", QUIET, "jsonl")
    told = lines(directory / "tracked.jsonl")
    assert told[0]["recipe"]["rounds"] == 1
    steps = [line for line in told if "train/step" in line]
    seal = Store(tmp_path).existing("told").seal(1, "checkpoint")
    assert [line["train/step"] for line in steps] == list(range(1, seal.facts["steps"] + 1))
    assert all(line["round"] == 1 and line["train/loss"] > 0 for line in steps)
    rounds = [line for line in told if "report/true_accuracy" in line]
    assert [line["round"] for line in rounds] == [0, 1]
    measured = Store(tmp_path).existing("told").read(1, "measurements", Measurement)
    accuracy = next(m for m in measured if (m.metric, m.pool, m.cohort) == ("true_accuracy", "report", "all"))
    assert rounds[1]["report/true_accuracy/low"] == accuracy.low
    assert rounds[1]["train/last_loss"] == seal.facts["metrics"]["last_loss"]
    page = (directory / "report.html").read_bytes()
    assert told[-1] == {"report": "report.html", "sha256": hashlib.sha256(page).hexdigest()}
    # Going on tells what is new, and nothing twice.
    run(load_recipe(SMOKE, [*TINY, "rounds=2"]), Store(tmp_path), "told", QUIET, "jsonl")
    rounds = [line["round"] for line in lines(directory / "tracked.jsonl") if "report/true_accuracy" in line]
    assert rounds == [0, 1, 2] and json.loads((directory / TOLD).read_text()) == {"jsonl": [0, 1, 2]}


def test_nothing_is_told_unless_asked_and_the_option_is_no_part_of_the_run(tmp_path: Path):
    recipe = load_recipe(SMOKE, TINY)
    plain = run(recipe, Store(tmp_path, share=False), "plain", QUIET)
    assert not (plain / TOLD).exists() and not list(plain.glob("tracked*")) and not (plain / "report.html").exists()
    assert not any("track" in key for key in identity(recipe))
    told = run(recipe, Store(tmp_path, share=False), "told", QUIET, "jsonl")
    for name in ("responses.jsonl", "measurements.jsonl"):
        assert (plain / "round-01" / name).read_bytes() == (told / "round-01" / name).read_bytes()
    run(recipe, Store(tmp_path, share=False), "plain", QUIET, "jsonl")
    assert [line["round"] for line in lines(plain / "tracked.jsonl")[1:-1]] == [0, 1]


def test_missing_values_are_left_out_and_cohorts_have_a_name(tmp_path: Path):
    with tracking("jsonl", tmp_path, build_recipe([])) as told:
        told.round(0, [row(0, "a", 0.5, low=0.4, high=0.6), row(0, "a", 1.0, "sort"), row(0, "b", None)], {"loss": 0.7})
        told.round(0, [row(0, "a", 9.0)], {})
    (values,) = lines(tmp_path / "tracked.jsonl")[1:]
    assert values == {
        "round": 0,
        "train/loss": 0.7,
        "report/a": 0.5,
        "report/a/low": 0.4,
        "report/a/high": 0.6,
        "report/a/sort": 1.0,
    }
    Tracking().round(0, [row(0, "a", 1.0)], {})


def test_unknown_trackers_and_missing_packages_are_refused_with_what_to_do():
    with pytest.raises(RecipeError, match="expected one of jsonl, trackio, wandb"):
        require_tracker("mlflow")
    require_tracker(None)
    require_tracker("jsonl")
    for name in set(PACKAGES):
        if find_spec(name) is None:
            with pytest.raises(RecipeError, match=rf"pip install 'selfreward-loop\[trackers\]', or pip install {name}"):
                require_tracker(name)
    assert set(PACKAGES) < set(TRACKERS)


def test_trackio_keeps_every_round(tmp_path: Path, monkeypatch):
    if find_spec("trackio") is None:
        pytest.skip("trackio is not installed")
    import sqlite3

    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    directory = run(load_recipe(SMOKE, TINY), Store(tmp_path), "told", QUIET, "trackio")
    (database,) = (tmp_path / "trackio").glob("*.db")
    with sqlite3.connect(database) as connection:
        kept = [json.loads(text) for (text,) in connection.execute("select metrics from metrics order by step")]
    assert [line["round"] for line in kept if "report/true_accuracy" in line] == [0, 1]
    assert any("train/loss" in line for line in kept) and json.loads((directory / TOLD).read_text())["trackio"] == [
        0,
        1,
    ]
    digest = hashlib.sha256((directory / "report.html").read_bytes()).hexdigest()
    kept_files = {
        hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "trackio").rglob("*") if path.is_file()
    }
    assert digest in kept_files, "the report is an artifact"


def test_wandb_keeps_every_round_offline(tmp_path: Path, monkeypatch):
    if find_spec("wandb") is None:
        pytest.skip("wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staged"))
    directory = run(load_recipe(SMOKE, TINY), Store(tmp_path), "told", QUIET, "wandb")
    (kept,) = (directory / "wandb").glob("offline-run-*/run-*.wandb")
    assert b"report/true_accuracy" in kept.read_bytes()
    files = [path.name for path in kept.parent.rglob("*") if path.is_file()]
    assert "requirements.txt" not in files and "wandb-metadata.json" not in files
    staged = [path.read_bytes() for path in (tmp_path / "staged").rglob("*") if path.is_file()]
    assert (directory / "report.html").read_bytes() in staged, "the report is an artifact"
