"""A verifier in its own process: one that raises, hangs or dies leaves the answer open with a reason, and no more.

Parsers of mathematics and regular expressions of a schema can run for ever on a model's output, and nothing inside the
process can stop them. So `check` runs in a worker process; after `seconds` without a word the worker is ended and
the next check gets a new one. The worker starts with the first check.
"""

import importlib
import multiprocessing
from collections.abc import Callable
from functools import cached_property
from multiprocessing.pool import Pool
from typing import Any

from selfreward.metrics.evidence import Truth
from selfreward.records import Prompt
from selfreward.verifiers.truths import left_open, quality_of_judgment

SECONDS = 5.0
START_SECONDS = 60.0
"""The first check also waits for the worker to start and import what it needs."""


class ConfinedVerifier:
    """The verifier that `address` ("module:attribute", called without arguments) makes, in a process of its own."""

    def __init__(self, address: str, seconds: float = SECONDS) -> None:
        self._address, self._seconds = address, seconds
        self._worker: Pool | None = None

    @cached_property
    def _inner(self) -> Any:
        return _make(self._address)

    def require(self, prompt: Prompt) -> None:
        self._inner.require(prompt)

    def check(self, prompt: Prompt, text: str) -> Truth:
        if self._worker is None:
            self._worker = multiprocessing.get_context("spawn").Pool(1)
            self._ask(_start, (self._address,), START_SECONDS)
        answer = self._ask(_check, (self._address, prompt, text), self._seconds)
        return answer if isinstance(answer, Truth) else left_open(str(answer))

    def _ask(self, work: Callable[..., Any], arguments: tuple[Any, ...], seconds: float) -> Any:
        """What the worker answers, or a reason in words."""
        if self._worker is None:
            return "no worker"
        replies: list[Any] = []
        pending = self._worker.apply_async(
            work,
            arguments,
            callback=replies.append,
            # The callback hands the worker's exception over as a value: whatever it is, it becomes a reason.
            error_callback=lambda problem: replies.append(f"verifier raised {type(problem).__name__}: {problem}"),
        )
        pending.wait(seconds)
        if not pending.ready():
            self.close()
            return f"verifier gave no answer in {seconds:g} s"
        return replies[0]

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)

    def close(self) -> None:
        """End the worker. The next check starts another."""
        if self._worker is not None:
            self._worker.terminate()
            self._worker.join()
            self._worker = None


_made: dict[str, Any] = {}


def _make(address: str) -> Any:
    module, attribute = address.split(":")
    return getattr(importlib.import_module(module), attribute)()


def _start(address: str) -> str:
    _made[address] = _make(address)
    return "started"


def _check(address: str, prompt: Prompt, text: str) -> Any:
    return _made[address].check(prompt, text)
