"""Which weights a directory holds: the tensors of its safetensors files, and a digest of them.

A digest is of content, not of file layout: the SHA-256 of each tensor (dtype, shape, bytes), then of all names with
theirs. Resharding the files or rewriting their metadata leaves it unchanged; one changed bit does not. safetensors'
header is read here directly (8 bytes of length, JSON, raw bytes): a digest needs neither torch nor memory for a copy.
"""

import hashlib
import json
import math
import mmap
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfreward.engines.hashed_once import hashed_once
from selfreward.errors import DataError

if TYPE_CHECKING:
    import torch

WIDTHS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 1),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 8),
}
"""Bytes of one element, by safetensors' name of its dtype."""

TensorHeader = tuple[str, tuple[int, ...], int, int]
"""dtype as safetensors writes it, shape, and the byte range after the header."""


def weights_digest(directory: Path) -> str:
    """SHA-256 of the weights in `directory`. Raises DataError when there are none that can be read."""
    return combined_digest(tensor_checksums(directory))


def combined_digest(checksums: Mapping[str, str]) -> str:
    """The digest of a whole policy from its tensors' checksums."""
    lines = (f"{name} {checksum}\n" for name, checksum in sorted(checksums.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def tensor_checksums(directory: Path) -> dict[str, str]:
    """SHA-256 of dtype, shape and bytes of every tensor in the directory's safetensors files, by name."""
    checksums: dict[str, str] = {}
    for file in weight_files(directory):
        for name, checksum in hashed_once(file, _file_checksums).items():
            if name in checksums:
                raise DataError(f"{file}: tensor {name!r} is also in another file of the directory")
            checksums[name] = checksum
    return checksums


def _file_checksums(file: Path) -> dict[str, str]:
    if not file.stat().st_size:
        raise DataError(f"{file}: not a whole safetensors file (it is empty); copy or save it again")
    with _opened(file) as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
        view = memoryview(content)
        try:
            headers = _headers(file, content)
            return {name: _checksum(dtype, shape, view[begin:end]) for name, (dtype, shape, begin, end) in headers}
        finally:
            view.release()


def module_checksums(tensors: Mapping[str, "torch.Tensor"]) -> dict[str, str]:
    """The same checksums of tensors in memory, by name. Of tensors that share storage only the first name counts."""
    import torch

    names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}
    names |= {torch.int64: "I64", torch.int32: "I32", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}
    checksums: dict[str, str] = {}
    for name, tensor in unshared(tensors).items():
        flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        dtype = names.get(tensor.dtype, str(tensor.dtype))
        checksums[name] = _checksum(dtype, tuple(tensor.shape), flat.numpy().data)
    return checksums


def unshared(tensors: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """`tensors` without the later names of storage that has one already: a tied head is its embedding."""
    seen: set[tuple[int, tuple[int, ...]]] = set()
    kept: dict[str, Any] = {}
    for name, tensor in tensors.items():
        place = (tensor.data_ptr(), tuple(tensor.shape))
        if place not in seen or not tensor.numel():
            kept[name] = tensor
        seen.add(place)
    return kept


def require_headers(directory: Path) -> None:
    """Raise DataError where a header of the safetensors files cannot be true. No tensor is read."""
    for file in weight_files(directory):
        if not file.stat().st_size:
            raise DataError(f"{file}: not a whole safetensors file (it is empty); copy or save it again")
        with _opened(file) as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for _ in _headers(file, content):
                pass


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a model, sorted; an index decides when there is one (adapters and extras lie beside)."""
    if not directory.is_dir():
        raise DataError(f"model directory {directory}: does not exist; expected a Hugging Face directory")
    index = directory / "model.safetensors.index.json"
    if (directory / "model.safetensors").is_file():
        files = [directory / "model.safetensors"]
    elif index.is_file():
        try:
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError) as problem:
            raise DataError(
                f"{index}: not an index of safetensors files ({problem!r}); copy the model again"
            ) from problem
        files = sorted(directory / str(name) for name in names)
    else:
        files = sorted(directory.glob("*.safetensors"))
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise DataError(f"model directory {directory}: {missing[0]} is named in the index and missing; copy it again")
    if not files:
        found = sorted(file.name for file in directory.glob("*.bin"))
        hint = f"found {found[0]}, " if found else ""
        raise DataError(
            f"model directory {directory}: {hint}no *.safetensors weights; save them with model.save_pretrained()"
        )
    return files


def _opened(file: Path) -> Any:
    try:
        return file.open("rb")
    except OSError as problem:
        raise DataError(
            f"{file}: cannot be read ({problem.strerror}); give yourself read permission on it"
        ) from problem


def _headers(file: Path, content: mmap.mmap) -> Iterator[tuple[str, TensorHeader]]:
    """Name, dtype, shape and absolute byte range of each tensor. Raises DataError for a torn or foreign file."""
    try:
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        for name, entry in sorted(header.items()):
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            dtype, shape = entry["dtype"], tuple(entry["shape"])
            _refuse_impossible(name, dtype, shape, begin, end)
            if 8 + length + end > len(content):
                raise ValueError(f"tensor {name!r} ends at byte {8 + length + end} of {len(content)}")
            yield name, (dtype, shape, 8 + length + begin, 8 + length + end)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as problem:
        raise DataError(f"{file}: not a whole safetensors file ({problem}); copy or save it again") from problem


def _refuse_impossible(name: str, dtype: str, shape: tuple[int, ...], begin: int, end: int) -> None:
    """Raise ValueError where a tensor's header cannot be true: the loader's own error would name neither of both."""
    if dtype not in WIDTHS:
        raise ValueError(f"tensor {name!r} has dtype {dtype!r}, which is none of {', '.join(WIDTHS)}")
    if not all(type(number) is int and number >= 0 for number in (begin, end, *shape)):
        raise ValueError(f"tensor {name!r} has shape {list(shape)} and bytes {begin} to {end}; expected whole numbers")
    wanted = math.prod(shape) * WIDTHS[dtype]
    if end - begin != wanted:
        raise ValueError(f"tensor {name!r} of shape {list(shape)} in {dtype} takes {wanted} bytes, not {end - begin}")


def _checksum(dtype: str, shape: tuple[int, ...], content: memoryview) -> str:
    digest = hashlib.sha256(f"{dtype} {list(shape)}\n".encode())
    digest.update(content)
    return digest.hexdigest()
