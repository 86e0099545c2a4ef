"""Several threads ask one vLLM: each gets its own answers, one of them moves it on, and it is never entered twice.

The `LLM` here has vLLM's two methods and answers after as many steps as its sampling says; tests/test_vllm_engine.py
asks the real one.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from selfreward.engines.vllm.pump import Place, Pump, Question
from selfreward.errors import EngineError

PATIENCE = 20.0


@dataclass
class Output:
    request_id: str
    text: tuple[int, ...]
    finished: bool


class Llm:
    """`steps[i]`: how many requests were running in step i. Raises where two threads are inside."""

    def __init__(self, fails_at: int = 10**9) -> None:
        self.llm_engine = self
        self.running: dict[str, list[Any]] = {}
        self.steps: list[int] = []
        self.aborted: list[str] = []
        self._count, self._inside, self._fails_at = 0, threading.Lock(), fails_at

    def enqueue(self, prompts: Sequence[Any], sampling: Sequence[int], use_tqdm: bool) -> list[str]:
        assert self._inside.acquire(blocking=False), "two threads at once"
        names = [f"{self._count + place}" for place in range(len(prompts))]
        self._count += len(prompts)
        for name, prompt, left in zip(names, prompts, sampling, strict=True):
            self.running[name] = [tuple(prompt["prompt_token_ids"]), left]
        self._inside.release()
        return [f"{name}-suffix" for name in names]

    def step(self) -> list[Output]:
        assert self._inside.acquire(blocking=False), "two threads at once"
        if len(self.steps) >= self._fails_at:
            self._inside.release()
            raise RuntimeError("the engine died")
        self.steps.append(len(self.running))
        time.sleep(0.001)
        done = []
        for name, state in list(self.running.items()):
            state[1] -= 1
            done.append(Output(name, state[0], state[1] <= 0))
            if state[1] <= 0:
                del self.running[name]
        self._inside.release()
        return done

    def abort_request(self, names: list[str]) -> None:
        self.aborted += names
        for name in names:
            self.running.pop(name, None)


def questions(caller: int, lengths: Sequence[int]) -> list[Question]:
    return [Question((caller, place), (caller, place), length) for place, length in enumerate(lengths)]


def ask(pump: Pump, asked: Sequence[Question], follow: int = 0) -> dict[Place, tuple[int, ...]]:
    """All answers; the first `follow` of them are asked once more."""
    found: dict[Place, tuple[int, ...]] = {}

    def answered(place: Place, output: Output) -> list[Question]:
        assert place not in found
        found[place] = output.text
        return [Question((place[0], place[1] + 1000), output.text, 2)] if len(found) <= follow else []

    pump.ask_on(asked, answered)
    return found


def together(calls: Sequence[Any]) -> list[Any]:
    """What each call returns or raises, all made at the same time."""
    results: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        try:
            results[place] = calls[place]()
        except (EngineError, RuntimeError) as problem:
            results[place] = problem

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    return results


def test_each_thread_gets_its_own_answers_whoever_leads() -> None:
    llm = Llm()
    pump = Pump(llm)
    lengths = [[3, 9, 1, 5], [2, 2, 20], [7] * 6]
    found = together([lambda k=k: ask(pump, questions(k, lengths[k]), follow=2) for k in range(3)])
    for caller, answers in enumerate(found):
        assert set(answers.values()) <= {(caller, place) for place in range(6)}
        assert len(answers) == len(lengths[caller]) + 2
    assert not llm.running and not llm.aborted


def test_the_next_call_runs_while_the_last_reply_to_this_one_is_waited_for() -> None:
    """Steps, not seconds: in turn they would be 40 + 40; together the long replies run side by side."""
    llm = Llm()
    pump = Pump(llm)
    together([lambda k=k: ask(pump, questions(k, [40, 1, 1, 1])) for k in range(2)])
    assert len(llm.steps) < 75 and max(llm.steps) > 4
    alone = Llm()
    for caller in range(2):
        ask(Pump(alone), questions(caller, [40, 1, 1, 1]))
    assert len(alone.steps) == 80


def test_a_dead_vllm_ends_every_call() -> None:
    pump = Pump(Llm(fails_at=5))
    raised = together([lambda k=k: ask(pump, questions(k, [50, 50])) for k in range(2)])
    assert [str(one) for one in raised] == ["the engine died"] * 2


def test_an_answer_that_cannot_be_read_ends_its_call_and_takes_back_what_is_open() -> None:
    llm = Llm()
    pump = Pump(llm)

    def unreadable(place: Place, output: Output) -> list[Question]:
        raise EngineError("its weights are broken")

    with pytest.raises(EngineError, match="weights are broken"):
        pump.ask_on(questions(0, [1, 30, 30]), unreadable)
    assert len(llm.aborted) == 2 and not llm.running
    assert len(ask(pump, questions(1, [2, 2]))) == 2


def test_who_is_hung_up_on_stops_for_later_calls_too_until_it_is_picked_up() -> None:
    llm = Llm()
    pump = Pump(llm)

    def hang_up() -> None:
        until = time.monotonic() + PATIENCE
        while len(llm.steps) < 3 and time.monotonic() < until:
            time.sleep(0.001)
        pump.hang_up()

    *raised, _ = together([lambda k=k: ask(pump, questions(k, [10**6])) for k in range(2)] + [hang_up])
    assert all("not waited for" in str(one) for one in raised) and not llm.running
    # A chunk may ask several times, and was between two of them.
    with pytest.raises(EngineError, match="not waited for"):
        ask(pump, questions(0, [1]))
    pump.pick_up()
    assert len(ask(pump, questions(0, [1]))) == 1
