"""Random SIGKILLs of whole runs: killed anywhere and started again, a run ends with the bytes of one that never was.

    python benchmarks/kills.py --kills 60 --seed 0

Three small recipes share the kills: the meta-rewarding loop on the sandbox's model (transformers), the policy gradient,
and the scripted engine. Half of the kills come before a drawn file operation inside the results, the other half after a
drawn share of the processor time that a whole run takes, so that nothing depends on how busy the machine is. Every
child is a fork of one process that has the libraries loaded. Linux only: it reads /proc.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch  # noqa: F401  the children are to find it loaded

from selfreward.commands.run import run
from selfreward.progress import Progress
from selfreward.recipe import Recipe
from selfreward.recipe.read import load_recipe
from selfreward.store.results import Store

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
FILE_OPERATIONS = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod"}
COMPARED = ("prompts", "responses", "judgments", "meta_judgments", "pairs", "samples", "rewards", "dropped")
SCRIPT = """
rules:
  - match: Score
    replies: ["It helps. Score: 4", "It does not. Score: 1", "Half of it. Score: 2", "no verdict"]
  - replies: ["a b c", "b c a", "c a", "a"]
"""
SMALL = (
    *("rounds=1", "engine.chunk=16", "prompts.per_round=10", "measure.gate=4", "measure.selection=4"),
    *("measure.report=4", "measure.frozen=8", "train.save_steps=2", "measure.judge_probes.padded=4"),
    *("measure.judge_probes.claims=4", "measure.judge_probes.feedback=4"),
)
RECIPES: dict[str, tuple[str, ...]] = {
    "meta-rewarding": SMALL,
    "policy gradient": (
        *SMALL,
        *("meta.enabled=false", "train.method=rloo", "train.reward=verifier", "generate.sampling.temperature=1"),
    ),
    "scripted": (
        *[key for key in SMALL if not key.startswith("train.")],
        *("meta.enabled=false", "engine.kind=scripted", "train.method=none", "prompts.writer.share=0"),
        *("engine.script={script}", "gates.min_readable=0"),
    ),
}


def results_of(directory: Path) -> dict[str, str]:
    """SHA-256 of all rows, measurements and weights of a run, by their place in it."""
    files = [path for name in (*COMPARED, "measurements") for path in directory.glob(f"round-*/{name}.jsonl")]
    files += directory.glob("round-*/checkpoint/*.safetensors")
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def processor_seconds(child: int) -> float:
    fields = Path(f"/proc/{child}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def attempt(act: Callable[[], object], operation: int | None = None, after: float | None = None) -> bool:
    """Whether a child that does `act` was killed: before a file operation, or after seconds of processor time."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if operation is not None:
                sys.addaudithook(_killing(operation))
            act()
            status = 0
        finally:
            os._exit(status)
    while after is not None and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if processor_seconds(child) >= after:
            os.kill(child, signal.SIGKILL)
            break
        time.sleep(0.005)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a run that was started again did not go on")
    return os.WIFSIGNALED(status)


def _killing(operation: int) -> Callable[[str, tuple[object, ...]], None]:
    left = operation

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in FILE_OPERATIONS and "results" in str(arguments[0]):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    return count


def whole(act: Callable[[], object], note: Path) -> tuple[int, float]:
    """The file operations and the processor seconds of a run that is not killed."""

    def counted() -> None:
        found = Counter[str]()

        def count(event: str, arguments: tuple[object, ...]) -> None:
            found["all"] += event in FILE_OPERATIONS and "results" in str(arguments[0])

        sys.addaudithook(count)
        begun = time.process_time()
        act()
        note.write_text(json.dumps([found["all"], time.process_time() - begun]), encoding="utf-8")

    if attempt(counted):
        raise SystemExit("the whole run was killed by somebody else")
    operations, seconds = json.loads(note.read_text(encoding="utf-8"))
    return int(operations), float(seconds)


def torture(recipe: Recipe, folder: Path, kills: int, draw: random.Random) -> tuple[int, int, int]:
    """(kills that came, runs that they fell on, runs whose bytes differed)."""

    def act(root: Path) -> Callable[[], object]:
        return lambda: run(recipe, Store(root / "results", share=False), "run", Progress(style="silent"))

    operations, seconds = whole(act(folder / "whole"), folder / "whole.json")
    expected = results_of(folder / "whole" / "results" / "run")
    came = runs = different = 0
    while came < kills:
        root = folder / str(runs)
        runs += 1
        while came < kills:
            by_file = draw.random() < 0.5
            moment = draw.randrange(operations) if by_file else None
            if not attempt(act(root), moment, None if by_file else draw.random() * seconds):
                break
            came += 1
        attempt(act(root))
        different += results_of(root / "results" / "run") != expected
    return came, runs, different


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    failed = 0
    for number, (name, keys) in enumerate(RECIPES.items()):
        with tempfile.TemporaryDirectory() as made:
            script = Path(made) / "script.yaml"
            script.write_text(SCRIPT, encoding="utf-8")
            recipe = load_recipe(SMOKE, [key.replace("{script}", str(script)) for key in keys])
            share = asked.kills // len(RECIPES) + (number < asked.kills % len(RECIPES))
            begun = time.monotonic()
            came, runs, different = torture(recipe, Path(made), share, random.Random(f"{asked.seed} {name}"))
            minutes = (time.monotonic() - begun) / 60
            print(
                f"{name}: {came} kills on {runs} runs, {different} with other bytes; {minutes:.1f} minutes", flush=True
            )
            failed += different
    if failed:
        raise SystemExit(f"{failed} runs ended with other bytes than one that was never killed")


if __name__ == "__main__":
    main()
