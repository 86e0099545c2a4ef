"""Judging with vLLM: probabilities of the next word against the transformers engine's, and dialogues without a barrier.

These tests need vLLM (its CPU build will do); without it they are skipped.
"""

import dataclasses
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from judging_factory import SEED, prompt, response, rows_of

from selfreward.engines import build_engine
from selfreward.engines.protocol import Completion, Converser, Dialogue, Engine, ReplyStart, Request, TokenReader
from selfreward.engines.tensors import weights_digest
from selfreward.engines.vllm.engine import VllmEngine
from selfreward.engines.vllm.settings import vllm_version
from selfreward.errors import EngineError
from selfreward.judging.adaptive import first_pass, judge_further
from selfreward.judging.expected import judge_expected
from selfreward.judging.pairwise import compare_answers
from selfreward.judging.pointwise import judge_pointwise
from selfreward.judging.prompts.pairwise import LABELS
from selfreward.judging.scoring.expected import SCORE_WORDS
from selfreward.recipe import (
    AdaptiveRecipe,
    JudgeRecipe,
    ModelRecipe,
    SamplingRecipe,
    TransformersRecipe,
    VerdictReading,
    VllmRecipe,
)
from selfreward.recipe.read import build_recipe
from selfreward.records import Judgment, Message, Prompt, Response, Rows
from selfreward.roles.player import Player, Policy
from selfreward.tasks.sandbox.pools import judge_pool

pytestmark = [
    pytest.mark.skipif(vllm_version() is None, reason="vLLM is not installed"),
    pytest.mark.slow,
]

QUESTION = "judge : task { reverse f h j } reply { j h f } rate with score"


def vllm(**keys: Any) -> VllmEngine:
    recipe = VllmRecipe(in_process=True, memory_share=0.02, **keys)
    engine = VllmEngine(ModelRecipe(device="cpu"), recipe)
    engine.load(SEED, weights_digest(SEED))
    return engine


@pytest.fixture(scope="module")
def engine() -> Iterator[VllmEngine]:
    built = vllm()
    yield built
    built.close()


@pytest.fixture(scope="module")
def plain() -> Engine:
    built = build_engine(ModelRecipe(device="cpu"), TransformersRecipe())
    built.load(SEED, weights_digest(SEED))
    return built


def player(engine: Engine, chunk: int = 768) -> Player:
    return Player(Policy(0, weights_digest(SEED), SEED), lambda: engine, {"kind": engine.kind}, chunk, 0)


def starts() -> list[ReplyStart]:
    """Short and long questions, replies that begin with nothing, with words, and with a whole scratchpad."""
    long = " ".join("abcdefghijklmnop" * 4)
    texts = [QUESTION, f"judge : task {{ copy {long} }} reply {{ {long} }} rate with score", "sort k b c"]
    begun = ["Score:", "f f ok ; yes yes Score:", "j h"]
    return [
        ReplyStart(f"{number}.{place}", (Message("user", text),), reply)
        for number, text in enumerate(texts)
        for place, reply in enumerate(begun)
    ]


def test_the_next_words_probabilities_are_the_transformers_engines(engine: VllmEngine, plain: Any) -> None:
    assert isinstance(engine, TokenReader)
    for words in (SCORE_WORDS, LABELS, ("0", "Score:", "reverse")):
        expected = plain.next_token_logprobs(starts(), words)
        for _ in range(2):  # the second time with everything in the prefix cache
            for ours, theirs in zip(engine.next_token_logprobs(starts(), words), expected, strict=True):
                assert ours == pytest.approx(theirs, abs=1e-4)
                assert sum(map(math.exp, ours)) <= 1 + 1e-5
    spread = {round(value, 3) for row in plain.next_token_logprobs(starts(), SCORE_WORDS) for value in row}
    assert len(spread) > 40, "the rows must be told apart by their values"


def test_what_cannot_be_read_from_one_position_is_named(engine: VllmEngine) -> None:
    with pytest.raises(EngineError, match="not one token"):
        engine.next_token_logprobs(starts(), ("0", "1 1"))
    with pytest.raises(EngineError, match="same token"):
        engine.next_token_logprobs(starts(), ("unheard", "ofwords"))
    long = ReplyStart("far", (Message("user", " ".join("a" * 260)),), "Score:")
    with pytest.raises(EngineError, match=r"reply start far: .* more than the engine's context .* of 256"):
        engine.next_token_logprobs([*starts(), long], SCORE_WORDS)
    assert engine.next_token_logprobs([], SCORE_WORDS) == []


def pool(size: int) -> tuple[dict[str, Prompt], list[Response]]:
    """Sandbox answers, right and wrong, three to a prompt."""
    replies = judge_pool(size)
    prompts = {one.task.text: prompt(one.task.text, one.task.text) for one in replies}
    return prompts, [response(f"r{number}", one.task.text, one.response) for number, one in enumerate(replies)]


GREEDY = "judge.reading.sampling.temperature=0"


@pytest.mark.parametrize(
    "overrides", [["judge.reading=probability", "judge.reading.min_mass=0.001"], ["judge.reading=rationale", GREEDY]]
)
def test_expected_scores_are_the_transformers_engines(engine: VllmEngine, plain: Engine, overrides: list[str]) -> None:
    prompts, answers = pool(60)
    recipe = build_recipe([], overrides).judge.drawing(1)
    ours, theirs = (
        rows_of(judge_expected(player(one), prompts, answers, recipe, made_from={}, round=0)) for one in (engine, plain)
    )
    assert len(ours) == 60
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.text, mine.unreadable) == (other.text, other.unreadable)
        assert mine.mass == pytest.approx(other.mass, abs=1e-4)
        assert mine.score == pytest.approx(other.score, abs=0.0101)  # scores are kept to 0.01
    assert len({row.score for row in ours}) >= 5


