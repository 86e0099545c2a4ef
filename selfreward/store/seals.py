"""A seal says that an artifact is finished, what made it and what its bytes are. It is the last file written.

The fingerprint is the SHA-256 of everything that determines the artifact (`made_from`, with its round and name). Equal
fingerprints mean equal bytes, so an artifact is computed once; a different one is refused with the first differing
field named. A seal that was cut counts as none.
"""

import dataclasses
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from selfreward.errors import StoreError
from selfreward.store.files import digest_bytes, digest_file, on_disk, relative_files, write_durably

FINGERPRINT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an artifact is to be made from, as plain JSON, and the hash of it."""

    round: int
    artifact: str
    made_from: dict[str, Any]
    fingerprint: str


def stamp(round_number: int, artifact: str, made_from: Mapping[str, Any]) -> Stamp:
    """The stamp of an artifact. `made_from` must be JSON-able; key order and tuple-or-list do not matter."""
    plain = json.loads(json.dumps(made_from, sort_keys=True))
    whole = json.dumps({"round": round_number, "artifact": artifact, "made_from": plain}, sort_keys=True)
    return Stamp(round_number, artifact, plain, digest_bytes(whole.encode())[:32])


@dataclass(frozen=True, slots=True)
class Seal:
    """`digest` is of the file's bytes, or of all names and digests in `files` where the artifact is a directory.

    `seconds` and `tokens` are what the work cost where it was done; `facts` is what the maker of a directory told.
    `pruned` marks a directory whose weights were removed to save space: its digests stay.
    """

    round: int
    artifact: str
    fingerprint: str
    made_from: dict[str, Any]
    digest: str
    rows: int
    bytes: int
    seconds: float
    tokens: int
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] | None = None
    pruned: bool = False
    finished: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%S%z"))


_SEAL: TypeAdapter[Seal] = TypeAdapter(Seal)


def seal_path(directory: Path, artifact: str) -> Path:
    return directory / f"{artifact}.done.json"


def write_seal(path: Path, seal: Seal) -> None:
    text = json.dumps(dataclasses.asdict(seal), indent=2, sort_keys=True, ensure_ascii=False)
    write_durably(path, (text + "\n").encode(), mode=0o444)


def read_seal(path: Path) -> Seal | None:
    """The seal, or None where there is none, it was cut, or it says what no seal says."""
    try:
        with on_disk(path):
            data = path.read_bytes() if path.exists() else b""
        told = dict(json.loads(data))
        told.pop("host", None)  # earlier versions wrote the machine's name, which is nobody's business
        seal = Seal(**told)
        _SEAL.validate_json(json.dumps(told), strict=True)
    except (ValueError, TypeError, RecursionError):
        # ValueError: not whole JSON, not UTF-8, or a value of another type; TypeError: an object with other fields
        return None
    return seal


def directory_digest(files: Mapping[str, str]) -> str:
    return digest_bytes(json.dumps(dict(files), sort_keys=True).encode())


def digest_files(directory: Path) -> dict[str, str]:
    """Relative name → SHA-256 of every file under `directory`."""
    return {name: digest_file(directory / name) for name in relative_files(directory)}


def damage(path: Path, seal: Seal) -> str | None:
    """Why the bytes at `path` are not those that were sealed, or None. A pruned directory may lack files."""
    if seal.files is None:
        if not path.is_file():
            return f"{path} is missing"
        found = digest_file(path)
        return None if found == seal.digest else f"{path} has SHA-256 {found[:12]}…, its seal says {seal.digest[:12]}…"
    if not path.is_dir():
        return f"{path} is missing"
    found_files = digest_files(path)
    for name in sorted(set(seal.files) | set(found_files)):
        if name not in seal.files:
            return f"{path / name} was added after the seal"
        if name not in found_files and not seal.pruned:
            return f"{path / name} is missing"
        if name in found_files and found_files[name] != seal.files[name]:
            return f"{path / name} has SHA-256 {found_files[name][:12]}…, its seal says {seal.files[name][:12]}…"
    return None


def damaged(path: Path, seal_file: Path, reason: str) -> StoreError:
    return StoreError(
        f"{reason}: torn or edited since it was sealed. To compute it again, delete {path} and {seal_file} "
        "and run the same command"
    )


def first_difference(old: Any, new: Any, field_name: str = "") -> tuple[str, Any, Any] | None:
    """The first field, in sorted order, in which two JSON values differ: its dotted name, old and new value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(set(old) | set(new)):
            dotted = f"{field_name}.{name}" if field_name else name
            if name not in old or name not in new:
                return dotted, old.get(name, "absent"), new.get(name, "absent")
            found = first_difference(old[name], new[name], dotted)
            if found:
                return found
        return None
    return None if old == new else (field_name, old, new)


def shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:60]}…{text[-30:]}"


def refuse_other(seal: Seal, wanted: Stamp, run_name: str) -> StoreError:
    """The error for a sealed artifact that was made from something else than is wanted now."""
    name, old, new = first_difference(seal.made_from, wanted.made_from) or ("fingerprint", seal.fingerprint, "another")
    forked = f"`selfreward fork {run_name}@{wanted.round - 1}`" if wanted.round else "a fork from a later round"
    return StoreError(
        f"run {run_name!r}, round {wanted.round}, {wanted.artifact}: it was made with {name} = {shorten(old)}, now it "
        f"is {shorten(new)}. Go back to the old value, start another run with --name, or use {forked}"
    )
