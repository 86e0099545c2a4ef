"""A training as a value: what is trained on what, so that any process can carry it out.

Imports nothing heavy; the trainers are loaded when a job is carried out.
"""

import ctypes
import gc
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from selfreward.errors import TrainingError
from selfreward.recipe import DpoRecipe, Recipe, RewardModelRecipe, Steps
from selfreward.recipe.doors import load

if TYPE_CHECKING:
    from selfreward.training.output import TrainingReport

_REWARD_TRAINER = "selfreward.training.reward_trainer:train_reward_model"

RowKind = Literal["pairs", "samples", "texts", "preferences"]


@dataclass(frozen=True, slots=True)
class Job:
    """`rows` are pairs, samples, or texts: (prompt, completion) token ids. `settings` are the trainer's further
    arguments: what JSON can say. Pairs called preferences train the recipe's `reward_model`.
    """

    kind: RowKind
    start: Path
    rows: Sequence[Any]
    settings: Mapping[str, Any]


def carry_out(
    recipe: Recipe,
    job: Job,
    *,
    out: Path,
    scratch: Path,
    progress: Callable[[int, int, float], None] | None = None,
    say: Callable[[str], None] | None = None,
    note: Callable[..., None] | None = None,
) -> "TrainingReport":
    """Train in this process. `note` is told the bytes that a GPU got back.

    A trainer, somebody's own like ours, is called with the start, the rows and its section of the recipe, and writes
    `out` by `save_policy`. With train.processes it is called in each of them (ranks.py says what that asks of it).
    """
    method: Any = recipe.reward_model if job.kind == "preferences" else recipe.train
    if not isinstance(method, Steps | RewardModelRecipe):
        raise TrainingError(f"train.method={method.method} trains nothing; expected a method that takes steps")
    told: dict[str, Any] = {**job.settings, "model": recipe.model, "out": out, "scratch": scratch}
    if isinstance(method, DpoRecipe):
        told["say"] = say
    train = load("trainers", method.trained_by if isinstance(method, Steps) else _REWARD_TRAINER, {})
    report: TrainingReport = train(job.start, job.rows, method, progress=progress, **told)
    freed = release()
    if freed and note is not None:
        note(freed_device_bytes=freed)
    return report


def launcher(recipe: Recipe) -> Callable[..., "TrainingReport"]:
    """What carries the recipe's trainings out: `carry_out`, or `train_launched` for train.launch=accelerate."""
    if isinstance(recipe.train, Steps) and recipe.train.launch == "accelerate":
        from selfreward.training.launched import train_launched

        return train_launched
    return carry_out


def of_processes(recipe: Recipe) -> dict[str, Any]:
    """What determines weights where several processes train, to the last digits of floats; one adds nothing to tell."""
    if not isinstance(recipe.train, Steps) or recipe.train.processes == 1:
        return {}
    file = recipe.train.accelerate_config
    told = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None
    return {"processes": recipe.train.processes, "accelerate_config": told}


def release() -> int:
    """Give the memory of a finished training back to the GPU and to the machine; how many bytes of the GPU's.

    A trainer and its model refer to each other, so they go with the collector and not before it. glibc keeps what was
    freed below its highest live block: after eight demonstrations of 560 tokens on a model of 135 M parameters a
    process of .6 GB held 6.3 GB. The GPU's part was not run on one yet.
    """
    import torch

    gpu = torch.cuda.is_initialized()
    before = torch.cuda.mem_get_info()[0] if gpu else 0
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
    if not gpu:
        return 0
    torch.cuda.empty_cache()
    return int(torch.cuda.mem_get_info()[0] - before)
