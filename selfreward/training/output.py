"""The trained policy on disk: safetensors, the start policy's tokenizer and settings, and the hand-off file."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.engines.handoff import HANDOFF_FILE, Probe, write_handoff
from selfreward.errors import StoreError
from selfreward.training.session import writing

_SETTINGS = ("*.json", "*.jinja", "*.model", "*.txt")
_OF_THE_WEIGHTS = (HANDOFF_FILE, "seed.json")


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training did; nothing in it differs between two equal runs. `digest` is of the weights in `directory`.

    `notes` are sentences for a person, for example why prefixes were not shared.
    """

    directory: Path
    digest: str
    steps: int
    pairs: int
    metrics: dict[str, float]
    notes: tuple[str, ...] = ()


def save_policy(model: Any, start: Path, out: Path, probes: Sequence[Probe]) -> str:
    """Write `model` to `out` with the tokenizer, chat template and settings of `start`; returns the weights' digest.

    The settings are the start policy's own files: what a trainer changes in a model's configuration stays out of them.
    """
    if out.exists() and any(out.iterdir()):
        raise StoreError(f"checkpoint {out}: exists and is not empty; a checkpoint is never overwritten")
    with writing(out):
        model.save_pretrained(out)
    trained = json.loads((out / "config.json").read_text(encoding="utf-8"))
    for path in sorted(path for pattern in _SETTINGS for path in start.glob(pattern)):
        if path.name not in _OF_THE_WEIGHTS and not path.name.endswith(".index.json"):
            shutil.copyfile(path, out / path.name)
    settings = json.loads((start / "config.json").read_text(encoding="utf-8"))
    settings["dtype"] = trained["dtype"]
    settings.pop("torch_dtype", None)
    (out / "config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return write_handoff(out, start, probes)


def shift(before: Sequence[float], after: Sequence[float]) -> float:
    """Mean change of a summed log-probability."""
    return sum(new - old for old, new in zip(before, after, strict=True)) / len(before)
