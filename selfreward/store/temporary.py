"""A temporary directory, without which torch's and datasets' imports fail: asked for before them, said in a sentence.

`tempfile` writes a few bytes to try each place ($TMPDIR, /tmp, the working directory, …). Where all of them are full
or read-only it raises a FileNotFoundError without a file, and whoever imported dill would see a traceback.
"""

import errno
import tempfile

from selfreward.errors import StoreError


def need_temporary_directory() -> None:
    """Raise a StoreError where no temporary directory can be written."""
    try:
        tempfile.gettempdir()
    except OSError as problem:
        raise no_temporary_directory(problem) from problem


def is_about_temporary(problem: OSError) -> bool:
    """Whether `problem` is what `tempfile` raises where it finds no place; every other missing file has a name."""
    return problem.errno == errno.ENOENT and problem.filename is None and "temporary directory" in str(problem)


def no_temporary_directory(problem: OSError) -> StoreError:
    """`problem` as a StoreError with the places that were tried and what to do."""
    return StoreError(
        f"no temporary file can be written: {problem.strerror or problem}; free space there, or set TMPDIR to a "
        "directory that can be written. What was sealed is kept; the same command goes on"
    )
