"""A verifier in its own process: one that raises, hangs or dies leaves the answer open with a reason, and no more.

Parsers of mathematics and regular expressions of a schema can run for ever on a model's output, and nothing inside the
process can stop them. So `check` runs in a worker process; after `seconds` without a word, or when it has died, the
worker is ended and the next check gets a new one. The worker starts with the first check, and ends with this process.
One that does not start is an EngineError.
"""

import importlib
import multiprocessing
import time
import weakref
from collections.abc import Callable
from multiprocessing.pool import Pool
from multiprocessing.process import BaseProcess
from typing import Any

from selfreward.errors import DataError, EngineError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.truths import left_open, named, quality_of_judgment

SECONDS = 5.0
START_SECONDS = 60.0
"""The first check also waits for the worker to start and import what it needs."""
LOOK_SECONDS = 0.05
"""How often a worker that has not answered is looked at. A pool replaces the dead without a word."""


class ConfinedVerifier:
    """The verifier that `address` ("module:attribute", called without arguments) makes, in a process of its own."""

    def __init__(self, address: str, seconds: float = SECONDS) -> None:
        self._address, self._seconds = address, seconds
        self._worker: Pool | None = None
        self._process: BaseProcess | None = None

    def require(self, prompt: Prompt) -> None:
        """Confined, too: a gold answer can hang a parser as well as any other."""
        answer = self._ask(_require, prompt)
        if isinstance(answer, str):
            raise DataError(f"{named(prompt)}: {answer}")
        (problem,) = answer
        if problem:
            raise DataError(problem)

    def check(self, prompt: Prompt, text: str) -> Truth:
        answer = self._ask(_check, prompt, text)
        return answer if isinstance(answer, Truth) else left_open(str(answer))

    def _ask(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """What the worker answers, or a reason in words."""
        if self._worker is None:
            before = set(multiprocessing.active_children())
            self._worker = multiprocessing.get_context("spawn").Pool(1)
            self._process = next(iter(set(multiprocessing.active_children()) - before), None)
            weakref.finalize(self, self._worker.terminate)
            started = self._wait(self._worker, _start, (self._address,), START_SECONDS)
            if isinstance(started, str):
                # No answer's fault: stored as open, every answer of the run would count as wrong.
                self.close()
                raise EngineError(
                    f"the process that verifies ({self._address}) did not start: {started}. In a program of your own "
                    "the call belongs below `if __name__ == '__main__':` in a file, not on standard input"
                )
        return self._wait(self._worker, work, (self._address, *arguments), self._seconds)

    def _wait(self, worker: Pool, work: Callable[..., Any], arguments: tuple[Any, ...], seconds: float) -> Any:
        replies: list[Any] = []
        pending = worker.apply_async(
            work,
            arguments,
            callback=replies.append,
            # The callback hands the worker's exception over as a value: whatever it is, it becomes a reason.
            error_callback=lambda problem: replies.append(f"verifier raised {type(problem).__name__}: {problem}"),
        )
        until = time.monotonic() + seconds
        while not pending.ready() and time.monotonic() < until and self._alive():
            pending.wait(LOOK_SECONDS)
        if not pending.ready():
            reason = f"gave no answer in {seconds:g} s" if self._alive() else "died"
            self.close()
            return f"verifier {reason}"
        return replies[0]

    def _alive(self) -> bool:
        """Whether the worker that was begun is still there; a process that nobody saw begin counts as alive."""
        return self._process is None or self._process.exitcode is None

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)

    def close(self) -> None:
        """End the worker. The next check starts another."""
        if self._worker is not None:
            self._worker.terminate()
            self._worker.join()
            self._worker = self._process = None


_made: dict[str, Any] = {}


def _start(address: str) -> bool:
    module, attribute = address.split(":")
    _made[address] = getattr(importlib.import_module(module), attribute)()
    return True


def _require(address: str, prompt: Prompt) -> tuple[str]:
    try:
        _made[address].require(prompt)
    except DataError as problem:
        return (str(problem),)
    return ("",)


def _check(address: str, prompt: Prompt, text: str) -> Any:
    return _made[address].check(prompt, text)
