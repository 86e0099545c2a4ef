"""A run that is killed at any instant and started again equals one that never was: byte for byte.

The real command, the real engine, the real trainer; SIGKILL, which no handler sees.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
COMPARED = ("prompts", "responses", "judgments", "meta_judgments", "pairs", "dropped", "measurements")


def command(results: Path, name: str) -> list[str]:
    return [sys.executable, "-m", "selfreward", "run", str(SMOKE), "--name", name, "--results", str(results)]


def run_whole(results: Path, name: str) -> float:
    """Run to the end; return the seconds it took."""
    begun = time.monotonic()
    done = subprocess.run(command(results, name), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return time.monotonic() - begun


def run_and_kill(results: Path, name: str, after: float, until: str | None = None) -> bool:
    """Start the run and SIGKILL it `after` seconds (from when a file `until` appears); True if it died of it."""
    process = subprocess.Popen(
        command(results, name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    begun, deadline = time.monotonic(), time.monotonic() + 300
    while until is not None and process.poll() is None and time.monotonic() < deadline:
        if (results / name).is_dir() and any((results / name).rglob(until)):
            begun = time.monotonic()
            break
        time.sleep(0.02)
    while process.poll() is None and time.monotonic() < begun + after:
        time.sleep(0.01)
    if process.poll() is not None:
        assert process.returncode == 0
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


def artifacts(run: Path) -> dict[str, str]:
    """SHA-256 of every compared JSONL file and of every checkpoint's weights, by path inside the run."""
    files = [path for name in COMPARED for path in run.glob(f"round-*/{name}.jsonl")]
    files += run.glob("round-*/checkpoint/*.safetensors")
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def recomputed(run: Path) -> tuple[int, int]:
    """(chunks started more often than once, most often that one chunk was started), from the journal."""
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines() if line.endswith("}")]
    starts = Counter((e["artifact"], e["round"], e["chunk"]) for e in lines if e["event"] == "chunk_started")
    finished = Counter((e["artifact"], e["round"], e["chunk"]) for e in lines if e["event"] == "chunk_done")
    assert max(finished.values()) == 1, "a chunk that was finished was computed again"
    return sum(count - 1 for count in starts.values()), max(starts.values())


@pytest.mark.slow
def test_twenty_kills_leave_no_trace(tmp_path: Path) -> None:
    seconds = run_whole(tmp_path / "a", "whole")
    run_whole(tmp_path / "b", "same")
    expected = artifacts(tmp_path / "a" / "whole")
    assert len(expected) > 10
    assert artifacts(tmp_path / "b" / "same") == expected, "two equal runs under different names differ"

    rng = random.Random(20)
    results, kills = tmp_path / "c", 0
    # Five kills inside training (its scratch directory exists only then), fifteen anywhere.
    moments: list[tuple[float, str | None]] = [(rng.uniform(0, 3), "checkpoint.scratch") for _ in range(5)]
    moments += [(rng.uniform(0.2, 1.0) * seconds / 4 + 2, None) for _ in range(15)]
    rng.shuffle(moments)
    while kills < 20:
        name = f"killed-{kills}"
        while kills < 20 and run_and_kill(results / name, "run", *moments[kills]):
            kills += 1
        run_whole(results / name, "run")
        assert artifacts(results / name / "run") == expected
    again = [recomputed(path.parent) for path in results.rglob("journal.jsonl")]
    assert sum(count for count, _ in again) <= kills, "more than one chunk per kill was computed again"


@pytest.mark.slow
def test_one_kill_in_training_goes_on_from_the_last_saved_step(tmp_path: Path) -> None:
    run_whole(tmp_path / "a", "whole")
    assert run_and_kill(tmp_path / "b", "run", 1.0, "checkpoint.scratch")
    run_whole(tmp_path / "b", "run")
    assert artifacts(tmp_path / "b" / "run") == artifacts(tmp_path / "a" / "whole")
