"""The package as a library: a run is made and opened from Python, and its rows are tables."""

import subprocess
import sys
from pathlib import Path

import pytest
from small_keys import UNPROBED

import selfreward
from selfreward.errors import RecipeError, StoreError
from selfreward.recipe.read import load_recipe

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
FEW = ("rounds=1", "prompts.per_round=12", "meta.enabled=false", "prompts.writer.share=0", *UNPROBED)


def test_a_run_is_made_opened_and_read_as_tables(tmp_path: Path) -> None:
    done = selfreward.run(SMOKE, *FEW, results=tmp_path, quiet=True)
    again = selfreward.open_run("smoke", tmp_path)
    assert again.path == done.path and again.rounds == [0, 1] and again.recipe == load_recipe(SMOKE, FEW)
    table = again.measurements
    truth = table[(table.metric == "true_accuracy") & (table.pool == "report") & (table.cohort == "all")]
    assert list(truth["round"]) == [0, 1] and ((truth.low <= truth.value) & (truth.value <= truth.high)).all()
    prompts = again.rows("prompts", round=1)
    assert len(prompts) == 12 and {"id", "messages", "pool"} <= set(prompts.column_names)
    assert set(again.rows("responses", round=1)["prompt_id"]) == set(prompts["id"])


def test_what_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no run"):
        selfreward.open_run("nothing", tmp_path)
    with pytest.raises(StoreError, match="has no name"):
        selfreward.run({"rounds": 1}, results=tmp_path)
    with pytest.raises(RecipeError, match="unknown key"):
        selfreward.run({"round": 1}, name="x", results=tmp_path)
    with pytest.raises(AttributeError, match="open_run"):
        _ = selfreward.opened  # type: ignore[attr-defined]


def test_importing_the_package_loads_next_to_nothing() -> None:
    code = "import selfreward, sys; print(len([name for name in sys.modules if name.startswith('selfreward')]))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "1"
