"""A served model: whatever its server does, a reply is a reply, and everything else is no reply."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from served_factory import (
    Behaviour,
    completion,
    cuts,
    delays,
    drips,
    first,
    grade_by_answer,
    hangs_up,
    says,
    send,
    sends,
    server,
)
from small_keys import UNPROBED

from selfreward.commands.export_pairs import export_pairs, pair_rows
from selfreward.commands.preflight import preflight
from selfreward.commands.run import run
from selfreward.engines.protocol import TOO_LONG, Completion, Engine, Request, TokenReader
from selfreward.engines.served.engine import ServedEngine, served_digest
from selfreward.engines.served.server import ChatServer, Failure, Reply, read_reply
from selfreward.errors import EngineError, RecipeError
from selfreward.judging.prompts import pointwise as judge
from selfreward.progress import Progress
from selfreward.recipe import Recipe, ServedRecipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Judgment, Message, Response
from selfreward.roles.player import Player, Policy
from selfreward.roles.unreadable import Unreadable
from selfreward.store.results import Store
from selfreward.store.run import RunView
from selfreward.tasks.open_source import open_source

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
GOOD = "It is right. Score: 4"
FAST = {"backoff": 0.01, "retries": 2, "timeout": 5.0, "concurrency": 4}


def engine_for(url: str, **changes: Any) -> ServedEngine:
    return ServedEngine("teacher", ServedRecipe(url=url, model="big", **{**FAST, **changes}))


def requests(count: int = 1, n: int = 1) -> list[Request]:
    return [
        Request(f"r{number}", (Message("user", f"question {number}"),), n, 0.7, 0.9, 64, seed=number)
        for number in range(count)
    ]


def ask(behaviour: Behaviour, **changes: Any) -> tuple[Completion, dict[str, Any]]:
    """One reply under a behaviour, and the engine's report."""
    with server(behaviour) as told:
        engine = engine_for(told.url, **changes)
        ((reply,),) = engine.generate(requests(), 0)
        return reply, dict(engine.report())


def test_a_reply_is_read_and_the_question_has_everything_that_determines_it() -> None:
    with server(says(GOOD)) as told:
        engine = engine_for(told.url + "/")
        replies = engine.generate(requests(3, n=2), 0)
    assert replies == [[Completion(GOOD, "", (), "stop")] * 2] * 3
    assert set(told.paths) == {"/v1/chat/completions"}
    body = told.bodies[0]
    assert (body["model"], body["temperature"], body["top_p"], body["max_tokens"]) == ("big", 0.7, 0.9, 64)
    seeds = {body["seed"] for body in told.bodies}
    assert len(seeds) == len(told.bodies) == 6, "every reply has a seed of its own"
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert "Authorization" not in told.headers[0]


def test_replies_come_in_the_order_of_the_requests_whatever_order_they_arrive_in() -> None:
    def late_first(handler: Any, body: dict[str, Any], number: int) -> None:
        name = body["messages"][-1]["content"]
        time.sleep(0.02 * (7 - int(name.split()[-1])))
        send(handler, 200, completion(name))

    with server(late_first) as told:
        replies = engine_for(told.url, concurrency=8).generate(requests(8), 0)
    assert [reply.text for (reply,) in replies] == [f"question {number}" for number in range(8)]


def test_no_more_than_the_limit_are_asked_at_the_same_time() -> None:
    lock, active, most = threading.Lock(), [0], [0]

    def slow(handler: Any, body: dict[str, Any], number: int) -> None:
        with lock:
            active[0] += 1
            most[0] = max(most[0], active[0])
        time.sleep(0.05)
        with lock:
            # Before the reply is sent: the caller may ask again the moment it has it.
            active[0] -= 1
        says(GOOD)(handler, body, number)

    with server(slow) as told:
        engine_for(told.url, concurrency=3).generate(requests(12), 0)
    assert most[0] == 3


