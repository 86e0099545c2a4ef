"""Files that survive a crash: written beside, fsynced, renamed; and disk errors as sentences.

A file that carries its final name is whole. Names ending in `.part` or `.tmp` are work in progress.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selfreward.errors import StoreError

# What a user can do about it. Other errno values are reported with the system's own words.
ADVICE = {
    errno.ENOSPC: "no space left on the device; free some (`selfreward gc` removes what no run uses)",
    errno.EDQUOT: "the disk quota is used up; free some (`selfreward gc` removes what no run uses)",
    errno.EFBIG: "the file would be larger than this process or file system allows; raise the limit or free space",
    errno.EROFS: "the file system is mounted read-only; choose a writable results directory",
    errno.EACCES: "permission denied; make the directory writable or choose another results directory",
    errno.EPERM: "not permitted; make the directory writable or choose another results directory",
    errno.ENOTDIR: "a part of the path is a file, not a directory; move that file or choose another results directory",
}
# Where a file system or a border between two of them does not allow hard links, a copy serves as well.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}


def disk_error(path: Path, problem: OSError) -> StoreError:
    """`problem` as a StoreError that names the path and what to do."""
    reason = ADVICE.get(problem.errno or 0, problem.strerror or str(problem))
    where = problem.filename or path
    return StoreError(
        f"{where}: cannot be written or read: {reason}. What was sealed is kept; the same command goes on"
    )


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a StoreError about `path`."""
    try:
        yield
    except OSError as problem:
        raise disk_error(path, problem) from problem


def digest_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fsync_directory(path: Path) -> None:
    """Make the names in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace `path` by `data`, whole or not at all; never in place, because other runs may share the old file."""
    beside = path.with_name(path.name + ".tmp")
    beside.unlink(missing_ok=True)
    with beside.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())
    beside.replace(path)
    fsync_directory(path.parent)


def link_or_copy(source: Path, target: Path) -> None:
    """Give `source` a second name; a copy where links are impossible. `target` is replaced if it exists."""
    beside = target.with_name(target.name + ".tmp")
    beside.unlink(missing_ok=True)
    try:
        os.link(source, beside)
    except OSError as problem:
        if problem.errno not in _NO_LINK:
            raise
        shutil.copy2(source, beside)
        fsync_file(beside)
    beside.replace(target)
    # rename(2) leaves the old name in place when both names already are the same file
    beside.unlink(missing_ok=True)


def relative_files(directory: Path) -> list[str]:
    """Every regular file under `directory` as a sorted posix path relative to it."""
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def make_durable(directory: Path) -> None:
    """fsync every file and directory under `directory`; sealed files are read-only, since runs may share them."""
    for path in [directory, *directory.rglob("*")]:
        if path.is_dir():
            fsync_directory(path)
        else:
            fsync_file(path)
            path.chmod(0o444)


def remove(path: Path) -> None:
    """Delete a file or a whole directory; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
