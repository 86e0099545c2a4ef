"""Random SIGKILLs of a fleet: replicas and whole runs die, and what is written in the end is a single engine's bytes.

    python benchmarks/fleet_kills.py --kills 20 --seed 0

The smoke recipe on the sandbox's model, with engine.replicas=2 and Ray on this machine (the extra ray). After a drawn
time a replica is killed, or, one time in four, the whole run, which is then started again; so until the kills are spent
and the last run has ended. Where kills come faster than a replica loads, a run gives up (exit code 7) and goes on too:
choose `--longest` well above that time. Linux only: it reads /proc.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from kills import SMALL, SMOKE, results_of


def command(results: Path, replicas: int) -> list[str]:
    keys = [*SMALL, f"engine.replicas={replicas}"]
    return [sys.executable, "-m", "selfreward", "run", str(SMOKE), *keys, "--name", "run", "--results", str(results)]


def below(parent: int) -> Iterator[tuple[int, str]]:
    """Living descendants of a process, with their command lines."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, owner = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(owner) == parent and state != "Z":
                yield int(entry.name), words
                yield from below(int(entry.name))


def replicas_below(driver: int) -> list[int]:
    return sorted(number for number, words in below(driver) if words.startswith("ray::Replica"))


def tormented(results: Path, kills: int, longest: float, draw: random.Random) -> Counter[str]:
    """One run, started again until it ends; what was killed, at most `kills` in all."""
    found = Counter[str]()
    while True:
        driver = subprocess.Popen(command(results, 2), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        due = None
        while driver.poll() is None:
            there = replicas_below(driver.pid) if found.total() < kills else []
            if there and due is None:
                due = time.monotonic() + draw.random() * longest
            if there and due is not None and time.monotonic() >= due:
                what = "run" if draw.random() < 0.25 else "replica"
                os.kill(driver.pid if what == "run" else draw.choice(there), signal.SIGKILL)
                found[what] += 1
                due = None
            time.sleep(0.1)
        if driver.returncode == 0:
            return found
        if driver.returncode not in (-signal.SIGKILL, 7):
            raise SystemExit(f"a run ended with exit code {driver.returncode}; expected it to go on")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=30.0, help="seconds until a kill, at most")
    asked = parser.parse_args()
    draw, came, different, runs = random.Random(asked.seed), Counter[str](), 0, 0
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as made:
        alone = command(Path(made) / "one", 1)
        subprocess.run(alone, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        expected = results_of(Path(made) / "one" / "run")
        while came.total() < asked.kills:
            results = Path(made) / str(runs)
            came += tormented(results, asked.kills - came.total(), asked.longest, draw)
            different += results_of(results / "run") != expected
            runs += 1
            print(f"run {runs}: {dict(came)}, {different} with other bytes", flush=True)
    minutes = (time.monotonic() - begun) / 60
    told = f"{came['replica']} replicas and {came['run']} runs killed on {runs} runs of {len(expected)} files"
    print(f"{told}, {different} with other bytes; {minutes:.1f} minutes")
    if different:
        raise SystemExit(f"{different} runs ended with other bytes than one engine's")


if __name__ == "__main__":
    main()
