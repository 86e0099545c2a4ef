"""SIGKILL, which no handler sees: before every single file operation of a run, and at random moments of a real process.

Afterwards the same call must go on and leave the bytes of a run that was never interrupted.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import store_child
from store_child import ENVIRONMENT, STEPS, drops_work, whole_run

from selfreward.errors import RunBusyError
from selfreward.recipe import Recipe
from selfreward.store.results import Run, Store

# The names under which the interpreter reports file operations to an audit hook.
FILE_OPERATIONS = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod"}


def results_of(run: Path) -> dict[str, bytes]:
    """Every finished file of the run's rounds; seals hold times, so of them only the names count."""
    files = [path for path in run.glob("round-*/**/*") if path.is_file()]
    return {
        path.relative_to(run).as_posix(): b"" if path.name.endswith(".done.json") else path.read_bytes()
        for path in files
    }


def work_on(root: Path, name: str) -> Run:
    with Store(root).open_run(name, Recipe(), environment=ENVIRONMENT) as run:
        whole_run(run)
    return run


def killed_at(operation: int, act: Callable[[], object]) -> bool:
    """Run `act` in a child that is killed before its file operation number `operation`; False if it ended before."""
    child = os.fork()
    if child == 0:
        left = operation

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in FILE_OPERATIONS and "results" in str(arguments[0]):
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        sys.addaudithook(count)
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("stride", [11, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("donor", [False, True], ids=["computing", "linking"])
def test_a_kill_before_any_file_operation_leaves_no_trace(tmp_path: Path, donor: bool, stride: int) -> None:
    expected = results_of(work_on(tmp_path / "whole" / "results", "run").path)
    assert {"round-01/responses.jsonl", "round-01/checkpoint/model.safetensors"} < set(expected)
    operation = 0
    while True:
        root = tmp_path / str(operation) / "results"
        if donor:
            work_on(root, "donor")
        killed = killed_at(operation, lambda root=root: work_on(root, "run"))
        run = work_on(root, "run")
        assert results_of(run.path) == expected, f"killed before file operation {operation}"
        events = Counter((event["event"], event["artifact"], event.get("chunk")) for event in run.events())
        again = sum(number - 1 for (event, _, _), number in events.items() if event == "chunk_started")
        assert again <= 1
        assert not donor or not any(event == "chunk_started" for event, _, _ in events)
        steps = (run.path / "steps.log").read_text().split() if not donor else []
        assert len(steps) <= STEPS + 1, "training did not go on from its last saved step"
        if not killed:
            break
        operation += stride
    assert operation > (40 if donor else 80)


def test_a_kill_around_the_seal_of_one_artifact(tmp_path: Path) -> None:
    """Every file operation of a short run: a seal never stands where its artifact does not."""

    def short(root: Path) -> Run:
        with Store(root, share=False).open_run("run", Recipe(), environment=ENVIRONMENT) as run:
            run.complete(drops_work())
        return run

    expected = results_of(short(tmp_path / "whole" / "results").path)
    operation = 0
    while True:
        root = tmp_path / str(operation) / "results"
        killed = killed_at(operation, lambda root=root: short(root))
        assert results_of(short(root).path) == expected, f"killed before file operation {operation}"
        if not killed:
            break
        operation += 1
    assert operation > 20


def start(root: Path, name: str, pause: float, then: str = "work") -> "subprocess.Popen[str]":
    """A real process that works on a run."""
    arguments = [sys.executable, store_child.__file__, str(root), name, str(pause), then]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def test_random_kills_of_a_process_then_equal_bytes(tmp_path: Path) -> None:
    expected = results_of(work_on(tmp_path / "whole", "run").path)
    rng = random.Random(3)
    kills = 0
    for _ in range(6):
        process = start(tmp_path / "killed", "run", pause=0.03)
        while process.poll() is None and not (tmp_path / "killed" / "run" / ".lock").exists():
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 1.0))
        kills += process.poll() is None
        kill(process)
    assert kills >= 2
    run = work_on(tmp_path / "killed", "run")
    assert results_of(run.path) == expected
    finished = Counter((event["artifact"], event["chunk"]) for event in run.events() if event["event"] == "chunk_done")
    begun = [event for event in run.events() if event["event"] == "chunk_started"]
    assert max(finished.values()) == 1
    assert len(begun) <= 4 + 3 + kills


def test_a_second_process_is_told_who_works_and_a_killed_one_does_not_block(tmp_path: Path) -> None:
    holder = start(tmp_path, "run", 0.0, "hold")
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "holding\n"
        with pytest.raises(RunBusyError, match=f"process {holder.pid} is working on it"):
            work_on(tmp_path, "run")
        assert Store(tmp_path).existing("run").rounds() == []
    finally:
        kill(holder)
    work_on(tmp_path, "run")


def test_two_processes_compute_what_they_share_once(tmp_path: Path) -> None:
    processes = [start(tmp_path, name, pause=0.05) for name in ("a", "b")]
    assert [process.communicate() and process.returncode for process in processes] == [0, 0]
    store = Store(tmp_path)
    started = [e for name in ("a", "b") for e in store.existing(name).events() if e["event"] == "chunk_started"]
    assert len(started) == 4 + 3
    for file in ("responses.jsonl", "checkpoint/model.safetensors", "dropped.jsonl"):
        inodes = {(store.existing(name).directory(1) / file).stat().st_ino for name in ("a", "b")}
        assert len(inodes) == 1, file


def test_an_arm_that_waits_takes_over_from_a_killed_one(tmp_path: Path) -> None:
    first = start(tmp_path, "a", pause=0.3)
    journal = tmp_path / "a" / "journal.jsonl"
    while not (journal.exists() and b"chunk_done" in journal.read_bytes()):
        assert first.poll() is None
        time.sleep(0.01)
    second = start(tmp_path, "b", pause=0.0)
    waiting = tmp_path / "b" / "journal.jsonl"
    while not (waiting.exists() and b"waiting" in waiting.read_bytes()):
        assert second.poll() is None
        time.sleep(0.01)
    kill(first)
    second.communicate(timeout=60)
    assert second.returncode == 0
    assert results_of(work_on(tmp_path, "a").path) == results_of(tmp_path / "b")
