"""A child that is killed: before a file operation of its own, or after a share of the processor time it takes.

Where the child has processes of its own, a kill by time falls on one of them, drawn, or on all at once. Linux only: it
reads /proc.
"""

import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from selfreward.errors import SelfRewardError

FILE_OPERATIONS = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod"}
TOLD = 3
"""Exit status of a child whose run ended with an error of ours, which a kill of a process of its may bring."""


def parents() -> Iterator[tuple[int, int, float]]:
    """(process, its parent, its processor seconds) of all that live."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] != "Z":
                ticks = int(fields[11]) + int(fields[12])
                yield int(entry.name), int(fields[1]), ticks / os.sysconf("SC_CLK_TCK")


class Meter:
    """The processes of a child, and the processor seconds that it and they have taken so far."""

    def __init__(self, child: int) -> None:
        self.living = [child]
        self._child, self._taken = child, dict[int, float]()

    def seconds(self) -> float:
        every = {pid: (parent, taken) for pid, parent, taken in parents()}
        found = [self._child]
        for pid in found:
            found += [one for one, (parent, _) in every.items() if parent == pid]
        self.living = [pid for pid in found if pid in every]
        self._taken |= {pid: every[pid][1] for pid in self.living}
        return sum(self._taken.values())


def attempt(
    act: Callable[[], object], draw: random.Random, operation: int | None = None, after: float | None = None
) -> tuple[bool, float]:
    """Whether a child that does `act` was killed, and its processor seconds."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if operation is not None:
                sys.addaudithook(_killing(operation))
            act()
            status = 0
        except SelfRewardError as problem:
            print(f"    {type(problem).__name__}: {str(problem)[:160]}", flush=True)
            status = TOLD
        finally:
            if status == 1:
                traceback.print_exc()
            os._exit(status)
    meter, victims, taken = Meter(child), list[int](), 0.0
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        taken = meter.seconds()
        if after is not None and not victims and taken >= after:
            victims = draw.choice([[pid] for pid in meter.living] + [meter.living])
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    status = os.waitpid(child, 0)[1]
    killed = os.WIFSIGNALED(status) or bool(victims)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status) not in ((0, TOLD) if killed else (0,)):
        raise SystemExit("a run that was started again did not go on, or did not say why it ended")
    return killed, taken


def _killing(operation: int) -> Callable[[str, tuple[object, ...]], None]:
    left, own = operation, os.getpid()

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in FILE_OPERATIONS and "results" in str(arguments[0]) and os.getpid() == own:
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    return count


def whole(act: Callable[[], object], note: Path) -> tuple[int, float]:
    """The file operations and the processor seconds of a run that is not killed."""

    def counted() -> None:
        found = Counter[str]()

        def count(event: str, arguments: tuple[object, ...]) -> None:
            found["all"] += event in FILE_OPERATIONS and "results" in str(arguments[0])

        sys.addaudithook(count)
        act()
        note.write_text(str(found["all"]), encoding="utf-8")

    killed, seconds = attempt(counted, random.Random())
    if killed or not note.exists():
        raise SystemExit("the whole run did not come to its end")
    return int(note.read_text(encoding="utf-8")), seconds
