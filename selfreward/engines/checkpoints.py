"""Model directories: are they whole, and which weights do they hold?

A digest is of content, not of file layout: the SHA-256 of each tensor (dtype, shape, bytes), then of all names with
theirs. Resharding the files or rewriting their metadata leaves it unchanged; one changed bit does not. safetensors'
header is read here directly (8 bytes of length, JSON, raw bytes): a digest needs neither torch nor memory for a copy.
"""

import hashlib
import json
import math
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfreward.errors import DataError, StoreError

if TYPE_CHECKING:
    import torch

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json", "spiece.model")
_CHAT_FILES = (
    *TOKENIZER_FILES,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "chat_template.jinja",
    "config.json",
)
GENERATION = "generation_config.json"
"""Sampling advice, which is not followed, and the end-of-turn tokens, which are."""

_ASKS_THE_DATE = b"strftime_now"

FULL_PRECISION = "full_precision"
"""Folder of a half-precision checkpoint in which training keeps the float32 weights that it rounds to."""

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
        if not file.stat().st_size:
            raise DataError(f"{file}: not a whole safetensors file (it is empty); copy or save it again")
        with _opened(file) as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
            view = memoryview(content)
            try:
                for name, (dtype, shape, begin, end) in _headers(file, content):
                    if name in checksums:
                        raise DataError(f"{file}: tensor {name!r} is also in another file of the directory")
                    checksums[name] = _checksum(dtype, shape, view[begin:end])
            finally:
                view.release()
    return checksums


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


def chat_digest(directory: Path, day: date | None = None) -> str:
    """SHA-256 of the files that decide how text becomes tokens: tokenizer, chat template, end-of-turn tokens.

    And of `day`, where the template writes today's date: the same question on another day is another prompt.
    """
    digest, dated = hashlib.sha256(), False
    for name in _CHAT_FILES:
        file = directory / name
        if file.is_file():
            content = file.read_bytes()
            dated = dated or (file.suffix in (".jinja", ".json") and _ASKS_THE_DATE in content)
            digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    if dated and day is not None:
        digest.update(f"day {day.isoformat()}\n".encode())
    # Not the file's bytes: whoever mends its sampling advice, which nobody follows, has not made another policy.
    digest.update(f"{GENERATION} {sorted(end_tokens(directory / GENERATION))}\n".encode())
    return digest.hexdigest()


def end_tokens(file: Path) -> set[int]:
    """The end-of-turn tokens that a generation_config.json or config.json names; it may list several."""
    if not file.is_file():
        return set()
    try:
        found = json.loads(file.read_text(encoding="utf-8")).get("eos_token_id")
    except (ValueError, AttributeError) as problem:
        raise DataError(f"{file}: cannot be read as a JSON object ({problem}); copy the model again") from problem
    listed = found if isinstance(found, list) else [] if found is None else [found]
    if not all(type(index) is int for index in listed):
        raise DataError(f"{file}: eos_token_id is {found!r}; expected a token id or a list of them; correct the file")
    return set(listed)


def validate_model_directory(directory: Path) -> None:
    """Raise DataError, with what to do, unless config, safetensors weights and a tokenizer are all in `directory`."""
    if not directory.is_dir():
        found = "a file" if directory.exists() else "nothing"
        raise DataError(
            f"model directory {directory}: found {found}; expected a Hugging Face directory, correct the path"
        )
    if not os.access(directory, os.R_OK | os.X_OK):
        raise DataError(f"model directory {directory}: cannot be read; give yourself read permission on it")
    config = directory / "config.json"
    if not config.is_file():
        raise DataError(f"model directory {directory}: no config.json; save the model with model.save_pretrained()")
    try:
        json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise DataError(f"{config}: cannot be read as JSON ({problem}); copy the model again") from problem
    weight_files(directory)
    if not any((directory / name).is_file() for name in TOKENIZER_FILES):
        raise DataError(
            f"model directory {directory}: no tokenizer (looked for {', '.join(TOKENIZER_FILES)}); "
            "save one beside the weights with tokenizer.save_pretrained()"
        )


def cannot_load(directory: Path, what: str, problem: Exception) -> DataError:
    """The error for a library's own at loading; code of the directory's own is the cause that a sentence can mend."""
    if "trust_remote_code" in str(problem):
        return DataError(
            f"model directory {directory}: {what} needs Python code of the directory's own (its *.py files); read "
            "them, and set model.trust_remote_code=true if you trust them, or take a model that transformers knows"
        )
    return DataError(f"model directory {directory}: {what} cannot be loaded ({problem}); copy or save the model again")


def require_headers(directory: Path) -> None:
    """Raise DataError where a header of the safetensors files cannot be true. No tensor is read."""
    for file in weight_files(directory):
        if not file.stat().st_size:
            raise DataError(f"{file}: not a whole safetensors file (it is empty); copy or save it again")
        with _opened(file) as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for _ in _headers(file, content):
                pass


def save_model_directory(model: Any, tokenizer: Any, directory: Path) -> str:
    """Write model and tokenizer into a new directory and return the digest. A checkpoint is never overwritten."""
    if directory.exists() and any(directory.iterdir()):
        raise StoreError(f"checkpoint {directory}: exists and is not empty; a checkpoint is never overwritten")
    try:
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
    except OSError as problem:
        raise StoreError(f"checkpoint {directory}: cannot be written ({problem}); free space or permit it") from problem
    return weights_digest(directory)


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
