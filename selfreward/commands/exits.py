"""How the command ends: an error of the SelfRewardError tree is one line and its exit code; a signal is such an error.

Anything else is a defect and keeps its traceback. SELFREWARD_DEBUG=1 shows the traceback of every error.
"""

import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer

from selfreward.errors import SelfRewardError, StoppedError
from selfreward.progress.words import visible


class Stopped(BaseException):
    """A signal came. Not an Exception, so that no library's `except Exception` goes on as if nothing had been."""


def run_command(command: Callable[[], object]) -> NoReturn:
    """Call `command` and end the process with its exit code.

    Whoever read its output and closed the pipe (`| head`) has seen enough: that ends it with 0.
    """
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        with _closed_pipe_is_the_end():
            _as_errors(command)
            sys.stdout.flush()
    except SelfRewardError as problem:
        if os.environ.get("SELFREWARD_DEBUG") == "1":
            traceback.print_exc()
        line = visible(" ".join(f"{type(problem).__name__}: {problem}".split()))
        typer.secho(line, fg=typer.colors.RED, err=True)
        sys.exit(problem.exit_code)
    sys.exit(0)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    # The second signal finds the system's own handlers, so that nothing keeps an impatient user waiting.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise Stopped(signal.Signals(number).name)


@contextmanager
def _closed_pipe_is_the_end() -> Iterator[None]:
    """Leave quietly where nobody reads standard output any more; a pipe to anybody else that broke stays an error."""
    try:
        yield
    except (BrokenPipeError, SystemExit) as ended:
        # click turns a broken pipe into an exit with 1.
        broken = ended if isinstance(ended, BrokenPipeError) else ended.__context__
        if not isinstance(broken, BrokenPipeError) or not _nobody_reads():
            raise
        # What is still in the buffer would fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _nobody_reads() -> bool:
    watched = select.poll()
    watched.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in watched.poll(0))


def _as_errors(command: Callable[[], object]) -> None:
    """Call `command`; a signal and a full or read-only disk become errors of the tree."""
    try:
        command()
    except Stopped as stopped:
        raise StoppedError(f"stopped by {stopped}; what was done is kept, and the same command goes on") from stopped
    except OSError as problem:
        from selfreward.store.files import ADVICE, disk_error
        from selfreward.store.temporary import is_about_temporary, no_temporary_directory

        if is_about_temporary(problem):
            raise no_temporary_directory(problem) from problem
        if problem.errno not in ADVICE:
            raise
        raise disk_error(Path.cwd(), problem) from problem
