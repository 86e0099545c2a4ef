"""Artifacts with equal fingerprints are computed once: `results/.store/<fingerprint>/` holds them, runs hard-link them.

An entry appears by one rename, so it is whole; a lock per fingerprint makes a second run wait for the first and then
link. A kill releases the lock. An entry whose bytes no longer are the sealed ones is thrown away and computed again.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from selfreward.errors import StoreError
from selfreward.store.files import fsync_directory, link_or_copy, on_disk, remove
from selfreward.store.seals import FINGERPRINT, Seal, damage, read_seal, seal_path

LOOKS, LOOK_SECONDS = 3, 0.02
"""Whoever looks whether a lock is held (`is_locked`) holds it for an instant: so often it is tried again."""


@dataclass(frozen=True, slots=True)
class GcReport:
    """What `gc` removed from the shared store and what it left because a run links it or is making it."""

    removed: int
    freed_bytes: int
    kept: int
    kept_bytes: int


@contextmanager
def locked(path: Path, *, wait: bool = True, on_wait: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold an exclusive lock on `path` for the block; False where it is held elsewhere and `wait` is off.

    The lock belongs to the open file, so a killed process frees it. `gc` deletes lock files, hence the second look:
    a lock on a file that no longer has its name protects nothing. Raises StoreError where there are no locks at all.
    """
    looks = LOOKS
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                _flock(descriptor, path, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait and looks:
                    looks -= 1
                    time.sleep(LOOK_SECONDS)
                    continue
                if not wait:
                    yield False
                    return
                if on_wait:
                    on_wait()
                _flock(descriptor, path, fcntl.LOCK_EX)
            if _still_named(descriptor, path):
                try:
                    yield True
                finally:
                    # Closing is not enough: a process that was forked in the block has the open file too.
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                return
        finally:
            os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether another process holds the lock on `path`. Nothing is written, and nothing is made."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, PermissionError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _flock(descriptor: int, path: Path, how: int) -> None:
    try:
        fcntl.flock(descriptor, how)
    except OSError as problem:
        if problem.errno not in _NO_LOCKS:
            raise
        raise StoreError(
            f"{path}: this file system has no locks ({problem.strerror}), and without them two processes could work on "
            "one run; choose a results directory on a local disk with --results"
        ) from problem


_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


def _still_named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


class SharedStore:
    """`root` is `results/.store`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def entry(self, fingerprint: str) -> Path:
        return self.root / fingerprint

    def _lock(self, fingerprint: str) -> Path:
        return self.root / f"{fingerprint}.lock"

    @contextmanager
    def claim(self, fingerprint: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Be the only one who looks up, computes or publishes this fingerprint."""
        with on_disk(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        with locked(self._lock(fingerprint), on_wait=on_wait):
            yield

    def find(self, fingerprint: str, artifact_name: str) -> tuple[Path, Seal] | None:
        """The published artifact and its seal, if its bytes still are those that were sealed."""
        entry = self.entry(fingerprint)
        seal = read_seal(seal_path(entry, "artifact"))
        if seal is None or seal.pruned:
            return None
        if damage(entry / artifact_name, seal) is not None:
            with on_disk(entry):
                remove(entry)
            return None
        return entry / artifact_name, seal

    def publish(self, artifact: Path, seal_file: Path, seal: Seal) -> None:
        """Link a sealed artifact into the store; the caller holds the claim."""
        entry = self.entry(seal.fingerprint)
        if entry.exists():
            return
        beside = self.root / f"{seal.fingerprint}.part"
        with on_disk(beside):
            remove(beside)
            beside.mkdir(parents=True)
            link_tree(artifact, beside / artifact.name, seal)
            link_or_copy(seal_file, seal_path(beside, "artifact"))
            fsync_directory(beside)
            beside.rename(entry)
            fsync_directory(self.root)

    def release(self, fingerprint: str) -> None:
        """Drop an entry if no run links it whole any more and nobody is at it."""
        if self.entry(fingerprint).exists():
            self._collect(fingerprint)

    def gc(self) -> GcReport:
        """Remove every entry that no run links whole, with its lock; leave what another process is working on."""
        if not self.root.is_dir():
            return GcReport(0, 0, 0, 0)
        names = {path.name.removesuffix(".lock").removesuffix(".part") for path in self.root.iterdir()}
        fingerprints = {name for name in names if FINGERPRINT.fullmatch(name)}
        removed = freed = kept = kept_bytes = 0
        for fingerprint in sorted(fingerprints):
            was_entry = self.entry(fingerprint).exists()
            gone, size = self._collect(fingerprint)
            removed, freed = removed + (gone and was_entry), freed + (size if gone else 0)
            kept, kept_bytes = kept + (not gone and was_entry), kept_bytes + (0 if gone else size)
        return GcReport(removed, freed, kept, kept_bytes)

    def _collect(self, fingerprint: str) -> tuple[bool, int]:
        """Whether the entry is gone now, and how many bytes that freed, or how many it holds."""
        entry, lock = self.entry(fingerprint), self._lock(fingerprint)
        with on_disk(entry), locked(lock, wait=False) as mine:
            # The seal does not count: a run that lost its weights to retention has written its own.
            own_seal = seal_path(entry, "artifact")
            files = [path for path in entry.rglob("*") if path.is_file() and path != own_seal]
            states = [path.stat() for path in files]
            if not mine or (states and all(state.st_nlink > 1 for state in states)):
                return False, sum(state.st_size for state in states)
            remove(self.root / f"{fingerprint}.part")
            remove(entry)
            lock.unlink(missing_ok=True)
            return True, sum(state.st_size for state in states if state.st_nlink == 1)


def link_tree(source: Path, target: Path, seal: Seal) -> None:
    """Give a sealed file, or every sealed file of a directory that is still there, a second name under `target`."""
    if seal.files is None:
        link_or_copy(source, target)
        return
    target.mkdir(parents=True, exist_ok=True)
    folders = {target}
    for name in seal.files:
        if (source / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            folders.add((target / name).parent)
            link_or_copy(source / name, target / name)
    for folder in folders:
        fsync_directory(folder)
