"""What half-precision rounds sum up in: a float32 copy of the weights beside each checkpoint.

bfloat16 has 8 significant bits: an update below 1/512 of a weight is rounded away, and every round again, so that
rounds of small updates (a low learning rate, an adapter of small alpha) leave weights where they were. Here

    copy(t) = copy(t-1) + update(t)   in float32          checkpoint(t) = copy(t) rounded to the policy's dtype

with copy(0) the start policy. The engine, the reference and an adapter's forward read the checkpoint only; the copy is
where the update is added. So a weight moves once its rounds together exceed its spacing, and rounding never adds up.
It costs twice the checkpoint's size on disk. A float32 policy is its own copy.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from selfreward.engines.checkpoints import FULL_PRECISION
from selfreward.engines.tensors import weight_files
from selfreward.errors import HandOffError
from selfreward.recipe import ModelRecipe, Steps
from selfreward.training import ranks


def kept(recipe: Steps, model: ModelRecipe) -> bool:
    """Whether this training leaves a float32 copy."""
    return model.dtype != "float32" and recipe.accumulate == "full_precision"


@torch.no_grad()
def restore(policy: Any, start: Path, dtype: torch.dtype) -> None:
    """Put the float32 copy in `start`, if there is one, into a float32 `policy` that came from the checkpoint there.

    Raises HandOffError where the two are not of one policy: a copy must round to its checkpoint.
    """
    if not (start / FULL_PRECISION).is_dir():
        return
    weights = {_plain(name): weight for name, weight in policy.named_parameters() if ".lora_" not in name}
    for file in weight_files(start / FULL_PRECISION):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (not a mapping)
                copied, weight = tensors.get_tensor(name), weights.pop(name, None)
                if weight is None or not torch.equal(copied.to(dtype), weight.cpu().to(dtype)):
                    raise HandOffError(
                        f"{file}: {name!r} does not round to the checkpoint beside it; the weights were changed after "
                        f"training; remove the folder {FULL_PRECISION}, or restore the checkpoint"
                    )
                weight.copy_(copied)
    if weights:
        copy = start / FULL_PRECISION
        raise HandOffError(f"{copy}: no {min(weights)!r}; remove the folder, or restore the checkpoint")


def _plain(name: str) -> str:
    """A parameter's name in the checkpoint, which an adapter wraps."""
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")


def keep(policy: Any, scratch: Path) -> None:
    """Write the float32 `policy` into `scratch`, for `land`."""
    shutil.rmtree(scratch / FULL_PRECISION, ignore_errors=True)
    # Under the names in memory, which `restore` looks for: some architectures have others in their files.
    policy.save_pretrained(scratch / FULL_PRECISION, save_original_format=False)


def land(scratch: Path, checkpoint: Path) -> None:
    """Move what `keep` wrote beside the checkpoint's weights."""
    if ranks.first() and (scratch / FULL_PRECISION).is_dir():
        shutil.move(scratch / FULL_PRECISION, checkpoint / FULL_PRECISION)