@pytest.mark.parametrize(
    "overrides",
    [
        ["judge.reading=probability"],
        ["judge.reading=rationale", GREEDY, "judge.reading.sampling.max_tokens=20"],
    ],
)
def test_preferences_are_the_transformers_engines(engine: VllmEngine, plain: Engine, overrides: list[str]) -> None:
    prompts, answers = pool(24)
    keys = ["judge.question=comparison", "judge.reading=probability", "judge.reading.min_mass=1e-9", *overrides]
    recipe = build_recipe([], keys).judge
    ours, theirs = (
        rows_of(compare_answers(player(one), prompts, answers, recipe, made_from={}, round=0, artifact="compared"))
        for one in (engine, plain)
    )
    assert len(ours) == 8 * 3 * 2
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.preference == pytest.approx(other.preference, abs=1e-4)
        assert mine.text == other.text
    assert len({round(row.preference, 2) for row in ours if row.preference is not None}) > 5


class InWaves:
    """The same engine without `converse`, so that it is asked with a barrier after every wave."""

    kind = "vllm"

    def __init__(self, engine: VllmEngine) -> None:
        self._engine, self.calls = engine, 0

    def generate(self, requests: Sequence[Request], seed: int) -> list[list[Completion]]:
        self.calls += 1
        return self._engine.generate(requests, seed)


def further(engine: Any, chunk: int = 768) -> tuple[Rows[Judgment], Rows[Judgment]]:
    prompts, answers = pool(120)
    recipe = JudgeRecipe(aggregate=AdaptiveRecipe(tolerance=0.0), reading=VerdictReading(sampling=SamplingRecipe(1.6)))
    who = player(engine, chunk)
    first = rows_of(judge_pointwise(who, prompts, answers, first_pass(recipe), made_from={}, round=1))
    return first, rows_of(judge_further(who, prompts, answers, first, recipe, round=1, artifact="further"))


def test_without_a_barrier_the_judgments_are_the_same(engine: VllmEngine) -> None:
    assert isinstance(engine, Converser)
    waves = InWaves(engine)
    assert not isinstance(waves, Converser)
    _, in_waves = further(waves)
    assert waves.calls > 4
    _, freely = further(engine)
    assert len(in_waves) > 100
    assert sorted(freely, key=lambda row: row.id) == sorted(in_waves, key=lambda row: row.id)


def test_each_chunk_is_the_same_whatever_was_asked_before_it(engine: VllmEngine) -> None:
    """What a run that was killed computes again: single chunks, in a cache that knows other prompts."""
    prompts, answers = pool(120)
    recipe = JudgeRecipe(aggregate=AdaptiveRecipe(tolerance=0.0), reading=VerdictReading(sampling=SamplingRecipe(1.6)))
    first, _ = further(engine)
    work = judge_further(player(engine, 32), prompts, answers, first, recipe, round=1, artifact="further")
    assert len(work.chunks) == 4, len(work.chunks)
    whole = [list(work.compute(chunk, index)) for index, chunk in enumerate(work.chunks)]
    for index in (2, 0):
        engine._forget_prefixes()
        assert list(work.compute(work.chunks[index], index)) == whole[index]


def counting(log: list[str], name: str, turns: int, seed: int) -> Dialogue:
    """`turns` turns of one to three requests each, of very different lengths."""
    lot = random.Random(seed)
    for turn in range(turns):
        count = lot.randint(1, 3)
        asked = [
            Request(f"{name}.{turn}.{number}", (Message("user", QUESTION),), 2, 1.0, 1.0, lot.choice([1, 30]), seed)
            for number in range(count)
        ]
        replies = yield asked
        assert [len(group) for group in replies] == [2] * count
        assert [len(group[0].token_ids) <= one.max_tokens for group, one in zip(replies, asked, strict=True)]
        log.append(name)


def test_a_dialogue_does_not_wait_for_another(engine: VllmEngine) -> None:
    log: list[str] = []
    engine.converse([counting(log, "many", 12, 1), counting(log, "few", 2, 2), counting(log, "none", 0, 3)])
    assert Counter(log) == {"many": 12, "few": 2}
    slow = dataclasses.replace(_request("slow"), max_tokens=200, n=1)
    order: list[str] = []

    def one(name: str, request: Request, turns: int) -> Dialogue:
        for _ in range(turns):
            yield [request]
            order.append(name)

    forced = dataclasses.replace(_request("fast"), max_tokens=1, n=1)
    engine.converse([one("slow", slow, 1), one("fast", forced, 3)])
    assert order.index("slow") > 0, "one token needs fewer steps than a reply"
    engine.converse([])


def _request(name: str) -> Request:
    return Request(name, (Message("user", QUESTION),), 1, 0.0, 1.0, 24, 1)


def test_a_dialogue_that_fails_leaves_nothing_running(engine: VllmEngine) -> None:
    def broken() -> Dialogue:
        yield [dataclasses.replace(_request("broken"), max_tokens=1)]
        raise EngineError("the judge broke off")

    def long() -> Dialogue:
        yield [dataclasses.replace(_request("long"), n=3, temperature=2.0)]

    with pytest.raises(EngineError, match="broke off"):
        engine.converse([long(), broken()])
    assert engine._running._llm.llm_engine.get_num_unfinished_requests() == 0
    assert engine.generate([_request("after")], 1)[0][0].finish_reason == "stop"
