"""The transformers module: built from a model directory, or given another directory's weights in place."""

from pathlib import Path
from typing import Any

from selfreward.engines.checkpoints import cannot_load
from selfreward.engines.tensors import module_checksums, unshared, weight_files
from selfreward.errors import DataError, EngineError
from selfreward.recipe import ModelRecipe

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
    if device.type == "meta":
        raise EngineError("model.device is 'meta', which holds no numbers to compute with; use auto, cpu or cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise EngineError(f"model.device is {name!r}, but torch finds no CUDA device; use auto or cpu")
    return device


def visible_gpus(device: str) -> int:
    """How many GPUs this process sees, 0 where `device` is none. Raises EngineError for one that is not there."""
    import torch

    return torch.cuda.device_count() if choose_device(device).type == "cuda" else 0


def build(directory: Path, recipe: ModelRecipe) -> Any:
    """The model in `directory` on the recipe's device, in evaluation mode. Raises DataError; never asks a hub."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    device = choose_device(recipe.device)
    logging.disable_progress_bar()
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=getattr(torch, recipe.dtype),
            local_files_only=True,
            trust_remote_code=recipe.trust_remote_code,
            output_loading_info=True,
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ImportError,
        RuntimeError,
        AssertionError,
    ) as problem:
        raise cannot_load(directory, "its model", problem) from problem
    model, report = loaded
    missing = sorted(report["missing_keys"])
    if missing:
        # transformers only warns here, and would go on with random numbers in these tensors.
        raise DataError(
            f"model directory {directory}: config.json wants the tensor {missing[0]!r} (and {len(missing) - 1} more) "
            "that the weights do not hold; save config and weights of the same model together"
        )
    return model.to(device).eval().requires_grad_(False)


def load_in_place(model: Any, directory: Path, recipe: ModelRecipe) -> bool:
    """Copy the directory's tensors into `model`; False, and nothing copied, when it cannot hold exactly these."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=recipe.trust_remote_code)
    if _comparable(config) != _comparable(model.config):
        return False
    tensors = model.state_dict()
    held = unshared(tensors)
    stored: dict[str, torch.Tensor] = {}
    for file in weight_files(directory):
        stored |= load_file(file)
    if any(name not in stored or stored[name].shape != tensor.shape for name, tensor in held.items()):
        return False
    # A head that is tied here, and that this directory holds with other values: transformers would not tie it.
    by_place = {_place(tensor): stored[name] for name, tensor in held.items()}
    second = [name for name in tensors if name not in held and name in stored]
    if any(not torch.equal(stored[name], by_place[_place(tensors[name])]) for name in second):
        return False
    with torch.no_grad():
        for name, tensor in held.items():
            tensor.copy_(stored[name])
    return True


def file_checksums(model: Any) -> dict[str, str]:
    """Checksums of the module's tensors under the names, and in the shapes, that its file has them in.

    transformers 5 renames some tensors as it loads them (`embed_out` of GPT-NeoX) and fuses others (the experts of a
    mixture); its own way back, which `save_pretrained` takes too, is taken here.
    """
    from transformers.core_model_loading import revert_weight_conversion

    return module_checksums(revert_weight_conversion(model, unshared(model.state_dict())))


def _place(tensor: Any) -> tuple[int, tuple[int, ...]]:
    return tensor.data_ptr(), tuple(tensor.shape)


def architecture(directory: Path, trust_remote_code: bool = False) -> dict[str, Any]:
    """What two model directories must agree on for one module to hold the weights of both."""
    from transformers import AutoConfig

    return _comparable(
        AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=trust_remote_code)
    )


def _comparable(config: Any) -> dict[str, Any]:
    return {key: value for key, value in config.to_dict().items() if key not in _NOT_ARCHITECTURE}
