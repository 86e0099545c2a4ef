"""The trained policy on disk: safetensors, the start policy's tokenizer and settings, and the hand-off file."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.engines.checkpoints import GENERATION
from selfreward.engines.handoff import HANDOFF_FILE, Probe, write_handoff
from selfreward.errors import StoreError
from selfreward.training import ranks
from selfreward.training.session import without_advice, writing

SETTINGS = ("*.json", "*.jinja", "*.model", "*.txt", "*.py")
_OF_SAMPLING = (*("temperature", "top_k", "top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff"),)
OF_THE_WEIGHTS = (HANDOFF_FILE, "seed.json")


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

    The settings are the start policy's own files, Python of a directory with code of its own among them: what a trainer
    changes in a model's configuration stays out of them. Sampling advice that transformers refuses to write is mended.
    Of several ranks the first writes; the others return "".
    """
    if not ranks.first():
        return ""
    if out.exists() and any(out.iterdir()):
        raise StoreError(f"checkpoint {out}: exists and is not empty; a checkpoint is never overwritten")
    # transformers would refuse to save weights beside advice that contradicts itself; the start's file follows anyway.
    model.generation_config = without_advice(model.generation_config)
    with writing(out):
        model.save_pretrained(out)
    trained = json.loads((out / "config.json").read_text(encoding="utf-8"))
    for path in sorted(path for pattern in SETTINGS for path in start.glob(pattern)):
        if path.name not in OF_THE_WEIGHTS and not path.name.endswith(".index.json"):
            shutil.copyfile(path, out / path.name)
    mend_advice(out / GENERATION)
    settings = json.loads((start / "config.json").read_text(encoding="utf-8"))
    settings["dtype"] = trained["dtype"]
    settings.pop("torch_dtype", None)
    (out / "config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return write_handoff(out, start, probes)


def mend_advice(file: Path) -> None:
    """Take sampling parameters out of a generation_config that says not to sample: no program could save it again."""
    advice = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    found = [name for name in _OF_SAMPLING if name in advice]
    if found and not advice.get("do_sample", False):
        mended = {name: value for name, value in advice.items() if name not in found}
        file.write_text(json.dumps(mended, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def shift(before: Sequence[float], after: Sequence[float]) -> float:
    """Mean change of a summed log-probability."""
    return sum(new - old for old, new in zip(before, after, strict=True)) / len(before)
