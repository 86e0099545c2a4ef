"""What runs, how far it is and what it found: told from the files alone, whatever became of the process."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console
from run_factory import Story, recipe_of, write_run

from selfreward.commands.run import ending_noted
from selfreward.commands.see.listing import print_listing, watch
from selfreward.commands.see.next_steps import FIRST, next_steps
from selfreward.errors import StoreError, TrainingError
from selfreward.progress import Progress
from selfreward.records import Measurement
from selfreward.report.key_metrics import key_line
from selfreward.report.reading import Reading
from selfreward.report.state import run_state, runs_in
from selfreward.report.verdict import judge_run
from selfreward.report.verdict_file import FILE, read_verdict, verdict_of, write_verdict
from selfreward.store.beat import LIVE, Beat, read_beat, write_beat
from selfreward.store.results import Store
from selfreward.store.run_clock import RunClock
from selfreward.store.sharing import is_locked, locked

COMMAND = [sys.executable, "-m", "selfreward"]
RECIPES = Path(__file__).parent.parent / "recipes"
BEAT = Beat(1, "judgments", "round 1: judgments", 30, 120, 6.0, 500, 5.0, 15.0, 40.0, 100.0, "", 1000.0)
STORY = Story((0.4, 0.6), report=12, train=8)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results", share=False)


def begun(store: Store, name: str = "begun") -> None:
    """A run of which nothing but its recipe is there."""
    store.open_run(name, recipe_of(STORY), environment={}).close()


def listed(store: Store) -> str:
    stream = io.StringIO()
    print_listing(runs_in(store.root), Console(file=stream, width=160))
    return stream.getvalue()


def test_a_run_is_running_while_its_lock_is_held_and_interrupted_after(store: Store) -> None:
    with store.open_run("one", recipe_of(STORY), environment={}):
        assert run_state(store.existing("one")).word == "running"
    state = run_state(store.existing("one"))
    assert (state.word, state.said) == ("interrupted", "the same command goes on")


def test_looking_makes_no_lock_file_and_disturbs_nobody_who_takes_the_lock(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "none") and not list(tmp_path.iterdir())
    path, over, seen = tmp_path / ".lock", threading.Event(), []
    path.touch()

    def look() -> None:
        while not over.is_set():
            seen.append(is_locked(path))

    looker = threading.Thread(target=look)
    looker.start()
    try:
        got = []
        for _ in range(200):
            with locked(path, wait=False) as mine:
                got.append(mine)
    finally:
        over.set()
        looker.join()
    assert all(got) and seen


def test_a_run_is_finished_after_its_last_round_and_goes_on_to_more(store: Store) -> None:
    view = write_run(store, "done", STORY)
    state = run_state(view)
    assert (state.word, state.round, state.rounds, state.measured) == ("finished", 1, 1, [0, 1])
    recipe = (view.path / "recipe.yaml").read_text().replace("rounds: 1\n", "rounds: 2\n")
    (view.path / "recipe.yaml").write_text(recipe)
    assert run_state(view).word == "interrupted"


def test_the_error_that_ended_a_run_is_told_until_it_is_begun_again(store: Store) -> None:
    begun(store)
    opened = store.open_run("begun", recipe_of(STORY), environment={})
    with opened as run, pytest.raises(TrainingError), ending_noted(run):
        raise TrainingError("no pair is left")
    state = run_state(store.existing("begun"))
    assert (state.word, state.said) == ("failed", "TrainingError: no pair is left")
    assert re.search(r"begun +in 0/1 +failed", listed(store)), "a round that is not done is not told as one that is"
    assert "no pair is left" in listed(store)
    with store.open_run("begun", recipe_of(STORY), environment={}) as run, ending_noted(run):
        pass
    assert run_state(store.existing("begun")).word == "interrupted"


def test_a_gate_that_stopped_or_rolled_back_is_told(store: Store) -> None:
    view = write_run(store, "gated", Story((0.4, 0.4, 0.4), report=12, train=8))
    with store.open_run("gated", view.recipe(), environment={}) as run:
        run.note("verdict", 1, decision="rollback", next_start=0)
        run.note("verdict", 2, decision="stop", next_start=None)
    state = run_state(view)
    assert state.word == "stopped"
    assert state.lines()[-2:] == ["gates after round 1: rollback, back to round 0", "gates after round 2: stop"]


def test_a_recipe_that_cannot_be_read_is_said_so_and_the_others_are_listed(store: Store) -> None:
    begun(store, "broken")
    write_run(store, "fine", STORY)
    (store.root / "broken" / "recipe.yaml").write_text("rounds: [")
    assert run_state(store.existing("broken")).word == "unreadable"
    told = listed(store)
    assert "unreadable" in told and re.search(r"fine +1/1 +finished", told)


def test_a_beat_tells_stage_speed_and_what_is_left_and_is_shortened_by_its_age(store: Store) -> None:
    with store.open_run("one", recipe_of(STORY), environment={}) as run:
        write_beat(run.path, BEAT)
        lines = run_state(run).lines(now=1010.0)
    assert "round 1: judgments: 30/120 (25%), 6 rows/s, 500 tokens, 100 tokens/s (told 10.0 s ago)" in lines
    assert "left: about 5.0 s of the stage, 30.0 s of the round, 1 min 30 s of the run" in lines
    stopped = run_state(store.existing("one")).lines(now=1010.0)
    assert any("it stood at round 1: judgments: 30/120" in line and "1 min 40 s of the run" in line for line in stopped)


def test_the_list_tells_the_stage_of_a_run_that_goes_on_and_not_of_one_that_stopped(store: Store) -> None:
    with store.open_run("one", recipe_of(STORY), environment={}) as run:
        write_beat(run.path, BEAT)
        assert "judgments 25%" in listed(store)
    assert "interrupted" in listed(store) and "25%" not in listed(store)


def test_a_beat_of_a_stage_that_is_sealed_is_over(store: Store) -> None:
    view = write_run(store, "done", Story((0.4, 0.5, 0.6), report=12, train=8))
    (view.directory(2) / "measurements.done.json").unlink()
    write_beat(view.path, BEAT)
    assert run_state(view).beat is None
    write_beat(view.path, Beat(2, "measurements", *list(BEAT.__getstate__())[2:]))
    assert run_state(view).beat is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"round": 1}', "\xff"])
def test_a_torn_beat_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / LIVE).write_text(text, encoding="latin-1")
    assert read_beat(tmp_path) is None


def test_a_beat_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    write_beat(tmp_path / "gone", BEAT)
    write_beat(tmp_path, BEAT)
    assert read_beat(tmp_path) == BEAT and [path.name for path in tmp_path.iterdir()] == [LIVE]


def test_a_stage_is_watched_once_a_second_even_where_it_says_nothing() -> None:
    seen: list[float] = []
    with Progress(style="silent").stage("one forward pass", 4) as stage:
        stage.watcher = lambda one: seen.append(one.seconds)
        deadline = time.monotonic() + 20
        while len(seen) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert len(seen) >= 2 and seen[1] - seen[0] > 0.5


def test_what_is_left_of_the_round_is_its_own_part_of_what_is_left_of_the_run() -> None:
    clock = RunClock({(number, name): 1.0 for number in (0, 1, 2) for name in ("a", "b")})
    clock.done(0, "a", 10.0)
    clock.done(0, "b", 10.0)
    # Half of (1, a) took 5 s: 5 s of it, 10 s of (1, b), and 20 s of round 2.
    assert clock.left(1, "a", 0.5, 5.0, last=1) == pytest.approx(15.0)
    assert clock.left(1, "a", 0.5, 5.0) == pytest.approx(35.0)


def test_a_round_in_one_line_has_value_and_interval_and_leaves_out_what_is_not_known() -> None:
    rows = [
        Measurement(1, "p", "true_accuracy", "all", "report", 0.5, 0.4, 0.6, 20, 0, "higher", True),
        Measurement(1, "p", "true_accuracy", "sort", "report", 0.9, 0.8, 1.0, 20, 0, "higher", True),
        Measurement(1, "p", "judge_mean", "all", "report", None, None, None, 0, 0, ""),
        Measurement(1, "p", "pairs_kept", "all", "train", 17, None, None, 17, 0, ""),
    ]
    assert key_line(1, rows) == "round 1: true accuracy 0.50 [0.40, 0.60], answer pairs kept 17"


def test_the_verdict_beside_a_run_is_the_run_s_until_it_is_measured_further(store: Store) -> None:
    view = write_run(store, "done", STORY)
    assert read_verdict(view) is None and verdict_of(view) == judge_run(Reading(view))
    assert not (view.path / FILE).exists(), "who looks writes nothing"
    written = write_verdict(view)
    assert read_verdict(view) == written == judge_run(Reading(view))
    told = json.loads((view.path / FILE).read_text())
    told["headline"] = "as written"
    (view.path / FILE).write_text(json.dumps(told))
    assert verdict_of(view).headline == "as written", "it is read, not made again"
    (view.directory(1) / "measurements.done.json").unlink()
    assert read_verdict(view) is None


@pytest.mark.parametrize("terminal", [False, True])
def test_watching_ends_with_the_run_and_says_how_it_ended(store: Store, terminal: bool) -> None:
    stream = io.StringIO()
    with store.open_run("one", recipe_of(STORY), environment={}) as run:
        write_beat(run.path, BEAT)
        console = Console(file=stream, width=200, force_terminal=terminal)
        looker = threading.Thread(target=watch, args=(run, 0.05, console))
        looker.start()
        deadline = time.monotonic() + 20
        while "30/120" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert looker.is_alive()
    looker.join(timeout=20)
    assert not looker.is_alive() and "interrupted" in stream.getvalue()
    # A terminal is drawn over in place, without its cursor; a file gets a line for whatever is new.
    assert ("\x1b[?25l" in stream.getvalue()) == terminal


@pytest.mark.parametrize("terminal", [False, True])
def test_watching_waits_for_the_process_that_is_going_on_with_the_run(store: Store, terminal: bool) -> None:
    begun(store)
    stream = io.StringIO()
    console = Console(file=stream, width=200, force_terminal=terminal)
    view = store.existing("begun")
    watch(view, 0.05, console, patience=0.1)
    assert "0 s are waited" in stream.getvalue() and "the same command goes on" in stream.getvalue()
    looker = threading.Thread(target=watch, args=(view, 0.05, console, 20.0))
    looker.start()
    time.sleep(0.2)
    with store.open_run("begun", recipe_of(STORY), environment={}) as run:
        write_beat(run.path, BEAT)
        deadline = time.monotonic() + 20
        while "30/120" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert looker.is_alive() and "30/120" in stream.getvalue()
    looker.join(timeout=20)
    assert not looker.is_alive()


def test_what_a_killed_process_told_is_no_news_of_the_one_that_goes_on(store: Store) -> None:
    begun(store)
    with store.open_run("begun", recipe_of(STORY), environment={}) as run:
        run.note("began", None)
        run.note("chunk_done", 1, "judgments", chunk=2)
        write_beat(run.path, BEAT)
    assert any("it stood at round 1: judgments: 30/120" in line for line in run_state(store.existing("begun")).lines())
    with store.open_run("begun", recipe_of(STORY), environment={}) as run:
        run.note("began", None)
        state = run_state(run)
        told = " ".join(state.lines(now=(state.begun or 0.0) + 3.0))
        assert state.beat is None and "30/120" not in told and "left:" not in told
        assert "at work for 3.0 s" in told and "last done: round 1: judgments, chunk 3" in told
        assert "judgments 25%" not in listed(store)
        run.note("chunk_started", 1, "judgments", chunk=3)
        assert run_state(run).begun is None, "it is at work on rows now"
        write_beat(run.path, Beat(**{**asdict(BEAT), "time": time.time()}))
        assert run_state(run).beat is not None and "judgments 25%" in listed(store)


def test_the_next_steps_are_those_that_the_runs_want(store: Store) -> None:
    assert next_steps(store.root) == FIRST.splitlines()
    write_run(store, "older", STORY)
    write_run(store, "newer", STORY)
    os.utime(store.root / "older" / "journal.jsonl", (1, 1))
    os.utime(store.root / "older" / "recipe.yaml", (1, 1))
    begun(store)
    with store.open_run("goes", recipe_of(STORY), environment={}):
        said = next_steps(store.root)
    commands = [re.split(r"   +", line)[0] for line in said]
    assert commands == [
        "selfreward watch goes",
        f"selfreward run {store.root / 'begun' / 'recipe.yaml'} --name begun",
        "selfreward report newer",
        "selfreward compare older newer",
        "selfreward view",
        "selfreward --help",
    ]


def selfreward(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_commands_say_it_and_a_directory_without_runs_is_refused(store: Store) -> None:
    write_run(store, "done", STORY)
    where = store.root.parent
    assert re.search(r"done +1/1 +finished", selfreward("ls", cwd=where).stdout)
    named = selfreward("ls", "--results", where / "results", cwd=where.parent)
    assert re.search(r"done +1/1 +finished", named.stdout), "as every other command takes it"
    told = selfreward("status", "done", cwd=where).stdout
    assert "finished: round 1 of 1" in told and "true accuracy" in told
    assert "finished: round 1 of 1" in selfreward("watch", "done", cwd=where).stdout
    for command in ("ls", "view"):
        done = selfreward(command, "nix", cwd=where)
        assert (done.returncode, "StoreError: nix: no such directory" in done.stderr) == (4, True)
    assert selfreward("status", "nix", cwd=where).returncode == 4


@pytest.mark.parametrize(
    "command",
    [["ls"], ["status", "done"], ["report", "done"], ["compare", "done", "too"], ["recipes"], ["schema"]],
    ids=lambda words: words[0],
)
def test_a_reader_that_leaves_early_is_no_failure(store: Store, command: list[str]) -> None:
    write_run(store, "done", STORY)
    write_run(store, "too", Story((0.4, 0.5), seed=1, report=12, train=8))
    line = f"{sys.executable} -m selfreward {' '.join(command)} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=store.root.parent, capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    if command[0] == "report":
        assert (store.root / "done" / "report.html").is_file()


def test_a_shell_completes_runs_and_recipes(store: Store) -> None:
    write_run(store, "done", STORY)

    def completed(words: str) -> list[str]:
        asked = {"_SELFREWARD_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        return selfreward(cwd=store.root.parent, **asked).stdout.split()

    assert completed("selfreward status d") == ["done"]
    assert completed("selfreward run smo") == ["smoke"]
    assert completed("selfreward wat") == ["watch"]


@pytest.mark.slow
def test_a_real_run_is_seen_from_outside_and_after_a_kill(tmp_path: Path) -> None:
    command = [*COMMAND, "run", str(RECIPES / "sandbox.yaml"), "--name", "far"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 200
        live = tmp_path / "results" / "far" / LIVE
        while time.monotonic() < deadline and not ((beat := read_beat(live.parent)) and beat.tokens and beat.run_left):
            time.sleep(0.1)
        told = ""
        while time.monotonic() < deadline and not ("tokens/s" in told and "of the run" in told):
            told = selfreward("status", "far", cwd=tmp_path).stdout  # between two stages it says what was done last
            assert re.search(r"running: round \d of 3", told)
        assert "tokens/s" in told and "of the run" in told
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    told = selfreward("status", "far", cwd=tmp_path).stdout
    assert "interrupted: round" in told and "it stood at round" in told
    assert f"selfreward run {Path('results', 'far', 'recipe.yaml')} --name far" in selfreward(cwd=tmp_path).stdout


@pytest.mark.slow
def test_a_run_says_each_round_in_a_line_and_its_verdict_last(tmp_path: Path) -> None:
    keys = ("rounds=1", "prompts.per_round=16", "measure.frozen=8")
    done = selfreward("run", RECIPES / "smoke.yaml", *keys, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for number in (0, 1):
        assert re.search(rf"^round {number}: true accuracy [\d.]+ \[.*length \(tokens\)", done.stderr, re.MULTILINE)
    view = Store(tmp_path / "results").existing("smoke")
    verdict = read_verdict(view)
    assert verdict is not None and verdict == judge_run(Reading(view))
    lines = done.stdout.splitlines()
    assert lines[0].startswith("done: ") and lines[1] == verdict.headline and lines[-1].startswith("see:  ")


def test_a_run_directory_that_is_named_itself_is_listed_alone(store: Store) -> None:
    write_run(store, "one", STORY)
    write_run(store, "two", STORY)
    assert [view.name for view in runs_in(store.root / "one")] == ["one"]
    assert [view.name for view in runs_in(store.root)] == ["one", "two"]
    with pytest.raises(StoreError, match="no run in it"):
        from selfreward.commands.see.command import existing_runs

        existing_runs(store.root / "one" / "round-00")
