"""What a person sees while something takes longer than a few seconds: rate and time left, on stderr.

In a terminal each stage is a bar; elsewhere (a log file, a CI job) it is one line at its start, one after ten seconds,
one about every thirty seconds from then on and, unless it was over at once, one at its end. Stages may nest. `advance`
and `count` read a clock and add a number, so they may be called once a row. A stage that calls neither, because one
forward pass takes a minute, is still shown: a thread looks at it once a second.
"""

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Self, TextIO

LINE_SECONDS = 10.0
"""To a stage's first line."""

LATER_LINE_SECONDS = 30.0
TICK_SECONDS = 1.0
BAR_SECONDS = 0.1
WORTH_A_SUMMARY = 1.0


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """`text` with every control character written out, so that none reaches the terminal.

    What a model, a file or a server said may hold an escape sequence that moves the cursor, renames the window or asks
    the terminal to type, a carriage return that overwrites the line, or a mark that turns the direction of writing.
    Line ends and tabs stay.
    """
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape", "surrogatepass").decode(), text)


def duration(seconds: float) -> str:
    """4.2 s, 3 min 05 s, 2 h 07 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _speed(rate: float) -> str:
    return f"{rate:.3g}" if rate < 100 else f"{rate:,.0f}"


class Stage:
    """One piece of work. `done` counts what was there before this process began, so it does not flatter the rate."""

    def __init__(self, name: str, total: int | None, done: int, clock: Callable[[], float]) -> None:
        self.name, self.total, self.done, self.note, self.tokens = name, total, done, "", 0
        self.run_left: Callable[[Stage], float | None] = lambda stage: None
        self.watcher: Callable[[Stage], None] = lambda stage: None
        """Called once a second, in whatever style the stage is shown."""
        self._before, self._clock, self._started = done, clock, clock()
        self._due = self._started
        self._show: Callable[[Stage], None] | None = None
        self._interval = 0.0
        self._showing = threading.Lock()

    def shown_by(self, show: "Callable[[Stage], None] | None", first: float, interval: float) -> Self:
        """Call `show` after `first` seconds and at most once every `interval` seconds from then on."""
        self._show, self._interval = show, interval
        self._due = self._started + first
        return self

    def advance(self, n: int = 1, note: str = "") -> None:
        """`n` more units are done; `note` (a loss, a count) is shown beside them until the next one."""
        self.done += n
        if note:
            self.note = note
        self.tick()

    def count(self, tokens: int, done: int) -> None:
        """`tokens` more were sampled or read, and `done` units are finished by now, fewer than known or not."""
        self.tokens += tokens
        self.done = max(self.done, done)
        self.tick()

    def tick(self) -> None:
        """Show the stage if it is time. Safe to call from another thread."""
        if self._show is None or self._clock() < self._due or not self._showing.acquire(blocking=False):
            return
        try:
            self._due = self._clock() + self._interval
            self._show(self)
        finally:
            self._showing.release()

    def hide(self) -> None:
        """Not shown again; a line that is being written is waited for."""
        with self._showing:
            self._show = None

    def reach(self, done: int, total: int, loss: float) -> None:
        """Training is at step `done` of `total`. The first call of a resumed training says where it goes on."""
        if self.total is None:
            self.total, self.done = total, done - 1
            self._before = self.done
        self.advance(done - self.done, f"loss {loss:.3g}")

    @property
    def seconds(self) -> float:
        return self._clock() - self._started

    @property
    def rate(self) -> float:
        """Units a second since this stage began here; 0 before the first unit."""
        return (self.done - self._before) / max(self.seconds, 1e-9)

    @property
    def left(self) -> float | None:
        """Estimated seconds to the end, or None while nothing can be said."""
        if self.total is None or self.rate <= 0:
            return None
        return max(self.total - self.done, 0) / self.rate

    def describe(self) -> str:
        """120/600 (20%), 35.2/s, 31,200 tokens, 412 tokens/s, 13.6 s left, about 12 min 05 s of the run, loss 0.61"""
        parts = [f"{self.done}/{self.total} ({self.done / self.total:.0%})" if self.total else str(self.done)]
        if self.rate > 0:
            parts.append(f"{_speed(self.rate)}/s")
        if self.tokens:
            parts.append(f"{self.tokens:,} tokens, {self._token_speed()}")
        if self.left:
            parts.append(f"{duration(self.left)} left")
        elif self.rate <= 0:
            parts.append(f"{duration(self.seconds)} so far")
        if left_of_run := self.run_left(self):
            parts.append(f"about {duration(left_of_run)} of the run")
        return ", ".join([*parts, self.note] if self.note else parts)

    def summary(self) -> str:
        """600 in 17.0 s (35.3/s)"""
        parts = f"{self.done} in {duration(self.seconds)}"
        fresh = self.done - self._before
        if self._before:
            parts += f", {self._before} of them from before"
        speeds = [f"{_speed(self.rate)}/s"] if fresh else []
        speeds += [self._token_speed()] if self.tokens else []
        return f"{parts} ({', '.join(speeds)})" if speeds else parts

    @property
    def share(self) -> float:
        """How much of what this process has to do of the stage is done, from 0 to 1."""
        owed = (self.total or 0) - self._before
        return min(1.0, (self.done - self._before) / owed) if owed > 0 else 0.0

    def _token_speed(self) -> str:
        return f"{_speed(self.tokens / max(self.seconds, 1e-9))} tokens/s"


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
        except BaseException:
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
