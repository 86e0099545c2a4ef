"""The transformers module: built from a model directory, or given another directory's weights in place."""

from pathlib import Path
from typing import Any

from selfreward.checkpoints import unshared, weight_files
from selfreward.config import ModelRecipe
from selfreward.errors import DataError, EngineError

# What a config may differ in while the same module can hold the weights.
_NOT_ARCHITECTURE = ("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype", "use_cache")


def choose_device(name: str) -> Any:
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as problem:
        raise EngineError(f"model.device is {name!r}: not a device ({problem}); use auto, cpu or cuda") from problem
    if device.type == "cuda" and not torch.cuda.is_available():
        raise EngineError(f"model.device is {name!r}, but torch finds no CUDA device; use auto or cpu")
    return device


def build(directory: Path, recipe: ModelRecipe) -> Any:
    """The model in `directory` on the recipe's device, in evaluation mode. Raises DataError; never asks a hub."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    device = choose_device(recipe.device)
    logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=getattr(torch, recipe.dtype),
            local_files_only=True,
            trust_remote_code=recipe.trust_remote_code,
        )
    except (OSError, ValueError, RuntimeError) as problem:
        raise DataError(f"model directory {directory}: cannot be loaded ({problem}); save it again") from problem
    return model.to(device).eval().requires_grad_(False)


def load_in_place(model: Any, directory: Path, recipe: ModelRecipe) -> bool:
    """Copy the directory's tensors into `model`; False, and nothing copied, when it cannot hold exactly these."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=recipe.trust_remote_code)
    if _architecture(config) != _architecture(model.config):
        return False
    held = unshared(model.state_dict())
    stored: dict[str, torch.Tensor] = {}
    for file in weight_files(directory):
        stored |= load_file(file)
    if any(name not in stored or stored[name].shape != tensor.shape for name, tensor in held.items()):
        return False
    with torch.no_grad():
        for name, tensor in held.items():
            tensor.copy_(stored[name])
    return True


def _architecture(config: Any) -> dict[str, Any]:
    return {key: value for key, value in config.to_dict().items() if key not in _NOT_ARCHITECTURE}
