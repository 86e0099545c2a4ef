"""A training as a value: what is trained on what, so that any process can carry it out.

Imports nothing heavy; the trainers are loaded when a job is carried out.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from selfreward.errors import TrainingError
from selfreward.recipe import DpoRecipe, OwnTraining, PolicyGradient, Recipe, Steps
from selfreward.recipe.doors import load

if TYPE_CHECKING:
    from selfreward.training.output import TrainingReport


Method = Literal["preferences", "policy_gradient", "supervised", "own"]


@dataclass(frozen=True, slots=True)
class Job:
    """`rows` are pairs, samples, or (prompt, completion) token ids for `supervised`. `settings` are the trainer's
    further arguments: what JSON can say.
    """

    method: Method
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
    """Train in this process. `note` is told the bytes that a GPU got back."""
    where: dict[str, Any] = {**job.settings, "model": recipe.model, "out": out, "scratch": scratch}
    if isinstance(recipe.train, DpoRecipe):
        from selfreward.training.preference import train_preferences

        report = train_preferences(job.start, job.rows, recipe.train, progress=progress, say=say, **where)
    elif isinstance(recipe.train, PolicyGradient):
        from selfreward.training.policy_gradient import train_policy_gradient

        report = train_policy_gradient(job.start, job.rows, recipe.train, progress=progress, **where)
    elif isinstance(recipe.train, OwnTraining):
        # A trainer of somebody's own is called as ours are, with the round's pairs, and writes `out` by `save_policy`.
        report = load("trainers", recipe.train.trainer, {})(
            job.start, job.rows, recipe.train, progress=progress, **where
        )
    elif isinstance(recipe.train, Steps):
        from selfreward.training.supervised import train_supervised

        report = train_supervised(job.start, job.rows, recipe.train, progress=progress, **where)
    else:
        raise TrainingError(f"train.method={recipe.train.method} trains nothing; expected a method that takes steps")
    freed = release()
    if freed and note is not None:
        note(freed_device_bytes=freed)
    return report


def release() -> int:
    """Give the memory of a finished training back to the GPU; how many bytes. 0 where no GPU was used.

    A trainer and its model refer to each other, so they go with the collector and not before it. Not run on a GPU yet.
    """
    import torch

    if not torch.cuda.is_initialized():
        return 0
    before, _ = torch.cuda.mem_get_info()
    gc.collect()
    torch.cuda.empty_cache()
    after, _ = torch.cuda.mem_get_info()
    return int(after - before)
