"""A few chunks are computed at the same time; what is written, and what is owed after a kill, is as one by one."""

import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from served_factory import grade_by_answer, says, send, sends, server
from store_child import ENVIRONMENT, responses_work
from test_served import GOOD, engine_for, requests, smoke

from selfreward.errors import EngineError, LimitError
from selfreward.recipe import Recipe
from selfreward.records import Judgment, Response
from selfreward.store.ahead import Ahead
from selfreward.store.results import Run, Store, Work

PATIENCE = 20.0
"""Seconds after which something that must happen will not."""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Run]:
    with Store(tmp_path, share=False).open_run("run", Recipe(), environment=ENVIRONMENT) as run:
        yield run


def flying(window: int, before: Callable[[int], None], hang_up: Callable[[], None] = lambda: None, chunks: int = 6):
    return dataclasses.replace(responses_work(chunks, before=before), ahead=Ahead(window, hang_up))


def events(run: Run, kind: str) -> list[int]:
    return [event["chunk"] for event in run.events() if event["event"] == kind]


def test_the_next_chunk_is_begun_before_this_one_is_done_and_no_more_than_the_window(opened: Run) -> None:
    begun = [threading.Event() for _ in range(6)]
    lock, inside, most = threading.Lock(), [0], [0]

    def before(index: int) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        begun[index].set()
        if index + 1 < len(begun):
            assert begun[index + 1].wait(PATIENCE), "the next chunk waits for this one"
        with lock:
            inside[0] -= 1

    opened.complete(flying(2, before))
    assert most[0] == 2 and events(opened, "chunk_done") == list(range(6))


def test_chunks_that_end_in_another_order_are_appended_in_their_own(opened: Run, tmp_path: Path) -> None:
    second = threading.Event()

    def before(index: int) -> None:
        if index % 2:
            second.set()
        else:
            assert second.wait(PATIENCE)
            second.clear()

    opened.complete(flying(2, before))
    with Store(tmp_path / "other", share=False).open_run("run", Recipe(), environment=ENVIRONMENT) as alone:
        alone.complete(responses_work(6))
        ours, theirs = (run.directory(1) / "responses.jsonl" for run in (opened, alone))
        assert ours.read_bytes() == theirs.read_bytes()
        assert opened.seal(1, "responses").fingerprint == alone.seal(1, "responses").fingerprint


def test_one_at_a_time_is_in_the_thread_that_asks(opened: Run) -> None:
    """torch's thread count and random state are a thread's own: an engine of one module must not notice."""
    seen: list[threading.Thread] = []
    opened.complete(flying(1, lambda _: seen.append(threading.current_thread())))
    assert set(seen) == {threading.main_thread()} and len(seen) == 6


def test_an_engine_is_made_ready_where_ctrl_c_arrives_and_only_where_something_is_owed(opened: Run) -> None:
    seen: list[threading.Thread] = []
    work = flying(2, lambda _: None)
    ready = dataclasses.replace(
        work, ahead=dataclasses.replace(work.ahead, ready=lambda: seen.append(threading.current_thread()))
    )
    opened.complete(ready)
    opened.complete(ready)
    assert seen == [threading.main_thread()]


def test_a_chunk_that_fails_is_told_in_its_turn_ends_the_others_and_is_owed(opened: Run) -> None:
    hung_up, begun = threading.Event(), []

    def before(index: int) -> None:
        begun.append(index)
        if index == 2:
            raise EngineError("chunk 2")
        if index == 3:
            assert hung_up.wait(PATIENCE), "nobody told it that its rows will not be read"

    with pytest.raises(EngineError, match="chunk 2"):
        opened.complete(flying(2, before, hung_up.set))
    assert events(opened, "chunk_done") == [0, 1] and 4 not in begun
    begun.clear()
    opened.complete(flying(2, begun.append))
    assert sorted(begun) == [2, 3, 4, 5]


def test_at_a_limit_what_is_in_flight_is_kept_and_nothing_more_is_begun(opened: Run) -> None:
    asked: list[int] = []

    def permit(work: Work[int, Response], index: int) -> None:
        asked.append(index)
        if index == 3:
            raise LimitError("enough")

    begun: list[int] = []
    opened.permit = permit
    with pytest.raises(LimitError, match="enough"):
        opened.complete(flying(2, begun.append))
    assert events(opened, "chunk_done") == sorted(begun) == [0, 1, 2] and asked == [0, 1, 2, 3]


