"""One piece of work as it goes on: how much is done, how fast, and how long the rest takes."""

import threading
from collections.abc import Callable
from typing import Self

from selfreward.progress.words import duration, speed


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

    def within(self, begin: int, end: int, tokens: int, share: float) -> None:
        """What an engine says inside the chunk of the units from `begin` to `end`; the last is done when all are."""
        self.count(tokens, min(begin + int(share * (end - begin)), end - 1))

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
            parts.append(f"{speed(self.rate)}/s")
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
        speeds = [f"{speed(self.rate)}/s"] if fresh else []
        speeds += [self._token_speed()] if self.tokens else []
        return f"{parts} ({', '.join(speeds)})" if speeds else parts

    @property
    def share(self) -> float:
        """How much of what this process has to do of the stage is done, from 0 to 1."""
        owed = (self.total or 0) - self._before
        return min(1.0, (self.done - self._before) / owed) if owed > 0 else 0.0

    @property
    def owed(self) -> float:
        """How much of the whole stage this process has to do, from 0 to 1."""
        return (self.total - self._before) / self.total if self.total else 1.0

    def _token_speed(self) -> str:
        return f"{speed(self.tokens / max(self.seconds, 1e-9))} tokens/s"
