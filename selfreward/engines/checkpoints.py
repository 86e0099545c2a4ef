"""Model directories: are they whole, how does text become tokens by them, how is one written? (weights: tensors.py)"""

import hashlib
import json
import os
from datetime import date
from pathlib import Path
from typing import Any

from selfreward.engines.tensors import weight_files, weights_digest
from selfreward.errors import DataError, StoreError, beside

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
            f"{'' if directory.exists() else beside(directory)}"
        )
    if not os.access(directory, os.R_OK | os.X_OK):
        raise DataError(f"model directory {directory}: cannot be read; give yourself read permission on it")
    config = directory / "config.json"
    if not config.is_file():
        raise DataError(f"model directory {directory}: no config.json; save the model with model.save_pretrained()")
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise DataError(f"{config}: cannot be read as JSON ({problem}); copy the model again") from problem
    if not isinstance(settings, dict):
        raise DataError(f"{config}: found {type(settings).__name__}; expected an object; copy the model again")
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
