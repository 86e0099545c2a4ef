"""What a person sees while something takes longer than a few seconds: rate and time left, on stderr.

In a terminal each stage is a bar; elsewhere (a log file, a CI job) it is one line at its start, one after ten seconds,
one about every thirty seconds from then on and, unless it was over at once, one at its end. Stages may nest. `advance`
and `count` read a clock and add a number, so they may be called once a row. A stage that calls neither, because one
forward pass takes a minute, is still shown: a thread looks at it once a second.

Bars are rich's. Lines are printed, not logged: a level and a logger's name would tell a reader nothing, and a test or a
script hands in another `Progress` where it wants them elsewhere.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TextIO

from selfreward.progress.stage import Stage
from selfreward.progress.words import visible

LINE_SECONDS = 10.0
"""To a stage's first line."""

LATER_LINE_SECONDS = 30.0
TICK_SECONDS = 1.0
BAR_SECONDS = 0.1
WORTH_A_SUMMARY = 1.0


class Progress:
    """Where stages are shown. `style`: auto looks whether `stream` is a terminal; silent shows nothing."""

    def __init__(
        self,
        stream: TextIO | None = None,
        style: Literal["auto", "bars", "lines", "silent"] = "auto",
        prefix: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._style = ("bars" if self._stream.isatty() else "lines") if style == "auto" else style
        self._prefix, self._clock = prefix, clock
        self._bars: Any = None
        self._depth = 0

    def say(self, text: str) -> None:
        """One line for the person; bars stay below it. Nobody reads any more (`2>&1 | head`): work goes on unseen."""
        if self._style == "silent":
            return
        line = visible(f"{self._prefix}{text}")
        if self._bars is not None:
            self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
            return
        try:
            print(line, file=self._stream, flush=True)
        except BrokenPipeError:
            self._style = "silent"

    @contextmanager
    def stage(self, name: str, total: int | None = None, done: int = 0) -> Iterator[Stage]:
        """Work on `total` units, `done` of which are already there. Leaving by an exception says where it stopped."""
        stage = Stage(name, total, done, self._clock)
        try:
            with self._bar(stage) if self._style == "bars" else self._lines(stage), self._watched(stage):
                yield stage
        except BaseException:  # Ctrl-C too: where it stopped is said, and it goes on its way
            self._tell(name, f"stopped at {stage.describe()}")
            raise
        if stage.seconds >= WORTH_A_SUMMARY:
            self._tell(name, stage.summary())

    @contextmanager
    def _watched(self, stage: Stage) -> Iterator[None]:
        """Look at the stage once a second, whatever it is doing."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(TICK_SECONDS):
                stage.tick()
                stage.watcher(stage)

        threading.Thread(target=watch, name=f"progress of {stage.name}", daemon=True).start()
        try:
            yield
        finally:
            over.set()
            stage.hide()

    def _tell(self, name: str, text: str) -> None:
        self.say(f"{'  ' * self._depth}{name}: {text}")

    @contextmanager
    def _lines(self, stage: Stage) -> Iterator[None]:
        """One line now and then at intervals; stages inside are indented."""
        depth = self._depth
        self._tell(stage.name, f"{stage.total - stage.done} to do" if stage.total is not None else "started")
        if self._style == "lines":
            show = lambda s: self.say(f"{'  ' * depth}{s.name}: {s.describe()}")  # noqa: E731
            stage.shown_by(show, LINE_SECONDS, LATER_LINE_SECONDS)
        self._depth += 1
        try:
            yield
        finally:
            self._depth = depth

    @contextmanager
    def _bar(self, stage: Stage) -> Iterator[None]:
        """A bar for `stage` below those of the stages around it; the outermost one owns the display."""
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        outermost = self._bars is None
        if outermost:
            name, words = (
                TextColumn("{task.description}", markup=False),
                TextColumn("{task.fields[words]}", markup=False),
            )
            self._bars = Bars(name, BarColumn(), words, console=Console(file=self._stream), transient=True)
            self._bars.start()
        bars = self._bars
        task = bars.add_task(f"{self._prefix}{stage.name}", total=stage.total, completed=stage.done, words="")
        show = lambda s: bars.update(task, total=s.total, completed=s.done, words=s.describe())  # noqa: E731
        stage.shown_by(show, BAR_SECONDS, BAR_SECONDS)
        try:
            yield
        finally:
            bars.remove_task(task)
            if outermost:
                bars.stop()
                self._bars = None
