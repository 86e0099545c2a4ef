"""Grids: every cell is checked before the first one runs, cells are runs, and an interrupt leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_keys import HARDLY_MEASURED

from selfreward.commands.ablate import ablate, load_grid, require_all
from selfreward.errors import RecipeError, SelfRewardError
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.report.ablation import ablation_table
from selfreward.store.results import Store

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SMALL = "rounds=1, meta.enabled=false, prompts.writer.share=0"


def grid_file(directory: Path, *, arms: str, contrasts: str = "[]", seeds: str = "[0, 1]") -> Path:
    path = directory / "grid.yaml"
    path.write_text(f"base: {SMOKE}\nmodels: [sandbox:seed-0]\nseeds: {seeds}\ncontrasts: {contrasts}\narms:\n{arms}\n")
    return path


@pytest.mark.slow
def test_a_grid_runs_every_cell_and_a_second_time_none(tmp_path: Path) -> None:
    arms = f"  own: [{SMALL}]\n  none: [{SMALL}, train.method=none]"
    grid = load_grid(grid_file(tmp_path, arms=arms, contrasts="[[own, none]]"))
    assert ablate(grid, tmp_path / "results", 2, Progress()) == {}
    store = Store(tmp_path / "results")
    starts = [
        sum(event["event"] == "chunk_started" for event in store.existing(cell.name).events()) for cell in grid.cells()
    ]
    ablate(grid, tmp_path / "results", 1, Progress())
    again = [
        sum(event["event"] == "chunk_started" for event in store.existing(cell.name).events()) for cell in grid.cells()
    ]
    assert starts == again and sum(starts) > 0
    table = ablation_table(store, grid.runs(), grid.contrasts)
    assert {row.arm for row in table.arms} == {"own", "none"}


def test_what_all_arms_share_stands_once_and_an_arm_has_the_last_word(tmp_path: Path) -> None:
    path = grid_file(tmp_path, arms="  own: []\n  hot: [rounds=3, train.beta=0.1]", seeds="[0]")
    path.write_text(path.read_text() + "overrides: [rounds=4, train.nll=0]\n")
    grid = load_grid(path)
    keys = {cell.arm: load_recipe(grid.base, cell.overrides) for cell in grid.cells()}
    assert {arm: (recipe.rounds, recipe.train.nll) for arm, recipe in keys.items()} == {"own": (4, 0), "hot": (3, 0)}
    assert keys["hot"].train.beta == 0.1 != keys["own"].train.beta
    path.write_text(path.read_text() + "extra: 1\n")
    with pytest.raises(
        RecipeError, match="expected the keys against_kl, arms, base, contrasts, models, overrides, rec"
    ):
        load_grid(path)


@pytest.mark.parametrize(
    ("arms", "contrasts", "message"),
    [
        ("  own: [train.betta=1]", "[]", r"unknown key 'train\.betta'"),
        ("  own: []", "[[own, other]]", "contrast names arm 'other'"),
    ],
)
def test_a_wrong_grid_is_refused_before_anything_runs(tmp_path: Path, arms: str, contrasts: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_grid(grid_file(tmp_path, arms=arms, contrasts=contrasts))


def test_a_failed_cell_is_named_with_its_reason(tmp_path: Path) -> None:
    arms = f"  mute: [{SMALL}, {', '.join(HARDLY_MEASURED)}, judge.reading.sampling.max_tokens=3]"
    failed = ablate(load_grid(grid_file(tmp_path, arms=arms, seeds="[0]")), tmp_path / "results", 1, Progress())
    assert list(failed) == ["grid.mute.seed-0.0"]
    with pytest.raises(SelfRewardError, match=r"1 cells failed.*exit 9.*verdicts could be read"):
        require_all(failed)


@pytest.mark.slow
def test_an_interrupt_ends_the_runs_under_way(tmp_path: Path) -> None:
    path = grid_file(tmp_path, arms="  own: [rounds=50]", seeds="[0, 1, 2, 3]")
    command = [sys.executable, "-m", "selfreward", "ablate", str(path), "--jobs", "2", "--results", str(tmp_path / "r")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("r/*/round-01"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=60) == 130
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert len(list(tmp_path.glob("r/grid.*"))) == 2, "no other cell may begin"
