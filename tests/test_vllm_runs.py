"""Whole runs with vLLM in a process of its own: one engine, verified hand-offs, and nothing left behind.

These tests need vLLM (its CPU build will do); without it they are skipped.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from selfreward.engines.vllm.settings import vllm_version

pytestmark = [
    pytest.mark.skipif(vllm_version() is None, reason="vLLM is not installed"),
    pytest.mark.slow,
]

RECIPE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"


def begin(results: Path, *overrides: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "selfreward", "run", str(RECIPE), "engine.kind=vllm", *overrides]
    with (results / "log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--results", str(results), "--name", "run"], start_new_session=True, stdout=log, stderr=log
        )


def journal(results: Path, event: str) -> list[dict[str, object]]:
    path = results / "run" / "journal.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [entry for line in lines if (entry := json.loads(line))["event"] == event]


def in_session(session: int) -> dict[int, str]:
    """Living processes of a session: pid -> name."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            except (FileNotFoundError, ProcessLookupError):
                continue
            state, _, _, sid = rest.split()[:4]
            if int(sid) == session and state != "Z":
                found[int(entry.name)] = name
    return found


def wait_until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    return holds()


def test_one_engine_serves_a_whole_run_with_verified_hand_offs(tmp_path: Path) -> None:
    process = begin(tmp_path, "rounds=3")
    assert process.wait(300) == 0, (tmp_path / "log").read_text()
    (counted,) = [entry["report"] for entry in journal(tmp_path, "engine")]
    assert isinstance(counted, dict)
    handoffs = [entry["report"] for entry in journal(tmp_path, "handoff")]
    assert counted["built"] == 1 and len(counted["pids"]) == 1
    assert len(counted["swap_seconds"]) == len(handoffs) - 1 >= 6
    probed = [report for report in handoffs if report["kind"] == "probes"]  # type: ignore[index]
    assert len({report["digest"] for report in probed}) == 3  # type: ignore[index]
    assert wait_until(lambda: not in_session(process.pid), 10), in_session(process.pid)


@pytest.mark.parametrize(
    ("how", "code"),
    [("ctrl-c", 130), ("sigterm", 130), ("killed", -9), ("engine killed", 7), ("worker killed", 7)],
)
def test_no_process_is_left_whatever_ends_the_run(how: str, code: int, tmp_path: Path) -> None:
    process = begin(tmp_path, "rounds=30")
    try:
        assert wait_until(lambda: len(journal(tmp_path, "handoff")) > 1, 120), (tmp_path / "log").read_text()
        names = {name: pid for pid, name in in_session(process.pid).items()}
        core = next(pid for name, pid in names.items() if "EngineC" in name)
        worker = next((pid for name, pid in names.items() if "Worker" in name), core)
        if how == "ctrl-c":
            os.killpg(process.pid, signal.SIGINT)
        elif how == "sigterm":
            os.kill(process.pid, signal.SIGTERM)
        else:
            victims = {"killed": process.pid, "engine killed": core, "worker killed": worker}
            os.kill(victims[how], signal.SIGKILL)
        assert process.wait(60) == code, (tmp_path / "log").read_text()
        assert wait_until(lambda: not in_session(process.pid), 15), in_session(process.pid)
    finally:
        for pid in in_session(process.pid):
            os.kill(pid, signal.SIGKILL)
