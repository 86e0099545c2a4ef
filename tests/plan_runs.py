"""Six runs of the smoke recipe of different sizes as they were taken on one core of two: their seals and their wall.

fixtures/plan_runs.jsonl holds for each its keys, the wall-clock seconds of its journal, and of every seal round,
artifact, rows, tokens, seconds, steps of training, and whether it was computed in this run.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from selfreward.recipe import to_yaml
from selfreward.recipe.read import load_recipe
from selfreward.store.seals import Seal, seal_path, write_seal

ROOT = Path(__file__).parent.parent
SMOKE = ROOT / "recipes" / "smoke.yaml"
SEED = ROOT / "selfreward" / "tasks" / "sandbox" / "seeds" / "seed-0"
RUNS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "fixtures" / "plan_runs.jsonl").read_text().splitlines()
]


def write_runs(root: Path, runs: list[dict[str, Any]], accelerator: str | None = None) -> None:
    """The runs as a results directory: what `plan` reads of them."""
    for told in runs:
        run = root / told["name"]
        run.mkdir(parents=True)
        recipe = load_recipe(SMOKE, told["overrides"])
        (run / "recipe.yaml").write_text(to_yaml(recipe))
        environment = {"first_used": "2026-11-29", "environment": {"accelerator": accelerator}}
        (run / "run.json").write_text(json.dumps({"environments": [environment]}))
        events = [{"time": 0.0, "event": "began", "round": None, "artifact": None}]
        for number, artifact, rows, tokens, seconds, steps, here in told["seals"]:
            directory = run / f"round-{number:02d}"
            directory.mkdir(exist_ok=True)
            facts = {} if steps is None else {"steps": steps}
            seal = Seal(number, artifact, "0" * 32, {}, "", rows, 1, seconds, tokens, facts)
            write_seal(seal_path(directory, artifact), seal)
            event = "sealed" if here else "linked"
            events.append({"time": told["wall"], "event": event, "round": number, "artifact": artifact})
        checkpoint = run / f"round-{recipe.rounds:02d}" / "checkpoint"
        checkpoint.mkdir()
        shutil.copyfile(SEED / "config.json", checkpoint / "config.json")
        (run / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
