"""Can this kind of model directory be used at all? Asked of its config and its headers; no weights are loaded.

What is refused here would otherwise be a library's traceback after the first answers. A quantised directory holds no
weights that an update could be added to, and its tensors are not those that an engine computes with. A layer with a
running state (state-space, linear attention, short convolution) has no row of a cache to copy to every sample of a
prompt, and takes padding for text. A mixture of experts is fine, except behind vLLM, which packs its experts otherwise.
LoRA's targets are looked up in the module itself, built without memory (torch's meta device).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfreward.engines.checkpoints import cannot_load, validate_model_directory
from selfreward.engines.tensors import require_headers
from selfreward.errors import DataError, RecipeError
from selfreward.recipe import LoraRecipe, ModelRecipe, Recipe, Steps
from selfreward.training.adapters import ALL_LINEAR

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


def require_usable(directory: Path, recipe: Recipe) -> None:
    """Raise DataError for a directory whose kind of model no engine here can hold, sample from and hand on."""
    validate_model_directory(directory)
    require_headers(directory)
    where = f"model directory {directory}"
    settings = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    if settings.get("quantization_config") is not None:
        described = settings["quantization_config"]
        method = described.get("quant_method", "unknown") if isinstance(described, dict) else "unknown"
        raise DataError(
            f"{where}: its weights are quantised ({method}, quantization_config in config.json), and quantised weights "
            "can neither be trained nor compared with their file here; take the directory that it was quantised from "
            "(with model.dtype=bfloat16 and train.lora where memory is short)"
        )
    config = load_config(directory, recipe.model)
    text = config.get_text_config()
    if recipe.engine.kind == "vllm":
        experts = [name for name in _EXPERTS if getattr(text, name, None)]
        if experts:
            raise DataError(
                f"{where}: a mixture of experts ({experts[0]} in config.json), whose packed weights the hand-off "
                "cannot compare under engine.kind=vllm; set engine.kind=transformers"
            )
        return
    stateful = running_state(text)
    if stateful:
        raise DataError(
            f"{where}: {settings.get('model_type')} keeps a running state ({', '.join(stateful)}), which cannot be "
            "copied to every sample of a prompt and takes padding for text; take a model whose layers all are "
            "attention (Llama, Qwen, Gemma, Mistral, Phi and their like)"
        )


def load_config(directory: Path, model: ModelRecipe) -> Any:
    """transformers' config of a directory. Raises DataError; never asks a hub."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=model.trust_remote_code)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as problem:
        raise cannot_load(directory, "its config.json", problem) from problem


def running_state(config: Any) -> list[str]:
    """The kinds of layers in this config's cache whose rows cannot be selected, by transformers' own names."""
    from transformers import DynamicCache

    layers = DynamicCache(config=config).layers
    return sorted({type(layer).__name__ for layer in layers if not hasattr(layer, "batch_select_indices")})


def require_targets(directory: Path, recipe: Recipe) -> None:
    """Raise RecipeError where a name of an adapter's target_modules is no linear layer of the start policy."""
    adapters = {"train": recipe.train.lora} if isinstance(recipe.train, Steps) else {}
    adapters |= {"reward_model": recipe.reward_model.lora} if recipe.reward_model else {}
    for section, lora in adapters.items():
        if lora is not None and tuple(lora.target_modules) != (ALL_LINEAR,):
            _require_targets(directory, recipe, section, lora)


def _require_targets(directory: Path, recipe: Recipe, section: str, lora: LoraRecipe) -> None:
    there = linear_layers(directory, recipe.model)
    missing = [name for name in lora.target_modules if not _matches(name, there)]
    if missing:
        raise RecipeError(
            f"key '{section}.lora.target_modules': {', '.join(missing)} ({len(missing)} of {len(lora.target_modules)} "
            f"names) is no linear layer of {directory}, so no adapter would train it; its linear layers are "
            f"{', '.join(sorted({name.rpartition('.')[2] for name in there}))}: name some of these, or [{ALL_LINEAR}]"
        )


def linear_layers(directory: Path, model: ModelRecipe) -> list[str]:
    """Full names of the layers that an adapter can be put on: all linear ones but the output head."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    config = load_config(directory, model)
    try:
        with torch.device("meta"):
            built: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=model.trust_remote_code)
    except (ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError, AssertionError) as problem:
        raise cannot_load(directory, "a model after its config.json", problem) from problem
    head = built.get_output_embeddings()
    return [
        name
        for name, module in built.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    ]


def _matches(target: str, names: Sequence[str]) -> bool:
    """PEFT's rule for a list of names: the whole name, or its last parts."""
    return any(name == target or name.endswith(f".{target}") for name in names)
