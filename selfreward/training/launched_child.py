"""The other end of `launched.py`: one training job as a process. Not a command for people.

accelerate launch --module selfreward.training.launched_child JOB.json

Of several ranks (ranks.py) each runs this. The first tells how training goes, whoever refuses something tells that.
"""

import dataclasses
import json
import os
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfreward.errors import SelfRewardError, StoreError
from selfreward.recipe.read import build_recipe
from selfreward.records import Pair, Sample, from_line
from selfreward.store.files import ADVICE, disk_error
from selfreward.training import ranks
from selfreward.training.jobs import Job, carry_out
from selfreward.training.output import TrainingReport
from selfreward.training.session import device_type


def main() -> None:
    tell = _channel()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    path = Path(sys.argv[1])
    try:
        report = _train(path, tell)
    except OSError as problem:
        if problem.errno not in ADVICE:
            raise
        tell({"error": ["StoreError", str(disk_error(path.parent, problem))]})
        sys.exit(StoreError.exit_code)
    except SelfRewardError as problem:
        tell({"error": [type(problem).__name__, str(problem)]})
        sys.exit(problem.exit_code)
    memory = _memory()
    if ranks.first():
        tell({"report": dataclasses.asdict(report) | {"directory": str(report.directory)}, "memory": memory})
    ranks.leave()


def _train(path: Path, tell: Callable[[dict[str, Any]], None]) -> TrainingReport:
    told = json.loads(path.read_text(encoding="utf-8"))
    lines = path.with_name("rows.jsonl").read_text(encoding="utf-8").splitlines()
    kind: Any = {"pairs": Pair, "samples": Sample, "preferences": Pair}.get(told["kind"])
    rows: list[Any] = (
        [from_line(kind, line, f"{path}, row {number}") for number, line in enumerate(lines)]
        if kind
        else [(tuple(prompt), tuple(completion)) for prompt, completion in map(json.loads, lines)]
    )
    recipe = build_recipe([told["recipe"]])
    ranks.join(on_gpu=device_type(recipe.model) == "cuda")
    if not ranks.first():
        tell = _silent
    return carry_out(
        recipe,
        Job(told["kind"], Path(told["start"]), rows, told["settings"]),
        out=Path(told["out"]),
        scratch=Path(told["scratch"]),
        progress=lambda *step: tell({"step": step}),
        say=lambda words: tell({"say": words}),
    )


def _silent(event: dict[str, Any]) -> None:
    """The first rank has told it."""


def _channel() -> Callable[[dict[str, Any]], None]:
    """Standard output belongs to the parent; what libraries print goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(event: dict[str, Any]) -> None:
        out.write(json.dumps(event) + "\n")
        out.flush()

    return tell


def _end_with_parent() -> None:
    """Standard input is closed when the parent ends, even by a kill."""
    while os.read(0, 4096):
        pass
    os._exit(1)


def _memory() -> dict[str, int]:
    """What ends with these ranks: their largest resident sizes, and what torch held on GPUs, in bytes."""
    import torch

    unit = 1 if sys.platform == "darwin" else 1024
    held = torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0
    host, device = ranks.total([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, held])
    return {"freed_bytes": int(host), "freed_device_bytes": int(device)}


if __name__ == "__main__":
    main()
