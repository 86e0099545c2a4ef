"""A run that reaches a limit stops between two pieces of work, and goes on to be the run it would have been."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from command_factory import selfreward_here

from selfreward.commands.run import run
from selfreward.errors import LimitError
from selfreward.progress import Progress
from selfreward.recipe import LimitsRecipe, Recipe, identity
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.store.allowance import Allowance, sampled, served_cost
from selfreward.store.results import Store
from selfreward.store.view import RunView

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SMALL = ("rounds=1", "engine.chunk=24", "meta.enabled=false", "prompts.writer.share=0")


def go(results: Path, *overrides: str) -> RunView:
    store = Store(results, share=False)
    run(load_recipe(SMOKE, [*SMALL, *overrides]), store, "limited", Progress(style="silent"))
    return store.existing("limited")


def content(view: RunView) -> dict[str, str]:
    files = [*view.path.glob("round-*/*.jsonl"), *view.path.glob("round-*/checkpoint/*.safetensors")]
    return {str(path.relative_to(view.path)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return go(tmp_path_factory.mktemp("whole"))


def tokens(view: RunView) -> int:
    return sum(seal.tokens for number in view.rounds() for seal in view.seals(number))


@pytest.mark.slow
def test_a_run_that_was_stopped_by_tokens_again_and_again_ends_as_the_whole_one(tmp_path: Path, whole: RunView) -> None:
    stops, limit = 0, 1
    while True:
        try:
            view = go(tmp_path, f"limits.tokens={limit}")
            break
        except LimitError as problem:
            stops += 1
            assert f"limits.tokens is {limit:,}" in str(problem) and "limits.tokens=null" in str(problem)
            known = Store(tmp_path, share=False).existing("limited")
            assert tokens(known) <= tokens(whole)
            limit += tokens(whole) // 5
    assert stops >= 4
    assert content(view) == content(whole)


def test_a_run_stops_before_the_next_chunk_and_the_one_that_is_done_stays(tmp_path: Path) -> None:
    with pytest.raises(LimitError, match=r"before round 0, eval_responses, chunk 2 of"):
        go(tmp_path, "limits.tokens=1")
    view = Store(tmp_path, share=False).existing("limited")
    assert view.seal(0, "eval_responses") is None and view.seal(0, "checkpoint") is not None
    journal = (view.directory(0) / "eval_responses.chunks.jsonl").read_text().splitlines()
    assert len(journal) == 2, "a header and one finished chunk"
    with pytest.raises(LimitError, match="chunk 2 of"):
        go(tmp_path, "limits.tokens=1")
    assert len((view.directory(0) / "eval_responses.chunks.jsonl").read_text().splitlines()) == 2


@pytest.mark.slow
def test_a_limit_that_is_not_reached_stops_nothing(tmp_path: Path, whole: RunView) -> None:
    limits = [f"limits.tokens={tokens(whole) + 1}", "limits.hours=100", "limits.cost=1"]
    assert content(go(tmp_path, *limits)) == content(whole)
    with pytest.raises(LimitError):
        go(tmp_path, f"limits.tokens={tokens(whole)}", "rounds=2")


def test_hours_are_of_one_invocation_and_the_command_ends_with_10(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "selfreward", "run", str(SMOKE), "limits.hours=1e-9"]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    for done in (first, selfreward_here(*command[3:], cwd=tmp_path)):
        last = done.stderr.splitlines()[-1]
        assert done.returncode == 10, done.stderr
        assert "LimitError: limits.hours" in last and "The same command goes on" in last
        assert "Traceback" not in done.stderr


def test_hours_are_counted_from_when_the_process_began(tmp_path: Path) -> None:
    now = [100.0]
    with Store(tmp_path).open_run("timed", Recipe(), environment={}) as opened:
        allowance = Allowance(LimitsRecipe(hours=2), opened, clock=lambda: now[0])
        now[0] += 2 * 3600 - 1
        allowance.require("anything")
        now[0] += 1
        with pytest.raises(LimitError, match=r"limits.hours is 2.0?, and 2 hours"):
            allowance.require("anything")
        Allowance(LimitsRecipe(hours=2), opened, clock=lambda: now[0]).require("anything")


def test_cost_is_of_the_whole_run(tmp_path: Path) -> None:
    spent = [0.0]
    with Store(tmp_path).open_run("asked", Recipe(), environment={}) as opened:
        opened.note("served", None, report={"big": {"cost": 1.5}, "small": {"cost": 0.25}})
        opened.note("served", None, report={"big": {"cost": 1.0}})
        assert served_cost(opened) == 2.75
        allowance = Allowance(LimitsRecipe(cost=3), opened, lambda: spent[0])
        allowance.require("anything")
        spent[0] = 0.25
        with pytest.raises(LimitError, match=r"limits.cost is 3.0?, and 3 have been spent"):
            allowance.require("anything")
        # What this process noted itself is not counted twice.
        spent[0] = 0.1
        opened.note("served", None, report={"big": {"cost": 0.1}})
        allowance.require("anything")
        assert sampled(opened) == 0


def test_limits_are_no_part_of_what_a_run_is() -> None:
    recipe = build_recipe([], ["limits.hours=1", "limits.tokens=5", "limits.cost=0.5"])
    assert identity(recipe) == identity(Recipe())