@pytest.mark.parametrize(("protocol", "connections"), [("HTTP/1.1", 2), ("HTTP/1.0", 12)])
def test_connections_are_kept_where_the_server_keeps_them(
    protocol: str, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as are asked at the same time, over all calls."""
    monkeypatch.setattr("selfreward.engines.served.connections.IDLE", 600.0)
    both = threading.Barrier(2)

    def together(handler: Any, body: dict[str, Any], number: int) -> None:
        both.wait(timeout=5)
        says(GOOD)(handler, body, number)

    with server(together, protocol) as told:
        engine = engine_for(told.url, concurrency=2, retries=0)
        for _ in range(3):
            assert len(engine.generate(requests(4), 0)) == 4
        assert told.connections == connections
        engine.close()


def test_after_a_call_that_was_cut_new_connections_are_made() -> None:
    with server(first(1, says(GOOD), before=sends(400, b"no"))) as told:
        engine = engine_for(told.url, concurrency=1)
        with pytest.raises(EngineError, match="HTTP 400"):
            engine.generate(requests(2), 0)
        assert len(engine.generate(requests(2), 0)) == 2


def test_what_is_refused_is_refused_though_its_words_are_cut() -> None:
    def refuses(handler: Any, body: dict[str, Any], number: int) -> None:
        send(handler, 400, b"temperature is", promised=1000)
        handler.close_connection = True

    with server(refuses) as told, pytest.raises(EngineError, match="HTTP 400: temperature is"):
        engine_for(told.url, concurrency=1).generate(requests(), 0)
    assert len(told.bodies) == 1


def test_a_proxy_of_the_environment_never_sees_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(says("from the proxy")) as proxy, server(says(GOOD)) as told:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        assert engine_for(told.url).generate(requests(), 0)[0][0].text == GOOD
    assert not proxy.bodies


def test_a_redirect_is_refused_and_the_other_host_hears_nothing() -> None:
    with server(says(GOOD)) as other, server(sends(307, Location=other.url + "/chat/completions")) as told:
        with pytest.raises(EngineError, match="HTTP 307"):
            engine_for(told.url).generate(requests(), 0)
        assert not other.bodies


def test_tokens_and_their_price_are_counted() -> None:
    with server(says(GOOD)) as told:
        engine = engine_for(told.url, price_in=2.0, price_out=30.0)
        engine.generate(requests(4), 0)
    report = engine.report()
    assert (report["prompt_tokens"], report["completion_tokens"]) == (40, 20)
    assert report["cost"] == pytest.approx((40 * 2 + 20 * 30) / 1e6)
    assert (report["replies"], report["retries"], report["failures"]) == (4, 0, {})


@pytest.mark.parametrize(
    "lie",
    [
        b"<html>welcome</html>",
        b"",
        b"[1, 2, 3]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": 5}}]}',
        b'{"choices": [{"message": {"content": null}}]}',
        b"Score: 5",
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
def test_a_lie_ends_the_call_and_is_quoted(lie: bytes) -> None:
    with server(sends(200, lie)) as told:
        engine = engine_for(told.url)
        with pytest.raises(EngineError, match=r"no reply to request r0 in 3 tries: (not JSON|no reply in it)"):
            engine.generate(requests(), 0)
    report = engine.report()
    assert report["requests"] == 3 and report["no_reply"] == 1


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (cuts, "cut"),
        (hangs_up, "cut"),
        (sends(500, b"out of luck"), "server error"),
        (delays(1.0, says(GOOD)), "timed out"),
        (drips, "timed out"),
    ],
    ids=["cuts", "hangs up", "500", "slow", "drips"],
)
def test_a_server_that_fails_for_ever_ends_the_call(behaviour: Behaviour, reason: str) -> None:
    begun = time.monotonic()
    with server(behaviour) as told:
        engine = engine_for(told.url, timeout=0.2, retries=1)
        with pytest.raises(EngineError, match=f"in 2 tries: {reason}"):
            engine.generate(requests(), 0)
    assert engine.report()["failures"] == {reason: 2}
    assert time.monotonic() - begun < 2, "the deadline is for the whole exchange"


@pytest.mark.parametrize("before", [sends(429), sends(503), cuts, hangs_up, sends(200, b"not yet")])
def test_what_passes_is_asked_again(before: Behaviour) -> None:
    reply, report = ask(first(2, says(GOOD), before=before))
    assert reply.text == GOOD
    assert (report["retries"], report["replies"], report["no_reply"]) == (2, 1, 0)


def test_waits_double_and_respect_retry_after() -> None:
    with server(first(3, says(GOOD), before=sends(500))) as told:
        engine_for(told.url, backoff=0.05, retries=3).generate(requests(), 0)
    waits = [after - before for before, after in zip(told.times, told.times[1:], strict=False)]
    assert waits[0] >= 0.05 and waits[1] >= 0.1 and waits[2] >= 0.2
    with server(first(1, says(GOOD), before=sends(429, Retry_After="1"))) as told:
        engine_for(told.url).generate(requests(), 0)
    assert told.times[1] - told.times[0] >= 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_is_no_verdict_whenever_it_comes(status: int) -> None:
    """Not asked again, not kept: what was wrong is the server's or the recipe's, and its words say what."""
    with (
        server(sends(status, b"temperature\x1b[31m is 7")) as told,
        pytest.raises(EngineError, match=f"HTTP {status}: temperature .31m is 7"),
    ):
        engine_for(told.url, concurrency=1).generate(requests(50), 0)
    assert len(told.bodies) == 1

    def later(handler: Any, body: dict[str, Any], number: int) -> None:
        (says(GOOD) if number < 5 else sends(status, b"model unloaded"))(handler, body, number)

    with server(later) as told, pytest.raises(EngineError, match="model unloaded"):
        engine_for(told.url, concurrency=2).generate(requests(50), 0)
    assert 6 <= len(told.bodies) <= 8


OVERLONG = b'{"error": {"message": "This model\'s maximum context length is 512 tokens.", "code": 400}}'


def test_a_question_that_is_too_long_is_a_verdict_only_beside_answers() -> None:
    def short(handler: Any, body: dict[str, Any], number: int) -> None:
        long = body["messages"][-1]["content"] == "question 3"
        (sends(400, OVERLONG) if long else says(GOOD))(handler, body, number)

    with server(short) as told:
        replies = engine_for(told.url).generate(requests(5), 0)
    assert [reply == TOO_LONG for (reply,) in replies] == [False, False, False, True, False]
    verdict = judge.read("additive", replies[3][0])
    assert isinstance(verdict, Unreadable) and verdict.reason == "question too long"
    with server(sends(400, OVERLONG)) as told, pytest.raises(EngineError, match="every question is too long"):
        engine_for(told.url).generate(requests(5), 0)


def test_a_reply_is_whole_whatever_its_server_calls_the_end() -> None:
    for finish in ("stop", "eos_token"):
        reply, _ = ask(says(GOOD, finish))
        assert reply == Completion(GOOD, "", (), "stop")


def test_half_a_surrogate_pair_can_be_written_down() -> None:
    broken = completion("x").replace(b'"x"', b'"\\ud83d half, \\ud83d\\ude00 whole. Score: 4"')
    reply, _ = ask(sends(200, broken))
    assert reply.text == "\ufffd half, \U0001f600 whole. Score: 4" and reply.text.encode()


def test_withheld_words_are_an_outcome_and_no_failure() -> None:
    reply, report = ask(says(None, "content_filter"))
    verdict = judge.read("additive", reply)
    assert isinstance(verdict, Unreadable) and verdict.reason == "no reply" and not report["failures"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_stops_at_once(status: int) -> None:
    with server(sends(status, b"who are you")) as told, pytest.raises(EngineError, match=f"HTTP {status}: who are you"):
        engine_for(told.url, concurrency=1).generate(requests(50), 0)
    assert len(told.bodies) == 1


def test_a_server_that_is_not_there_stops_the_run_instead_of_spoiling_verdicts() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineError, match=r"no connection to .*refused"):
        engine_for(f"http://127.0.0.1:{port}/v1").generate(requests(3), 0)


def test_a_dead_server_is_given_up_and_a_living_one_asked_again() -> None:
    with server(first(2, says(GOOD), before=sends(500))) as told:
        engine = engine_for(told.url, concurrency=1, retries=1)
        with pytest.raises(EngineError, match="HTTP 500"):
            engine.generate(requests(100), 0)
        assert len(told.bodies) == 2, "after one request got nothing nobody is asked any more"
        assert engine.generate(requests(2), 0) == [[Completion(GOOD, "", (), "stop")]] * 2


def test_what_was_cut_by_the_token_limit_or_a_filter_has_no_verdict() -> None:
    for finish in ("length", "content_filter", "tool_calls", ""):
        reply, _ = ask(says(GOOD, finish))
        assert reply.finish_reason == "length"
        verdict = judge.read("additive", reply)
        assert isinstance(verdict, Unreadable) and verdict.reason == "truncated"


def test_reasoning_is_cut_whether_the_server_parses_it_or_not() -> None:
    parsed, _ = ask(says(GOOD, reasoning_content="hm"))
    raw, _ = ask(says(f"<think>hm</think>{GOOD}"))
    assert parsed == raw == Completion(GOOD, "hm", (), "stop")
    endless, _ = ask(says(None, "length", reasoning_content="Score: 5"))
    verdict = judge.read("additive", endless)
    assert isinstance(verdict, Unreadable) and verdict.reason == "truncated"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["choices", "message", "content", "usage", "prompt_tokens"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(JSON)
def test_any_json_is_a_reply_or_none(content: Any) -> None:
    reply = read_reply(content)
    assert reply is None or (isinstance(reply.text, str) and reply.prompt_tokens >= 0)


def test_what_needs_tokens_or_weights_is_refused_and_says_so() -> None:
    engine = engine_for("http://localhost:1/v1")
    player = Player(Policy(None, "d", Path("served:big")), lambda: engine, {}, chunk=1, seed=0)
    assert player.hold() is engine and not isinstance(engine, Engine)
    with pytest.raises(EngineError, match="behind a server"):
        player.weights()
    assert not isinstance(engine, TokenReader)


def test_the_digest_is_of_url_and_model_only() -> None:
    one = ServedRecipe(url="http://a:1/v1", model="m")
    same = ServedRecipe(url="http://a:1/v1/", model="m", key_env="KEY", concurrency=1, price_in=3.0)
    others = [ServedRecipe(url="http://a:2/v1", model="m"), ServedRecipe(url="http://a:1/v1", model="n")]
    assert served_digest(one) == served_digest(same)
    assert served_digest(one) not in {served_digest(other) for other in others}


def test_an_exchange_ends_when_somebody_hangs_up() -> None:
    from threading import Thread

    with server(delays(5.0, says(GOOD))) as told:
        chat, found = ChatServer(told.url, "big", "", 30.0), []
        thread = Thread(target=lambda: found.append(chat.ask({"messages": []})))
        thread.start()
        while not told.bodies:
            time.sleep(0.01)
        chat.hang_up()
        thread.join(timeout=2)
        assert isinstance(found[0], Failure)


def recipe_of(*overrides: str, **served: Any) -> Recipe:
    section = {"url": "http://localhost:8000/v1", "model": "big", **served}
    return build_recipe([{"served": {"teacher": section}}], overrides)


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("model.path=served:teacher", "model.path"),
        ("train.reference=served:teacher", "train.reference"),
        ("pairs.score=implicit_reward pairs.score.reference=served:teacher", "pairs.score.reference"),
        ("judge.model=served:other", "served:other"),
        ("judge.reading=probability judge.model=served:teacher", "judge.reading=probability"),
        ("judge.model=served:teacher meta.enabled=true", "meta.enabled"),
    ],
)
def test_a_role_that_cannot_be_served_is_refused(override: str, key: str) -> None:
    with pytest.raises(RecipeError, match=key):
        recipe_of(*override.split())


def test_roles_that_can_be_served() -> None:
    recipe_of("judge.model=served:teacher")
    recipe_of("judge.aggregate=ensemble", "judge.aggregate.members=[sandbox@served:teacher,sandbox]")
    recipe_of("meta.enabled=true", "meta.model=served:teacher")
    recipe_of("prompts.writer.share=0.5", "prompts.writer.model=served:teacher")
    recipe_of("judge.model=served:teacher", "judge.question=comparison", "judge.reading=verdict")


SECRET = "sk-not-to-be-seen/anywhere"


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "localhost:8000"},
        {"url": "http://[nowhere"},
        {"url": "http://host:port/v1"},
        {"url": "http://host/v1 /chat"},
        {"url": f"http://user:{SECRET}@host/v1"},
        {"url": f"http://host/v1?key={SECRET}"},
        {"key_env": SECRET},
        {"model": ""},
        {"timeout": 0.0},
        {"price_in": -1.0},
    ],
)
def test_a_server_that_cannot_be_asked_is_refused_without_quoting_a_secret(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"served\.teacher") as caught:
        recipe_of(**wrong)
    assert SECRET not in str(caught.value)


def test_a_key_that_is_not_in_the_environment_is_missed_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    with pytest.raises(RecipeError, match=r"served\.teacher\.key_env"):
        preflight(recipe_of("judge.model=served:teacher", key_env="TEACHER_KEY"))


def smoke(results: Path, url: str, *more: str, **served: Any) -> RunView:
    """A run of the smoke recipe whose judge is behind `url`; `more` are further keys."""
    section = {"url": url, "model": "big", **FAST, "concurrency": 16, **served}
    keys = [f"served.teacher.{name}={'null' if value is None else value}" for name, value in section.items()]
    small = [
        "prompts.per_round=8",
        *(f"measure.{pool}=4" for pool in ("gate", "selection", "report", "frozen")),
        *UNPROBED,
    ]
    roles = ["judge.model=served:teacher", "meta.enabled=false", "prompts.writer.share=0", "rounds=1"]
    recipe = load_recipe(SMOKE, [*roles, *small, *keys, *more])
    store = Store(results)
    run(recipe, store, "served", Progress())
    return store.existing("served")


def test_a_run_with_a_served_judge_and_its_key_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", SECRET)

    def tells_the_key(handler: Any, body: dict[str, Any], number: int) -> None:
        if number % 5 == 0:  # a server that repeats what it was sent, plainly and with an escape that JSON allows
            told = f"Your key is {handler.headers['Authorization']}. Score: 3"
            return send(handler, 200, completion(told).replace(b"/", b"\\/" if number % 2 else b"/"))
        if number % 7 == 0:
            return send(handler, 500, str(handler.headers["Authorization"]).encode())
        return grade_by_answer("012345")(handler, body, number)

    with server(tells_the_key) as told:
        view = smoke(tmp_path / "results", told.url, key_env="TEACHER_KEY", retries=9)
        asked = len(told.bodies)
        assert {headers["Authorization"] for headers in told.headers} == {f"Bearer {SECRET}"}
        smoke(tmp_path / "results", told.url, key_env="TEACHER_KEY", retries=8)
        assert len(told.bodies) == asked, "sealed verdicts are not asked for again, and retries are no identity"
    export_pairs(view, tmp_path / "pairs")
    assert {row["judge"] for row in pair_rows(view)} == {"big"}, "whoever gets the pairs learns who judged them"
    assert "the served model that judged (`big`)" in (tmp_path / "pairs" / "README.md").read_text()
    judgments = view.read(1, "judgments", Judgment)
    digest = served_digest(ServedRecipe(url=told.url, model="big"))
    assert {row.judge for row in judgments} == {digest}
    assert sum(row.score is not None for row in judgments) == len(judgments)
    assert any("[key]" in row.text for row in judgments)
    for path in sorted((tmp_path / "results").rglob("*")):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    events = view.events()
    skipped = [event for event in events if event.get("report", {}).get("kind") == "not verified"]
    assert skipped and {event["digest"] for event in skipped} == {digest}
    noted = next(event for event in events if event["event"] == "served")["report"]["teacher"]
    assert noted["requests"] == asked and noted["failures"]["server error"] > 0
    assert noted["prompt_tokens"] == 10 * noted["replies"]


@pytest.mark.parametrize("broken", [sends(500, b"out of luck"), sends(400, b"out of luck")])
def test_a_broken_judge_leaves_no_verdict_and_a_mended_one_is_asked(tmp_path: Path, broken: Behaviour) -> None:
    state = {"mended": False}

    def behaviour(handler: Any, body: dict[str, Any], number: int) -> None:
        (grade_by_answer("012345") if state["mended"] else broken)(handler, body, number)

    with server(behaviour) as told:
        with pytest.raises(EngineError, match="out of luck"):
            smoke(tmp_path / "results", told.url, retries=0)
        view = RunView(tmp_path / "results" / "served")
        assert all(view.seal(number, "judgments") is None for number in view.rounds())
        noted = next(event for event in view.events() if event["event"] == "served")["report"]["teacher"]
        assert noted["replies"] == 0 and len(noted["failures"]) == 1
        state["mended"] = True
        mended = smoke(tmp_path / "results", told.url, retries=0)
    judgments = mended.read(1, "judgments", Judgment)
    assert judgments and all(row.score is not None for row in judgments)


@pytest.mark.slow
def test_nobody_waits_for_a_slow_server_after_ctrl_c(tmp_path: Path) -> None:
    with server(delays(60.0, says(GOOD))) as told:
        keys = [f"served.teacher.{name}={value}" for name, value in {"url": told.url, "model": "big"}.items()]
        command = [sys.executable, "-m", "selfreward", "run", str(SMOKE), *keys, "judge.model=served:teacher"]
        process = subprocess.Popen(
            [*command, "meta.enabled=false", "--results", str(tmp_path)], stderr=subprocess.PIPE, text=True
        )
        while not told.bodies and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, said = process.communicate(timeout=50)
        assert process.returncode == 130, said
        assert time.monotonic() - begun < 20 and "Traceback" not in said


def test_another_model_behind_the_name_is_another_judge(tmp_path: Path) -> None:
    from selfreward.errors import StoreError

    with server(says("Score: 3")) as told, server(grade_by_answer("012345")) as other:
        smoke(tmp_path / "results", other.url)
        with pytest.raises(StoreError, match=r"engine\.url"):
            smoke(tmp_path / "results", told.url)


def test_a_served_teacher_writes_prompts(tmp_path: Path) -> None:
    recipe = load_recipe(SMOKE)
    (text,) = {row.messages[0].content for row in open_source(recipe).training(1, 1)}
    with server(says(text)) as told:
        section = {"url": told.url, "model": "big", **FAST}
        keys = [f"served.teacher.{name}={value}" for name, value in section.items()]
        small = [
            "prompts.per_round=8",
            *(f"measure.{pool}=4" for pool in ("gate", "selection", "report", "frozen")),
            *UNPROBED,
        ]
        more = ["prompts.writer.model=served:teacher", "prompts.writer.share=0.5", "meta.enabled=false", "rounds=1"]
        store = Store(tmp_path / "results")
        run(load_recipe(SMOKE, [*keys, *small, *more]), store, "taught", Progress())
        assert len(told.bodies) == 8, "half of eight prompts, twice as many asked for"
    written = store.existing("taught").read(1, "written", Response)
    assert {(row.policy, row.text) for row in written} == {
        (served_digest(ServedRecipe(url=told.url, model="big")), text)
    }


def test_reports_are_json() -> None:
    _, report = ask(first(2, says(GOOD), before=cuts))
    assert json.loads(json.dumps(report))["failures"] == {"cut": 2}
    assert os.environ.get("TEACHER_KEY") is None
    assert isinstance(read_reply(json.loads(completion("x"))), Reply)
