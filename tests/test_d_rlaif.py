"""d-RLAIF: the judge's expected score on either scale, read also where a tokenizer splits digits, as a reward."""

import math
from pathlib import Path

import pytest
from judging_factory import player, prompt, response, rows_of
from random_models import save_random_model

from selfreward.commands.run import run
from selfreward.engines.hugging_face.engine import HuggingFaceEngine
from selfreward.engines.protocol import ReplyStart, TokenSequence
from selfreward.engines.tensors import weights_digest
from selfreward.errors import NotOneTokenError, RecipeError
from selfreward.judging.expected import judge_expected, read_scale
from selfreward.judging.prompts.pointwise import opening
from selfreward.judging.scoring.answers import score_answers
from selfreward.judging.scoring.expected import SCALES, expected_value, ten_in_two
from selfreward.progress import Progress
from selfreward.recipe import ModelRecipe, ProbabilityReading, TransformersRecipe
from selfreward.recipe.judge import JudgeRecipe
from selfreward.recipe.questions import ScoreQuestion
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Judgment, Message, Response, Reward, distinct
from selfreward.store.results import Store
from selfreward.training.weighing.rewards import scaled

TEN = SCALES["1-10"]
SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SMALL = (
    *("meta.enabled=false", "prompts.writer.share=0", "prompts.per_round=12", "rounds=2"),
    *("measure.report=4", "measure.gate=2", "measure.selection=2", "measure.frozen=0"),
    *("measure.judge_probes.padded=0", "measure.judge_probes.claims=0", "measure.judge_probes.initial=0"),
)


@pytest.mark.parametrize("score", range(1, 11))
def test_a_reward_is_the_papers_linear_map_of_the_score_from_1_to_10(score: int) -> None:
    logprobs = [0.0 if word == str(score) else -math.inf for word in TEN.words]
    value, mass = expected_value(logprobs, TEN.points, 0.5)
    assert mass == 1 and isinstance(value, float)
    assert scaled(value) == pytest.approx(2 * (score - 1) / 9 - 1)


def test_ten_in_two_parts_what_a_1_may_become() -> None:
    first = [math.log(one) for one in (0.4, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.1, 0.1)]
    second = [math.log(one) for one in (0.6, 0.01, 0.09, *[0.01] * 7)]
    found = [math.exp(one) for one in ten_in_two(first, second)]
    assert found[0] == pytest.approx(0.4 * (1 - 0.77)) and found[-1] == pytest.approx(0.4 * 0.6)
    assert found[1:-1] == pytest.approx([math.exp(one) for one in first[1:]])
    # What is neither 1 nor 10, such as 12, is no score: its mass is missing.
    assert sum(found) == pytest.approx(1 - 0.4 * 0.17)
    certain = ten_in_two(first, [0.0, *[-math.inf] * 9])
    assert certain[0] == -math.inf and certain[-1] == first[0]
    assert ten_in_two((), second) == ten_in_two(first, ()) == ()


@pytest.mark.parametrize("family", ["qwen25", "qwen3"])
def test_split_digits_give_what_teacher_forcing_gives(family: str, tmp_path: Path) -> None:
    save_random_model(family, tmp_path / family)
    engine = HuggingFaceEngine(ModelRecipe(path=str(tmp_path / family), device="cpu"), TransformersRecipe())
    engine.load(tmp_path / family, weights_digest(tmp_path / family))
    starts = [ReplyStart(str(n), (Message("user", f"Rate {n}"),), f"{'fine ' * n}\nScore:".strip()) for n in range(3)]
    with pytest.raises(NotOneTokenError, match="'10' is not one token"):
        engine.next_token_logprobs(starts, TEN.words)
    for start, found in zip(starts, read_scale(engine, starts, TEN), strict=True):
        before = engine.prompt_token_ids(start.messages)
        forced = {}
        for word in (*TEN.words, *(f"1{digit}" for digit in range(1, 10))):
            (reply,) = engine._chat._encode([f"{start.reply} {word}"])
            own = 2 if len(word) == 2 else 1
            forced[word] = sum(engine.logprobs([TokenSequence(before, tuple(reply))])[0][-own:])
        assert list(found[1:]) == pytest.approx([forced[word] for word in TEN.words[1:]], abs=2e-3)
        longer = sum(math.exp(forced[f"1{digit}"]) for digit in range(10))
        assert math.exp(found[0]) == pytest.approx(math.exp(forced["1"]) - longer, abs=1e-4)


def test_a_token_for_ten_is_read_at_once_and_points_are_kept_on_the_scale_of_all_scores(tmp_path: Path) -> None:
    rules = [{"replies": ["-"], "next": {"10": 0.6, "1": 0.2, "4": 0.2}}]
    recipe = JudgeRecipe(question=ScoreQuestion(template="ten"), reading=ProbabilityReading(scale="1-10"))
    (row,) = rows_of(
        judge_expected(player(tmp_path, *rules), {"p": prompt()}, [response("r")], recipe, made_from={}, round=1)
    )
    assert row.score == round(5 * (0.6 * 9 + 0.2 * 0 + 0.2 * 3) / 9, 2) and row.mass == pytest.approx(1)
    assert row.template.startswith("judge/ten@")
    assert opening("ten", "It is right.\nScore: 9") == "It is right.\nScore:"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["judge.question.template=ten"], "reads 0 to 5"),
        (["judge.question.template=ten", "judge.reading=probability"], "set judge.reading.scale=1-10"),
        (["judge.reading=probability", "judge.reading.scale=1-10"], "asks for a score of 0-5"),
        (["judge.question=comparison", "judge.reading=probability", "judge.reading.scale=1-10"], "not read by"),
        (
            [
                *("judge.question.template=ten", "judge.reading=probability", "judge.reading.scale=1-10"),
                "measure.held_out.model=initial",
            ],
            "measure.held_out.reading=verdict",
        ),
    ],
)
def test_a_scale_that_the_question_does_not_ask_for_is_refused(overrides: list[str], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        build_recipe([], overrides)


@pytest.mark.parametrize("judge", [pytest.param("initial", marks=pytest.mark.slow), "policy"])
def test_the_expected_score_of_a_frozen_or_a_live_judge_is_the_reward(judge: str, tmp_path: Path) -> None:
    keys = ("judge.reading=rationale", f"judge.model={judge}", "train.method=rloo", "train.batch_size=16")
    recipe = load_recipe(SMOKE, [*SMALL, *keys])
    store = Store(tmp_path, share=False)
    run(recipe, store, "d", Progress(style="silent"))
    view = store.existing("d")
    start, first = (view.seal(number, "checkpoint").facts["digest"] for number in (0, 1))  # type: ignore[union-attr]
    judged_by = {1: start, 2: start if judge == "initial" else first}
    for number in (1, 2):
        judgments = view.read(number, "judgments", Judgment)
        assert {one.judge for one in judgments} == {judged_by[number]}
        scores, _ = score_answers(judgments, recipe.judge)
        assert any(score.value % 1 for score in scores.values()), "an expectation is not a whole number everywhere"
        responses = view.read(number, "responses", Response)
        named = {(one.prompt_id, one.text): one.id for one in distinct(responses)}
        rewards = {one.response_id: one.value for one in view.read(number, "rewards", Reward)}
        assert rewards
        for one in responses:
            if one.id in rewards:
                assert rewards[one.id] == scaled(scores[named[one.prompt_id, one.text]].value)
