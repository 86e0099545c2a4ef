"""A directory artifact (a checkpoint): built beside, named by one rename, sealed last, never written again.

    checkpoint.part/          what is being built, fresh at each attempt
    checkpoint.scratch/       what the builder needs to go on after a kill
    checkpoint.begun.json     for which fingerprint the scratch directory is
    checkpoint.sealing.json   the seal, written before the rename and named after it

A kill between the two renames leaves a whole directory with a waiting seal: the next attempt checks and seals it.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from selfreward.errors import StoreError
from selfreward.store.files import ADVICE, disk_error, fsync_directory, make_durable, on_disk, remove, write_durably
from selfreward.store.seals import Seal, Stamp, damage, digest_files, directory_digest, read_seal, seal_path, write_seal

Build = Callable[[Path, Path], Mapping[str, Any]]
"""`build(out, scratch)` fills a fresh `out` and returns facts for the seal."""


def build_directory(path: Path, wanted: Stamp, build: Build) -> Seal:
    """Build, seal and name the directory `path`, going on from the scratch directory of a killed attempt."""
    scratch = path.with_name(f"{path.name}.scratch")
    begun = path.with_name(f"{path.name}.begun.json")
    with on_disk(scratch):
        _prepare_scratch(scratch, begun, wanted)
    started = time.perf_counter()
    facts: dict[str, Any] = {}

    def fill(out: Path) -> None:
        try:
            facts.update(build(out, scratch))
        except OSError as problem:
            if problem.errno in ADVICE:
                raise disk_error(out, problem) from problem
            raise

    def describe(out: Path) -> Seal:
        files = digest_files(out)
        return Seal(
            round=wanted.round,
            artifact=wanted.artifact,
            fingerprint=wanted.fingerprint,
            made_from=wanted.made_from,
            digest=directory_digest(files),
            rows=len(files),
            bytes=sum((out / name).stat().st_size for name in files),
            seconds=round(time.perf_counter() - started, 3),
            tokens=int(facts.get("tokens", 0)),
            facts=json.loads(json.dumps(facts)),
            files=files,
        )

    seal = land_directory(path, wanted, fill, describe)
    with on_disk(scratch):
        remove(begun)
        remove(scratch)
    return seal


def land_directory(path: Path, wanted: Stamp, fill: Callable[[Path], None], describe: Callable[[Path], Seal]) -> Seal:
    """Fill a fresh directory, give it its name and then its seal; or only the seal, if a kill came between."""
    waiting = path.with_name(f"{path.name}.sealing.json")
    final = seal_path(path.parent, wanted.artifact)
    if path.exists():
        seal = read_seal(waiting)
        if seal is None:
            raise StoreError(
                f"{path}: exists without a whole seal, and a checkpoint is never overwritten. Move it away or "
                "delete it, then run the same command"
            )
        if seal.fingerprint == wanted.fingerprint and damage(path, seal) is None:
            with on_disk(path):
                _name_seal(waiting, final)
            return seal
        # Never sealed, so never handed to anyone: it was made for another fingerprint, or torn by a power cut.
        with on_disk(path):
            remove(path)
    out = path.with_name(f"{path.name}.part")
    with on_disk(out):
        remove(waiting)
        remove(out)
        out.mkdir()
    fill(out)
    with on_disk(out):
        make_durable(out)
        seal = describe(out)
        write_seal(waiting, seal)
        out.rename(path)
        fsync_directory(path.parent)
        _name_seal(waiting, final)
    return seal


def _name_seal(waiting: Path, final: Path) -> None:
    waiting.replace(final)
    fsync_directory(final.parent)


def _prepare_scratch(scratch: Path, begun: Path, wanted: Stamp) -> None:
    """Keep the scratch directory of the same fingerprint; empty any other."""
    try:
        known = json.loads(begun.read_bytes())
    except (FileNotFoundError, ValueError):
        known = None
    if known != {"fingerprint": wanted.fingerprint}:
        remove(scratch)
        write_durably(begun, json.dumps({"fingerprint": wanted.fingerprint}).encode())
    scratch.mkdir(exist_ok=True)
