"""The checksums of a weights file are computed once in a process, and again when it changed.

A hand-off asks for them several times: who writes the checkpoint, the engine that loads it, the proof that it did. A
processor hashes about a gigabyte a second, so for a model of 8 B parameters each of them is half a minute.

A file is unchanged while device, inode, size and the times of its last writing and of its last change of status are
what they were; the kernel sets the last one, and no program can set it back. Such times have a grain of some
milliseconds, in which a second change would not show. So what is remembered was read later than that: a large file
that was written just now is waited for, a small one is hashed again.
"""

import time
from collections.abc import Callable
from pathlib import Path

GRAIN = 0.05
"""Seconds: longer than between two ticks of a kernel's clock."""

LARGE = 64 * 2**20
KEPT = 64
"""Files that are remembered."""

Identity = tuple[int, int, int, int, int]
_known: dict[Identity, dict[str, str]] = {}


def hashed_once(file: Path, hashes: Callable[[Path], dict[str, str]]) -> dict[str, str]:
    """What `hashes` says of `file`; what it said before, while the file is unchanged."""
    before = _identity(file)
    if before in _known:
        return _known[before]
    fresh = time.time_ns() - before[-1] < GRAIN * 1e9
    if fresh and before[2] >= LARGE:
        time.sleep(GRAIN)
        fresh = False
    found = hashes(file)
    if not fresh and _identity(file) == before:
        while len(_known) >= KEPT:
            _known.pop(next(iter(_known)))
        _known[before] = found
    return found


def _identity(file: Path) -> Identity:
    seen = file.stat()
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
