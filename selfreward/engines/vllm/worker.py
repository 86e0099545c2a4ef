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
from collections.abc import Callable, Iterator
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
        """Checksums by the checkpoint's names; `directory` lends the signs of its zeros and nothing else.

        One tensor at a time: what is gathered or unpacked for it is gone before the next one.
        """
        checksums: dict[str, str] = {}
        with torch.no_grad():
            for name, tensor in _with_signs_of_zeros(_checkpoint_tensors(self.get_model(), _gathered), directory):
                checksums |= module_checksums({name: tensor})
                del tensor
        return checksums

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


Gather = Callable[[torch.Tensor, int], torch.Tensor]
"""A part that every worker holds, and the dimension along which it is cut, to the whole."""


def _checkpoint_tensors(model: Any, gather: Gather) -> Iterator[tuple[str, torch.Tensor, bool]]:
    """(name in the checkpoint, tensor, whether it came out of a packed copy), each made when it is asked for.

    Of parameters that share storage only the first name counts. Which they are is asked of the parameters: a gathered
    tensor may lie where the one before it lay.
    """
    seen: set[tuple[int, tuple[int, ...]]] = set()
    stale = _stale_heads(model)
    for module_name, module in model.named_modules():
        for parameter_name, parameter in module.named_parameters(recurse=False):
            name, tensor = f"{module_name}.{parameter_name}", parameter.detach()
            place = (tensor.data_ptr(), tuple(tensor.shape))
            if place in seen and tensor.numel():
                continue
            seen.add(place)
            packed = _is_packed(module, parameter_name)
            if parameter_name == "bias" and hasattr(module, "cpu_linear"):
                tensor = tensor.to(module.weight.dtype)  # one of the packed formats keeps its bias in float32
            if packed and not tensor.numel():
                tensor = _unpacked(module, _columns(module), tensor)
            for part, rows in _parts(model, module, name, tensor, gather):
                if place in stale:
                    yield part, _unpacked(stale[place], tensor.shape[1], tensor)[: len(rows)], True
                else:
                    yield part, rows, packed and not parameter.numel()
                del rows


def _is_packed(module: Any, parameter_name: str) -> bool:
    return parameter_name == "weight" and hasattr(module, "cpu_linear")


def _stale_heads(model: Any) -> dict[tuple[int, tuple[int, ...]], Any]:
    """The modules whose packed copy is not the matrix beside it, by that matrix's place: outputs come from the copy."""
    found = {}
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if not hasattr(module, "cpu_linear") or weight is None or not weight.numel():
            continue
        if not torch.equal(_unpacked(module, weight.shape[1], weight), weight):
            found[weight.data_ptr(), tuple(weight.shape)] = module
    return found


def _columns(module: Any) -> int:
    return int(getattr(module, "input_size_per_partition", 0) or module.input_size)


def _unpacked(module: Any, columns: int, like: torch.Tensor) -> torch.Tensor:
    """The matrix that `module` really multiplies by."""
    identity = torch.eye(columns, dtype=like.dtype, device=like.device)
    return module.cpu_linear(identity, module.weight, None).t().contiguous()


def _parts(
    model: Any, module: Any, name: str, tensor: torch.Tensor, gather: Gather
) -> Iterator[tuple[str, torch.Tensor]]:
    """The checkpoint's tensors inside one of vLLM's."""
    rows = getattr(module, "org_vocab_size", None)
    fused = name.split(".")[-2]
    names = getattr(model, "packed_modules_mapping", {}).get(fused, [])
    if rows is not None:
        yield name, _whole(module, tensor, gather)[:rows]
    elif len(names) > 1 and hasattr(module, "output_partition_sizes"):
        for part, rows_of_part in zip(names, tensor.split(module.output_partition_sizes), strict=True):
            yield name.replace(f".{fused}.", f".{part}."), _whole(module, rows_of_part, gather)
    else:
        yield name, _whole(module, tensor, gather)


def _whole(module: Any, tensor: torch.Tensor, gather: Gather) -> torch.Tensor:
    """The tensor of which every worker holds a part, where there are several."""
    if getattr(module, "tp_size", 1) == 1:
        return tensor
    if hasattr(module, "input_is_parallel"):
        return gather(tensor.contiguous(), 1) if tensor.ndim == 2 else tensor
    return gather(tensor.contiguous(), 0)


def _gathered(tensor: torch.Tensor, dimension: int) -> torch.Tensor:
    from vllm.distributed import tensor_model_parallel_all_gather

    return tensor_model_parallel_all_gather(tensor, dimension)


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
            del stored
        yield name, tensor
        del tensor