CHILD = """
import dataclasses, os, sys, time
from pathlib import Path
from store_child import ENVIRONMENT, responses_work
from selfreward.recipe import Recipe
from selfreward.store.ahead import Ahead
from selfreward.store.results import Store

def before(index):
    if index == 3:
        while len(list(run.events())) < 7:  # until two chunks are done, this one and the next are in flight
            time.sleep(0.01)
        os.kill(os.getpid(), 9)

with Store(Path(sys.argv[1]), share=False).open_run("run", Recipe(), environment=ENVIRONMENT) as run:
    run.complete(dataclasses.replace(responses_work(6, before=before), ahead=Ahead(2)))
"""


def test_a_kill_loses_what_was_in_flight_and_nothing_that_was_appended(tmp_path: Path) -> None:
    known = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    killed = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path)], env=known, timeout=120, check=False)
    assert killed.returncode == -9
    begun: list[int] = []
    with Store(tmp_path, share=False).open_run("run", Recipe(), environment=ENVIRONMENT) as run:
        kept = events(run, "chunk_done")
        rows = run.complete(flying(2, begun.append))
    assert kept and sorted(begun) == list(range(len(kept), 6))
    assert rows == sorted(rows, key=lambda row: row.id) and len(rows) == 36


def together(calls: Sequence[Callable[[], None]]) -> list[BaseException]:
    """What the calls raise, all made at the same time."""
    raised: list[BaseException] = []

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except EngineError as problem:
            raised.append(problem)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    return raised


def test_a_served_model_is_asked_by_two_calls_no_more_than_by_one() -> None:
    lock, inside, most, both = threading.Lock(), [0], [0], threading.Event()

    def slow(handler, body, number: int) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        both.wait(0.05)
        with lock:
            inside[0] -= 1
        send_name(handler, body)

    found: dict[int, list[str]] = {}

    def call(number: int) -> Callable[[], None]:
        def ask() -> None:
            found[number] = [reply.text for (reply,) in engine.generate(requests(6), number)]

        return ask

    with server(slow) as told:
        engine = engine_for(told.url, concurrency=3)
        assert together([call(0), call(1)]) == []
    assert most[0] == 3
    assert found[0] == found[1] == [f"question {number}" for number in range(6)]


def send_name(handler, body) -> None:
    from served_factory import completion

    send(handler, 200, completion(body["messages"][-1]["content"]))


def test_a_server_that_fails_ends_both_calls_with_its_words_and_a_later_call_asks_again() -> None:
    def reply(handler, body, number: int) -> None:
        if number < 1:
            time.sleep(0.5)  # until the other call waits, too
        (sends(404, b"gone") if number < 1 else says(GOOD))(handler, body, number)

    with server(reply) as told:
        engine = engine_for(told.url, concurrency=1)
        raised = together([lambda: engine.generate(requests(6), 0), lambda: engine.generate(requests(6), 1)])
        assert len(raised) == 2 and all("gone" in str(one) for one in raised)
        assert [reply.text for (reply,) in engine.generate(requests(2), 2)] == [GOOD, GOOD]


def test_whoever_is_hung_up_on_gets_an_error_and_no_replies() -> None:
    waiting = threading.Event()

    def never(handler, body, number: int) -> None:
        waiting.set()
        threading.Event().wait(2)
        says(GOOD)(handler, body, number)

    replies: list[object] = []
    with server(never) as told:
        engine = engine_for(told.url)

        def hang_up() -> None:
            assert waiting.wait(PATIENCE)
            engine.hang_up()

        (raised,) = together([lambda: replies.append(engine.generate(requests(3), 0)), hang_up])
        assert "hung up" in str(raised) and not replies
        with pytest.raises(EngineError, match="hung up"):
            engine.generate(requests(1), 0)  # a chunk that asks several times, between two of them
        engine.pick_up()
        waiting.clear()
        assert engine.generate(requests(1), 0)[0][0].text == GOOD


@pytest.mark.slow
def test_judgments_of_a_served_judge_are_the_same_with_chunks_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selfreward.engines.served.engine import ServedEngine

    files = []
    with server(grade_by_answer("012345")) as told:
        for calls in (1, 3):
            monkeypatch.setattr(ServedEngine, "CALLS", calls)
            view = smoke(tmp_path / str(calls), told.url, "engine.chunk=6")
            judged = [event for event in view.events() if event["artifact"] == "judgments"]
            assert sum(event["event"] == "chunk_done" for event in judged) > 4
            files.append((view.directory(1) / "judgments.jsonl").read_bytes())
            assert view.read(1, "judgments", Judgment)
    assert files[0] == files[1]
