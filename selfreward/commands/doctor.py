"""Is this machine ready for a run? Each finding says what is there and, where it is not enough, what to do.

Nothing is downloaded, and no model is loaded unless one is named.
"""

import fcntl
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from selfreward.engines.vllm.settings import vllm_version
from selfreward.tasks.verifiers.code.rungs import rung

if TYPE_CHECKING:
    from selfreward.engines.hugging_face.speed import EngineSpeed

LIBRARIES = ("torch", "transformers", "trl", "accelerate", "peft", "datasets", "numpy", "scipy", "scikit-learn")

SUPPORTED_PAIRS = {"2.11": "0.24", "2.13": "0.32"}
"""torch -> the vLLM that pins it."""

GIBI = 2**30
ENOUGH_MEMORY = 2 * GIBI
ENOUGH_DISK = 2 * GIBI


@dataclass(frozen=True, slots=True)
class Finding:
    """`todo` is empty where all is well."""

    what: str
    found: str
    todo: str = ""

    @property
    def ok(self) -> bool:
        return not self.todo


def examine(results: Path, model: Path | None = None) -> Iterator[Finding]:
    """All findings, the quick ones first. `results` is where runs would be written; it is not created."""
    yield _python()
    yield from (_library(name) for name in LIBRARIES)
    yield _vllm(_installed("torch"), vllm_version())
    yield _cores()
    yield _memory()
    place = _nearest_directory(results)
    yield _disk(place)
    yield from _file_system(place)
    yield _confinement()
    if _installed("torch"):
        yield _device()
    if model is not None:
        found = _model(model)
        yield found
        if found.ok:
            yield _engine(model)


def _python() -> Finding:
    return Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _library(name: str) -> Finding:
    found = _installed(name)
    return Finding(name, found) if found else Finding(name, "not installed", f"pip install {name}")


def _vllm(torch: str | None, vllm: str | None) -> Finding:
    """vLLM pins torch exactly, so only a pair can be right. Only engine.kind=vllm needs it."""
    pairs = ", ".join(f"torch {t} with vLLM {v}" for t, v in SUPPORTED_PAIRS.items())
    if torch is None or vllm is None:
        return Finding("vllm", f"not installed (only engine.kind=vllm needs it; pairs that fit: {pairs})")
    wanted = SUPPORTED_PAIRS.get(".".join(torch.split(".")[:2]))
    fits = wanted is not None and vllm.startswith(f"{wanted}.")
    return Finding("vllm", f"{vllm} with torch {torch}", "" if fits else f"use one of: {pairs}")


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0]
    found = f"{cores} cores, load {load:.1f}, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')}"
    busy = (
        "the machine is busy: runs will be slow; threads of one run are set by engine.threads" if load > cores else ""
    )
    return Finding("cores", found, busy)


def _memory() -> Finding:
    page = os.sysconf("SC_PAGE_SIZE")
    total = page * os.sysconf("SC_PHYS_PAGES")
    if "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return Finding("memory", f"{total / GIBI:.1f} GiB")
    # Pages of the file cache count as used here, so this understates what a run can have.
    free = page * os.sysconf("SC_AVPHYS_PAGES")
    todo = "" if total >= ENOUGH_MEMORY else f"the sandbox needs {ENOUGH_MEMORY // GIBI} GiB"
    return Finding("memory", f"{total / GIBI:.1f} GiB, {free / GIBI:.1f} GiB of it unused", todo)


def _nearest_directory(path: Path) -> Path:
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.is_dir())


def _disk(place: Path) -> Finding:
    free = shutil.disk_usage(place).free
    todo = "" if free >= ENOUGH_DISK else f"free {ENOUGH_DISK // GIBI} GiB, or choose another place with --results"
    return Finding("disk", f"{free / GIBI:.1f} GiB free in {place}", todo)


def _file_system(place: Path) -> Iterator[Finding]:
    """What the store asks of a file system: to be written, hard links (sharing), flock (one process a run)."""
    try:
        scratch = tempfile.TemporaryDirectory(dir=place, prefix=".doctor-")
    except OSError as problem:
        yield Finding("writable", f"{place}: {problem.strerror}", "choose another place with --results")
        return
    with scratch as name:
        yield Finding("writable", str(place))
        one = Path(name, "one")
        one.touch()
        try:
            Path(name, "two").hardlink_to(one)
            yield Finding("hard links", "work")
        except OSError as problem:
            todo = "equal artifacts of several runs cannot share disk space here; a local disk can"
            yield Finding("hard links", f"{problem.strerror}", todo)
        try:
            with one.open() as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Finding("file locks", "work")
        except OSError as problem:
            todo = "two processes on one run cannot be told apart here; use a local disk"
            yield Finding("file locks", f"{problem.strerror}", todo)


def _confinement() -> Finding:
    """What shuts programs in that a model wrote. Only measure.verifier=code needs it."""
    found = rung("full")
    if not found.problem:
        return Finding("confinement", f"{found.name}, for measure.verifier=code")
    return Finding("confinement", f"none, so measure.verifier=code is refused: {found.problem}")


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        todo = "another process holds most of its memory" if free < total / 2 else ""
        return Finding("device", f"{name}, {free / GIBI:.1f} of {total / GIBI:.1f} GiB free", todo)
    if torch.backends.mps.is_available():
        return Finding("device", "mps (Apple)")
    return Finding("device", "cpu (enough for the sandbox; models of 0.5 B and more want a GPU)")


def _model(path: Path) -> Finding:
    """Loads the model once, on the CPU, as a run would."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(path, local_files_only=True, dtype="auto")
    except (OSError, ValueError, KeyError) as problem:
        return Finding("model", f"{path}: {str(problem).splitlines()[0]}", "name a Hugging Face model directory")
    found = f"{path}: {model.num_parameters():,} parameters, {model.dtype}"
    if tokenizer.chat_template is None:
        return Finding("model", found, "its tokenizer has no chat template; the roles are chat turns and need one")
    return Finding("model", f"{found}, with a chat template")


def _engine(path: Path) -> Finding:
    """What `engine.threads` and `model.dtype` are best for this model, if it is to run on this machine's CPU."""
    from selfreward.engines.hugging_face.speed import choose, measure_engine

    speeds = measure_engine(path)
    best = choose(speeds)
    plain = next(one for one in speeds if (one.threads, one.dtype) == (1, "float32"))
    found = f"on the CPU: engine.threads={best.threads} model.dtype={best.dtype}, {_speed(best)}"
    return Finding("engine", found if best == plain else f"{found}; with 1 and float32 {_speed(plain)}")


def _speed(one: "EngineSpeed") -> str:
    return f"{one.read:,.0f} tokens/s read and {one.sampled:,.0f} sampled ({one.rows} replies at once)"
