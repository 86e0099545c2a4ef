"""What a file of `accelerate config` may say of a training that selfreward starts. Asked before anything is sampled.

The recipe holds what is computed (precision, batch, clipping, number of processes), so that a run means the same
wherever it goes on; the file holds how the processes hold the weights. What both would say must agree, and what nobody
here has tried is refused. Accelerate shards on GPUs only, so on a CPU there is nothing for such a file to say.
"""

from pathlib import Path
from typing import Any

import yaml

from selfreward.errors import RecipeError
from selfreward.recipe import Recipe, Steps

_HOLD = ("MULTI_GPU", "FSDP")
_PRECISION = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}


def check_accelerate(recipe: Recipe, gpus: int) -> None:
    """Raise RecipeError for a train.accelerate_config that is not there, or that says another training."""
    if not isinstance(recipe.train, Steps) or recipe.train.accelerate_config is None:
        return
    key, path = "key 'train.accelerate_config'", Path(recipe.train.accelerate_config)
    if not gpus:
        raise RecipeError(
            f"{key} is {str(path)!r}, but no GPU is visible to this process, and on a CPU accelerate starts one "
            "process and shards nothing; remove it: without it train.processes train by DDP"
        )
    told = _read(key, path)
    kind = told.get("distributed_type")
    if kind not in _HOLD:
        raise RecipeError(f"{key}, {path}: distributed_type is {kind!r}; expected one of {', '.join(_HOLD)}")
    version = (told.get("fsdp_config") or {}).get("fsdp_version")
    if kind == "FSDP" and str(version) != "2":
        raise RecipeError(
            f"{key}, {path}: fsdp_config.fsdp_version is {version!r}; expected 2, by which weights keep the names that "
            "a checkpoint is written with"
        )
    must: dict[str, tuple[Any, ...]] = {
        "num_processes": (recipe.train.processes,),
        "num_machines": (1,),
        "mixed_precision": ("no", _PRECISION[recipe.model.dtype]),
        "gradient_accumulation_steps": (1,),
        "use_cpu": (False,),
    }
    for name, allowed in must.items():
        if name in told and told[name] not in allowed:
            raise RecipeError(
                f"{key}, {path}: {name} is {told[name]!r}; expected {' or '.join(map(repr, allowed))}, as the recipe "
                "has it; remove the line, or change the recipe"
            )


def is_sharded(recipe: Recipe) -> bool:
    """Whether every process of a training holds a share of the policy alone. Raises RecipeError as above."""
    if not isinstance(recipe.train, Steps) or recipe.train.accelerate_config is None:
        return False
    told = _read("key 'train.accelerate_config'", Path(recipe.train.accelerate_config))
    return told.get("distributed_type") == "FSDP"


def _read(key: str, path: Path) -> dict[str, Any]:
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise RecipeError(f"{key}: {path} cannot be read ({problem}); make it by `accelerate config`") from problem
    if not isinstance(told, dict):
        raise RecipeError(f"{key}: {path} holds {type(told).__name__}; expected what `accelerate config` writes")
    # YAML reads an unquoted no as false.
    return {name: "no" if name == "mixed_precision" and value is False else value for name, value in told.items()}
