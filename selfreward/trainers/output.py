"""The trained policy on disk: safetensors, the start policy's tokenizer and settings, and the hand-off file last."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.errors import StoreError
from selfreward.handoff import HANDOFF_FILE, Probe, write_handoff

_SETTINGS = ("*.json", "*.jinja", "*.model", "*.txt")


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training did; nothing in it differs between two equal runs. `digest` is of the weights in `directory`."""

    directory: Path
    digest: str
    steps: int
    pairs: int
    metrics: dict[str, float]


def save_policy(model: Any, start: Path, out: Path, probes: Sequence[Probe]) -> str:
    """Write `model` to `out` with the tokenizer, chat template and settings of `start`; returns the weights' digest.

    Everything is written beside `out` and renamed. A checkpoint that is already there is never overwritten: it is kept
    when it has the same weights, which is what a training that was killed after its last write finds.
    """
    beside = out.with_name(f"{out.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    model.save_pretrained(beside)
    trained = json.loads((beside / "config.json").read_text(encoding="utf-8"))
    for path in sorted(path for pattern in _SETTINGS for path in start.glob(pattern)):
        if path.name != HANDOFF_FILE and not path.name.endswith(".index.json"):
            shutil.copyfile(path, beside / path.name)
    settings = json.loads((start / "config.json").read_text(encoding="utf-8"))
    settings["dtype"] = trained["dtype"]
    settings.pop("torch_dtype", None)
    (beside / "config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    digest = write_handoff(beside, start, probes)
    for path in beside.iterdir():
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
    if out.exists():
        _keep_equal(out, digest)
        shutil.rmtree(beside)
    else:
        beside.rename(out)
    return digest


def _keep_equal(out: Path, digest: str) -> None:
    from selfreward.checkpoints import weights_digest

    found = weights_digest(out)
    if found != digest:
        raise StoreError(
            f"checkpoint {out}: holds weights {found[:16]}, but this training made {digest[:16]}; a checkpoint is "
            "never overwritten; use another run name or remove that directory"
        )


def shift(before: Sequence[float], after: Sequence[float]) -> float:
    """Mean change of a summed log-probability."""
    return sum(new - old for old, new in zip(before, after, strict=True)) / len(before)
