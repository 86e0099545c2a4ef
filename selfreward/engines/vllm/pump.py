"""One vLLM, asked by several threads: whoever has nothing to read moves it on, for all of them.

vLLM's `LLM` belongs to one thread at a time. The thread that leads hands in what all threads want to ask, makes a step,
and lays each answer where the one who asked will look. When it has all of its own, another one takes over. So the next
chunk is in vLLM while the last replies to this one are written, and no step is made for the sake of one thread alone.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, NamedTuple

from selfreward.errors import EngineError

Place = tuple[int, int]
LOOK = 0.005
"""Seconds after which a thread that waits looks whether somebody still leads."""


class Question(NamedTuple):
    """A request to vLLM; `place` tells the caller which one was answered."""

    place: Place
    prompt: tuple[int, ...]
    sampling: Any


@dataclass(eq=False)
class _Call:
    """One thread's questions: how many have no answer yet, and the answers that it has not read."""

    open: int = 0
    arrived: "SimpleQueue[tuple[Place, Any]]" = field(default_factory=SimpleQueue)


class Pump:
    """Around an `LLM`, or anything with its `enqueue` and `llm_engine`."""

    def __init__(self, llm: Any) -> None:
        self._llm = llm
        self._leading = Lock()
        self._wanted: SimpleQueue[tuple[_Call, Sequence[Question]]] = SimpleQueue()
        self._asked: dict[str, tuple[_Call, Place]] = {}
        self._counting, self._calls = Lock(), 0
        self._ended: BaseException | None = None
        self._broken = self._hung_up = False

    def ask_on(self, questions: Sequence[Question], answered: Callable[[Place, Any], Sequence[Question]]) -> None:
        """Each RequestOutput goes to `answered` once it is whole, in this thread; it names what to ask next.

        The order of completion is vLLM's. Raises what vLLM raises, and EngineError after `hang_up`.
        """
        call = _Call()
        with self._counting:
            if not self._calls and not self._hung_up:
                self._ended = None
            self._calls += 1
        try:
            self._want(call, questions)
            while call.open:
                if self._ended is not None:
                    raise self._ended
                found = self._next(call)
                if found is not None:
                    call.open -= 1
                    self._want(call, answered(*found))
        finally:
            if call.open and not self._broken:
                self._abort(call)
            with self._counting:
                self._calls -= 1

    def hang_up(self) -> None:
        """End every call that is going on or begun later, with an error, until `pick_up`."""
        self._hung_up = True
        self._ended = EngineError("vLLM's replies are not waited for any more; nothing of them is kept")

    def pick_up(self) -> None:
        self._hung_up = False

    def _want(self, call: _Call, questions: Sequence[Question]) -> None:
        if questions:
            call.open += len(questions)
            self._wanted.put((call, questions))

    def _next(self, call: _Call) -> tuple[Place, Any] | None:
        """An answer to this call; where there is none, None after a step, or after a moment in which another leads."""
        with suppress(Empty):
            return call.arrived.get_nowait()
        if self._leading.acquire(blocking=False):
            self._step()
            return None
        with suppress(Empty):
            return call.arrived.get(timeout=LOOK)
        return None

    def _step(self) -> None:
        """One step of vLLM for all calls, by the thread that leads; it does not lead any more afterwards."""
        try:
            self._hand_in()
            for output in self._llm.llm_engine.step():
                if output.finished:
                    asker, place = self._asked.pop(output.request_id)
                    asker.arrived.put((place, output))
        except BaseException as problem:
            # Whatever it is, Ctrl-C too: the other threads wait for a step that nobody will make.
            self._ended, self._broken = problem, True
            raise
        finally:
            self._leading.release()

    def _hand_in(self) -> None:
        while not self._wanted.empty():
            call, questions = self._wanted.get()
            names = self._llm.enqueue(
                [{"prompt_token_ids": list(question.prompt)} for question in questions],
                [question.sampling for question in questions],
                use_tqdm=False,
            )
            # vLLM makes its names unique by a suffix, which its answers do not have.
            for name, question in zip(names, questions, strict=True):
                self._asked[name.partition("-")[0]] = call, question.place

    def _abort(self, call: _Call) -> None:
        """Take back what was asked for a call that has ended, also what was not handed in yet."""
        with self._leading:
            self._hand_in()
            names = [name for name, (asker, _) in self._asked.items() if asker is call]
            for name in names:
                del self._asked[name]
            self._llm.llm_engine.abort_request(names)
