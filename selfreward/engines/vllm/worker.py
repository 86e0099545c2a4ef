"""What runs inside vLLM's worker: weights in place, and proof of which weights are there.

vLLM mixes this class into its worker (`worker_extension_cls`) and calls the methods by name, so nothing is pickled and
it works alike in this process and in vLLM's own. `self` is the worker.

vLLM fuses: q, k and v are rows of one `qkv_proj`, gate and up of one `gate_up_proj`, and a vocabulary is padded. Its
CPU build also packs every matrix for oneDNN and drops the original. Checksums are of the checkpoint's own tensors:
fused ones are cut, padding is cut off, and what is packed is multiplied by the identity, which is exact, so that the
copy that computes is what is compared. Only the sign of a zero is lost in a product; it is taken from the file.
Where several workers share a tensor, it is gathered. Key and value heads that are fewer than the workers are copied to
several, so there the checksums differ, and a hand-off that needs them is refused.
"""

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from selfreward.engines.tensors import module_checksums, weight_files


class WeightSwap:
    """Methods for `collective_rpc`; see the module."""

    def process_id(self: Any) -> int:
        return os.getpid()

    def follow(self: Any, owner: int) -> None:
        """End with the process `owner`, however that ends; vLLM's own processes would outlive a killed one."""
        if owner != os.getpid() and hasattr(os, "pidfd_open"):
            watcher = threading.Thread(target=_end_with, args=(os.pidfd_open(owner), owner), daemon=True)
            watcher.start()

    def read_checkpoint(self: Any, directory: str) -> None:
        """Replace the weights in place by those of `directory`. Without a path vLLM reads its first one again."""
        self.reload_weights(weights_path=directory)

    def repack(self: Any) -> None:
        """Pack again what the CPU build keeps beside its packed copy.

        Reloading refreshes a tied embedding, but not the copy that its head computes with: outputs would silently mix
        the old head with the new body.
        """
        for module in self.get_model().modules():
            if hasattr(module, "cpu_linear") and module.weight.numel():
                from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm

                dispatch_cpu_unquantized_gemm(module, remove_weight=False)

    def tensor_checksums(self: Any, directory: str) -> dict[str, str]:
        """Checksums by the checkpoint's names; `directory` lends the signs of its zeros and nothing else."""
        with torch.no_grad():
            tensors = dict(_with_signs_of_zeros(_checkpoint_tensors(self.get_model()), directory))
        return module_checksums(tensors)

    def free_memory(self: Any) -> int:
        """Bytes that are free on the device, 0 where it is a CPU."""
        return int(torch.cuda.mem_get_info()[0]) if self.device.type == "cuda" else 0


def _end_with(owner_descriptor: int, owner: int) -> None:
    select.select([owner_descriptor], [], [])
    core = os.getppid()
    if core not in (1, owner):
        with suppress(ProcessLookupError):
            os.kill(core, signal.SIGKILL)
    os._exit(1)


def _checkpoint_tensors(model: Any) -> Iterator[tuple[str, torch.Tensor, bool]]:
    """(name in the checkpoint, tensor, whether it came out of a packed copy)."""
    tied: dict[int, str] = {}
    stale: dict[str, torch.Tensor] = {}
    found: dict[str, tuple[torch.Tensor, bool]] = {}
    for module_name, module in model.named_modules():
        for parameter_name, parameter in module.named_parameters(recurse=False):
            name = f"{module_name}.{parameter_name}"
            packed = parameter_name == "weight" and hasattr(module, "cpu_linear")
            tensor = parameter.detach()
            if parameter_name == "bias" and hasattr(module, "cpu_linear"):
                tensor = tensor.to(module.weight.dtype)  # one of the packed formats keeps its bias in float32
            if packed and not tensor.numel():
                tensor = _unpacked(module, _columns(module), tensor)
            elif packed:
                copy = _unpacked(module, tensor.shape[1], tensor)
                first = tied.setdefault(tensor.data_ptr(), name)
                if not torch.equal(copy, tensor):
                    stale[first] = copy
                if first != name:
                    continue
            for part, rows in _parts(model, module, name, tensor):
                found[part] = (rows, packed and not parameter.numel())
    for name, copy in stale.items():
        found[name] = (copy[: len(found[name][0])], True)
    for name, (tensor, packed) in found.items():
        yield name, tensor, packed


def _columns(module: Any) -> int:
    return int(getattr(module, "input_size_per_partition", 0) or module.input_size)


def _unpacked(module: Any, columns: int, like: torch.Tensor) -> torch.Tensor:
    """The matrix that `module` really multiplies by."""
    identity = torch.eye(columns, dtype=like.dtype, device=like.device)
    return module.cpu_linear(identity, module.weight, None).t().contiguous()


def _parts(model: Any, module: Any, name: str, tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """The checkpoint's tensors inside one of vLLM's."""
    rows = getattr(module, "org_vocab_size", None)
    fused = name.split(".")[-2]
    names = getattr(model, "packed_modules_mapping", {}).get(fused, [])
    if rows is not None:
        yield name, _whole(module, tensor)[:rows]
    elif len(names) > 1 and hasattr(module, "output_partition_sizes"):
        for part, rows_of_part in zip(names, tensor.split(module.output_partition_sizes), strict=True):
            yield name.replace(f".{fused}.", f".{part}."), _whole(module, rows_of_part)
    else:
        yield name, _whole(module, tensor)


def _whole(module: Any, tensor: torch.Tensor) -> torch.Tensor:
    """The tensor of which every worker holds a part, where there are several."""
    if getattr(module, "tp_size", 1) == 1:
        return tensor
    from vllm.distributed import tensor_model_parallel_all_gather

    if hasattr(module, "input_is_parallel"):
        return tensor_model_parallel_all_gather(tensor.contiguous(), 1) if tensor.ndim == 2 else tensor
    return tensor_model_parallel_all_gather(tensor.contiguous(), 0)


def _with_signs_of_zeros(
    tensors: Iterator[tuple[str, torch.Tensor, bool]], directory: str
) -> Iterator[tuple[str, torch.Tensor]]:
    from safetensors import safe_open

    where: dict[str, Any] = {}
    for file in weight_files(Path(directory)):
        opened = safe_open(file, "pt")
        where |= dict.fromkeys(opened.keys(), opened)
    for name, tensor, packed in tensors:
        if packed and name in where and bool((tensor == 0).any()):
            stored = where[name].get_tensor(name).to(tensor.dtype)
            if stored.shape == tensor.shape:
                tensor = torch.where((tensor == 0) & (stored == 0), stored, tensor)
        yield name, tensor
