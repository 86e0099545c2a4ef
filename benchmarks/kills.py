"""Random SIGKILLs of whole runs: killed anywhere and started again, a run ends with the bytes of one that never was.

    python benchmarks/kills.py                                   # 60 kills, shared by all recipes that can run here
    python benchmarks/kills.py launched=20 vllm=15 --log kills.jsonl

The recipes: the meta-rewarding loop on the sandbox's model (transformers), the policy gradient, the scripted engine,
training in a process of its own (`train.launch=accelerate`), and vLLM at fixed threads and chunks, where it is
installed. Half of the kills come before a drawn file operation of the run's own process inside the results, the other
half after a drawn share of the processor time that a whole run takes, so that nothing depends on how busy the machine
is; these fall on any process of the run, or on all at once. A run is started again at once, whatever may still live of
the last attempt. Every child is a fork of one process that has the libraries loaded.

Every run that was killed is a line of `--log`, so the same command goes on where it was stopped; at the end the log is
told as a table. Linux only: it reads /proc.
"""

import argparse
import hashlib
import json
import random
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch  # noqa: F401  the children are to find it loaded
from kills_child import attempt, whole

from selfreward.commands.run import run
from selfreward.engines.vllm.settings import vllm_version
from selfreward.progress import Progress
from selfreward.recipe import Recipe
from selfreward.recipe.read import load_recipe
from selfreward.store.results import Store

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
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
ONE_JUDGE = "meta.enabled=false"
RECIPES: dict[str, tuple[str, ...]] = {
    "meta-rewarding": SMALL,
    "policy-gradient": (
        *SMALL,
        *(ONE_JUDGE, "train.method=rloo", "train.reward=verifier", "generate.sampling.temperature=1"),
    ),
    "scripted": (
        *[key for key in SMALL if not key.startswith("train.")],
        *(ONE_JUDGE, "engine.kind=scripted", "train.method=none", "prompts.writer.share=0"),
        *("engine.script={script}", "gates.min_readable=0"),
    ),
    "launched": (*SMALL, ONE_JUDGE, "train.launch=accelerate"),
    "vllm": (*SMALL, ONE_JUDGE, "engine.kind=vllm", "engine.threads=1"),
}


def results_of(directory: Path) -> dict[str, str]:
    """SHA-256 of all rows, measurements and weights of a run, by their place in it."""
    files = [path for name in (*COMPARED, "measurements") for path in directory.glob(f"round-*/{name}.jsonl")]
    files += directory.glob("round-*/checkpoint/*.safetensors")
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def torture(name: str, recipe: Recipe, folder: Path, kills: int, seed: int, log: Path) -> None:
    """Runs of a recipe, killed and started again until `kills` fell; each is a line of the log."""

    def act(root: Path) -> Callable[[], object]:
        return lambda: run(recipe, Store(root / "results", share=False), "run", Progress(style="silent"))

    done = [line for line in logged(log) if line["recipe"] == name and line["seed"] == seed]
    left, number = kills - sum(line["kills"] for line in done), len(done)
    if left <= 0:
        return
    operations, seconds = whole(act(folder / "whole"), folder / "whole.txt")
    expected = results_of(folder / "whole" / "results" / "run")
    while left > 0:
        draw, root, begun, came = random.Random(f"{seed} {name} {number}"), folder / str(number), time.monotonic(), 0
        while came < left:
            by_file = draw.random() < 0.5
            moment = draw.randrange(operations) if by_file else None
            if not attempt(act(root), draw, moment, None if by_file else draw.random() * seconds)[0]:
                break
            came += 1
            print(f"{name}, run {number}: kill {came}", flush=True)
        attempt(act(root), draw)
        ended = results_of(root / "results" / "run")
        other = sorted(place for place in expected.keys() | ended if expected.get(place) != ended.get(place))
        minutes = round((time.monotonic() - begun) / 60, 2)
        line = {"recipe": name, "seed": seed, "run": number, "kills": came, "other": other, "minutes": minutes}
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(f"{name}, run {number}: {came} kills, {len(other)} files of {len(expected)} differ", *other, flush=True)
        left, number = left - came, number + 1


def logged(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []


def table(lines: list[dict[str, Any]]) -> str:
    told = ["| recipe | kills | runs | byte-equal ends | minutes |", "| --- | ---: | ---: | ---: | ---: |"]
    for name in [*RECIPES, "all"]:
        mine = [line for line in lines if name in (line["recipe"], "all")]
        kills, minutes = (sum(line[key] for line in mine) for key in ("kills", "minutes"))
        equal = sum(not line["other"] for line in mine)
        told += [f"| {name} | {kills} | {len(mine)} | {equal} | {minutes:.0f} |"] if mine else []
    return "\n".join(told)


def asked_kills(asked: list[str]) -> Mapping[str, int]:
    if asked:
        return {name: int(kills) for name, kills in (one.split("=") for one in asked)}
    able = [name for name in RECIPES if name != "vllm" or vllm_version()]
    return {name: 60 // len(able) + (number < 60 % len(able)) for number, name in enumerate(able)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", nargs="*", metavar="RECIPE=KILLS", help=f"of {', '.join(RECIPES)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, default=Path("kills.jsonl"))
    asked = parser.parse_args()
    for name, kills in asked_kills(asked.kills).items():
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
            script = Path(made) / "script.yaml"
            script.write_text(SCRIPT, encoding="utf-8")
            recipe = load_recipe(SMOKE, [key.replace("{script}", str(script)) for key in RECIPES[name]])
            torture(name, recipe, Path(made), kills, asked.seed, asked.log)
    print(table(logged(asked.log)))
    if failed := sum(bool(line["other"]) for line in logged(asked.log)):
        raise SystemExit(f"{failed} runs ended with other bytes than one that was never killed")


if __name__ == "__main__":
    main()
