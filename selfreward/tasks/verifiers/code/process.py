"""A confined process and the pipe to it: lines of JSON, each awaited no longer than to its deadline.

Nothing that comes back is trusted: a reply is one line of bounded length, an object of JSON, and else the process is
as good as gone. Writing has a deadline too, since a program need not read.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_SECONDS = 60.0
"""Until a process says that it is ready; a busy machine is slow, and that is no program's fault."""

LONGEST = 1_000_000
"""Bytes of one reply."""

ENVIRONMENT = {"PYTHONHASHSEED": "0", "LANG": "C.UTF-8"}


class NotStartedError(Exception):
    """The confinement did not come up: nothing of a program has run. The message says why."""


@dataclass
class Channel:
    """`gone` says in words why nothing more can come of it."""

    process: "subprocess.Popen[bytes]"
    gone: str = ""
    _read: bytearray = field(default_factory=bytearray)

    def ask(self, request: dict[str, Any], end: float) -> dict[str, Any] | None:
        """The reply, or None once the process is gone."""
        self._send(json.dumps(request).encode() + b"\n", end)
        return self.receive(end)

    def receive(self, end: float) -> dict[str, Any] | None:
        assert self.process.stdout is not None
        while not self.gone and b"\n" not in self._read:
            if len(self._read) > LONGEST:
                self._leave(f"a reply of more than {LONGEST} bytes")
            elif not _ready([self.process.stdout], [], end):
                self._leave("no answer in time")
            elif some := os.read(self.process.stdout.fileno(), 1 << 16):
                self._read += some
            else:
                self._leave("the process ended")
        if self.gone:
            return None
        line, _, rest = bytes(self._read).partition(b"\n")
        if rest:
            self._leave("a reply to what was not asked")
        self._read.clear()
        return self._object(line)

    def _object(self, line: bytes) -> dict[str, Any] | None:
        try:
            found = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self._leave("a reply that is no object of JSON")
            return None
        return found

    def _send(self, line: bytes, end: float) -> None:
        assert self.process.stdin is not None
        while line and not self.gone:
            if not _ready([], [self.process.stdin], end):
                self._leave("no request was read in time")
                return
            try:
                line = line[os.write(self.process.stdin.fileno(), line) :]
            except (BrokenPipeError, BlockingIOError) as problem:
                if isinstance(problem, BrokenPipeError):
                    self._leave("the process ended")

    def _leave(self, why: str) -> None:
        self.gone = self.gone or why


def _ready(reading: Sequence[Any], writing: Sequence[Any], end: float) -> bool:
    # poll and not select: a run may have more files open than select can name.
    poll = select.poll()
    for stream in reading:
        poll.register(stream, select.POLLIN)
    for stream in writing:
        poll.register(stream, select.POLLOUT)
    return bool(poll.poll(max(0.0, end - time.monotonic()) * 1000))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


@contextmanager
def confined(command: Callable[[int], Sequence[str]]) -> Iterator[Channel]:
    """A process that is ready for its program; ended with all that it began. Raises NotStartedError.

    `command` is given the descriptor of what leads nowhere: inside there is no /dev/null to open.
    """
    with tempfile.TemporaryFile() as said, Path(os.devnull).open("r+b", buffering=0) as nowhere:
        try:
            process = subprocess.Popen(
                command(nowhere.fileno()),
                pass_fds=[nowhere.fileno()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                cwd="/",
                env=ENVIRONMENT,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as problem:
            raise NotStartedError(f"{problem.filename}: {problem.strerror}") from problem
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        channel = Channel(process)
        try:
            if channel.receive(time.monotonic() + START_SECONDS) != {"ready": True}:
                said.seek(0)
                words = said.read(2000).decode(errors="replace").strip().splitlines()
                raise NotStartedError(words[-1] if words else channel.gone)
            yield channel
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()
    process.wait()
