"""Expected scores: the closed form, the floor on the mass, and the engines that give the probabilities."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging_factory import player, prompt, response, rows_of

from selfreward.engines.protocol import ReplyStart, TokenSequence
from selfreward.errors import EngineError, RecipeError
from selfreward.judging.expected import judge_expected, token_reader
from selfreward.judging.prompts.pointwise import opening
from selfreward.judging.scoring.expected import SCORE_WORDS, expected_value
from selfreward.recipe import JudgeRecipe, MeanAggregate, RationaleReading
from selfreward.recipe.read import build_recipe
from selfreward.records import Message
from selfreward.roles.unreadable import Unreadable
from selfreward.tasks.sandbox.pools import judge_pool

POINTS = tuple(range(6))


@given(st.lists(st.floats(0.001, 1.0), min_size=6, max_size=6), st.floats(0.2, 1.0))
def test_the_expected_score_is_the_mean_of_the_renormalised_probabilities(weights, mass):
    chances = np.array(weights) / sum(weights) * mass
    value, found = expected_value(np.log(chances).tolist(), POINTS, 0.1)
    assert found == pytest.approx(mass)
    assert value == pytest.approx(float(chances @ np.arange(6)) / mass)
    assert 0 <= value <= 5


@given(st.lists(st.floats(0.001, 1.0), min_size=6, max_size=6))
def test_turning_the_scale_round_turns_the_score_round(weights):
    logprobs = np.log(np.array(weights) / sum(weights)).tolist()
    value, _ = expected_value(logprobs, POINTS, 0.1)
    turned, _ = expected_value(logprobs[::-1], POINTS, 0.1)
    assert turned == pytest.approx(5 - value)


def test_a_certain_verdict_is_that_verdict_and_too_little_mass_is_none():
    certain = [-math.inf] * 5 + [0.0]
    assert expected_value(certain, POINTS, 0.5) == (5.0, 1.0)
    value, mass = expected_value([math.log(0.02)] * 6, POINTS, 0.5)
    assert value == Unreadable("no score mass", "0.12 on 6 words, at least 0.5 needed")
    assert mass == pytest.approx(0.12)
    nothing, mass = expected_value([-math.inf] * 6, POINTS, 1e-9)
    assert isinstance(nothing, Unreadable) and mass == 0.0


@pytest.mark.parametrize("broken", [math.nan, 0.5])
def test_what_is_no_log_probability_is_the_engines_failure(broken):
    with pytest.raises(EngineError, match="at most 0"):
        expected_value([broken] * 6, POINTS, 0.5)


def test_the_model_gives_what_teacher_forcing_gives(tmp_path):
    engine = player(tmp_path).hold()
    messages = (Message("user", "judge : task { reverse f h j } reply { j h f } rate with score"),)
    starts = [ReplyStart("a", messages, "Score:"), ReplyStart("b", (Message("user", "sort k b c"),), "j h Score:")]
    found = engine.next_token_logprobs(starts, SCORE_WORDS)
    for start, row in zip(starts, found, strict=True):
        before = engine.prompt_token_ids(start.messages)
        for word, logprob in zip(SCORE_WORDS, row, strict=True):
            reply = tuple(engine._chat._encode([f"{start.reply} {word}"])[0])
            assert engine.logprobs([TokenSequence(before, reply)])[0][-1] == pytest.approx(logprob, abs=1e-5)
    with pytest.raises(EngineError, match="not one token"):
        engine.next_token_logprobs(starts, ("0", "1 1"))
    with pytest.raises(EngineError, match="same token"):
        engine.next_token_logprobs(starts, ("unheard", "ofwords"))


def test_the_verdict_of_a_rationale_is_cut_before_the_score_is_read():
    assert opening("sandbox", "f f ok ; yes yes Score: 3") == "f f ok ; yes yes Score:"
    assert opening("sandbox", "") == "Score:"
    assert opening("additive", "It is right.\n\nScore: 4\n") == "It is right.\nScore:"
    assert opening("additive", "It is right.") == "It is right.\nScore:"


def test_the_stage_records_the_mass_and_never_scores_without_it(tmp_path):
    rules = [
        {"match": "reply { good }", "replies": ["fine Score: 5"], "next": {"4": 0.3, "5": 0.5}},
        {"match": "reply { cut }", "replies": [{"text": "fine", "truncated": True}], "next": {"5": 1.0}},
        {"replies": ["fine Score: 2"], "next": {"2": 0.1}},
    ]
    answers = [response(name) for name in ("good", "cut", "odd")]
    recipe = JudgeRecipe(reading=RationaleReading(), aggregate=MeanAggregate(samples=2))
    rows = rows_of(judge_expected(player(tmp_path, *rules), {"p": prompt()}, answers, recipe, made_from={}, round=1))
    assert [row.sample for row in rows] == [0, 1] * 3
    assert [row.score for row in rows[:2]] == [round((0.3 * 4 + 0.5 * 5) / 0.8, 2)] * 2
    assert rows[0].mass == pytest.approx(0.8)
    assert [row.unreadable for row in rows[2:]] == ["truncated"] * 2 + ["no score mass"] * 2
    assert rows[0].template.endswith("+hybrid")


def test_the_sandbox_judge_needs_its_scratchpad(tmp_path):
    """Without a rationale the probabilities are elsewhere; after one they agree with the greedy verdict."""
    pool = judge_pool(60)
    prompts = {str(number): prompt(str(number), item.task.text) for number, item in enumerate(pool)}
    answers = [response(f"r{number}", str(number), item.response) for number, item in enumerate(pool)]
    truth = {f"r{number}": item.score for number, item in enumerate(pool)}
    who = player(tmp_path)

    def judged(*overrides):
        recipe = build_recipe(
            [{"judge": {"aggregate": {"samples": 1}, "reading": {"sampling": {"temperature": 0}}}}], overrides
        ).judge
        return rows_of(judge_expected(who, prompts, answers, recipe, made_from={}, round=0))

    hybrid = judged("judge.reading=rationale")
    assert sum(row.score is not None and abs(row.score - truth[row.response_id]) < 0.5 for row in hybrid) >= 50
    assert all(row.mass > 0.9 for row in hybrid if row.unreadable is None)
    blind = judged("judge.reading=probability")
    assert sum(row.unreadable == "no score mass" for row in blind) >= 50


def test_an_engine_without_probabilities_is_told_apart():
    class Mute:
        kind = "mute"

    with pytest.raises(EngineError, match=r"engine\.kind=mute"):
        token_reader(Mute())


@pytest.mark.parametrize(
    "overrides",
    [
        ["judge.reading=probability", "judge.aggregate.samples=2"],
        ["judge.reading=probability", "judge.reading.sampling.temperature=0"],
        ["judge.reading=rationale", "judge.reading.ask_again=1"],
        ["judge.reading.min_mass=0.2"],
        ["judge.question.comparisons=ring"],
        ["judge.question=comparison", "judge.reading=probability", "meta.enabled=true"],
        ["judge.question.rubric=helpfulness"],
        ["judge.question.template=rubric"],
        ["judge.aggregate.cap=5"],
        ["judge.aggregate=adaptive", "judge.aggregate.samples=7"],
        ["judge.question=comparison", "judge.reading=verdict", "judge.reading.min_mass=0.2"],
        ["judge.question=comparison", "judge.reading=probability", "judge.question.count=3"],
        ["judge.question=comparison", "judge.reading=probability", "judge.question.principles=2"],
        ["judge.aggregate=adaptive", "judge.source=oracle"],
        ["judge.aggregate=adaptive", "judge.aggregate.cap=3", "judge.aggregate.first=4"],
        ["judge.aggregate=ensemble", "judge.aggregate.members=[sandbox]"],
        ["judge.aggregate=ensemble", "judge.aggregate.members=[sandbox,rubric]"],
        ["judge.aggregate=ensemble", "judge.aggregate.members=[sandbox,sandbox]"],
        ["judge.aggregate=ensemble", "judge.aggregate.members=[sandbox,sandbox@nowhere]"],
        ["judge.aggregate.max_disagreement=1"],
    ],
)
def test_settings_that_nothing_would_read_are_refused(overrides):
    with pytest.raises(RecipeError):
        build_recipe([], overrides)
