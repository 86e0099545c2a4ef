"""Adaptive N: the frozen constants, the next question, what stopping early costs, and the stage on a real judge."""

import random
from math import fsum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging_factory import judgment, player, prompt, response, rows_of

from selfreward.judging.adaptive import first_pass, judge_further
from selfreward.judging.pointwise import judge_pointwise
from selfreward.judging.scoring.adaptive import Constants, estimate, next_questions, posteriors, shrunken
from selfreward.judging.scoring.answers import score_answers
from selfreward.judging.scoring.pointwise import aggregate
from selfreward.recipe import AdaptiveRecipe, JudgeRecipe
from selfreward.records import Rows
from selfreward.tasks.sandbox.pools import judge_pool

RECIPE = AdaptiveRecipe()
PLAIN = AdaptiveRecipe(tolerance=0.0, own_noise=False)
CONSTANTS = Constants(noise=1.0, prior=1.0)


def table(prompts, answers, sigma, seed, columns=11):
    """(true quality, judgments): prompts x answers, and x columns, on the scale 0..5."""
    rng = np.random.default_rng(seed)
    truth = np.clip(rng.normal(3.2, 0.7, (prompts, 1)) + rng.normal(0, 1, (prompts, answers)), 0, 5)
    noisy = truth[:, :, None] + rng.normal(0, sigma, (prompts, answers, columns))
    return truth, np.clip(np.rint(noisy), 0, 5)


def first_rows(verdicts, count=2):
    return [
        judgment(f"{p}.{a}", float(verdicts[p, a, n]), n, prompt_id=str(p))
        for p in range(verdicts.shape[0])
        for a in range(verdicts.shape[1])
        for n in range(count)
    ]


def race(verdicts, recipe, constants):
    """How many judgments each answer gets, and its score, prompt by prompt."""
    counts = np.full(verdicts.shape[:2], recipe.first)
    scores = np.zeros(verdicts.shape[:2])
    for p in range(verdicts.shape[0]):
        while True:
            known = {
                str(a): list(map(float, row[:n])) for a, (row, n) in enumerate(zip(verdicts[p], counts[p], strict=True))
            }
            wanted = next_questions(known, {name: len(values) for name, values in known.items()}, constants, recipe)
            if not wanted:
                break
            counts[p, [int(name) for name in wanted]] += 1
        for name, one in posteriors(known, constants, recipe).items():
            scores[p, int(name)] = one.mean
    return counts, scores


def true_gap(truth, scores):
    rows = np.arange(len(truth))
    return float((truth[rows, scores.argmax(1)] - truth[rows, scores.argmin(1)]).mean())


def test_the_noise_and_the_spread_that_were_planted_are_found():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1.5, (400, 6))
    verdicts = truth[:, :, None] + rng.normal(0, 0.7, (400, 6, 2))
    found = estimate(first_rows(verdicts))
    assert found.sigma == pytest.approx(0.7, rel=0.03)
    assert found.prior == pytest.approx(1.5**2, rel=0.05)
    within = ((verdicts - verdicts.mean(2, keepdims=True)) ** 2).sum() / (400 * 6)
    assert found.noise == pytest.approx(within)


def test_the_constants_do_not_depend_on_the_order_of_rows_and_ignore_what_was_not_read():
    rows = first_rows(table(20, 4, 1.0, 1)[1])
    mixed = [*rows, judgment("0.0", None, 9, prompt_id="0")]
    random.Random(0).shuffle(mixed)
    assert estimate(mixed).noise == pytest.approx(estimate(rows).noise)
    assert estimate(mixed).prior == pytest.approx(estimate(rows).prior)


def test_nothing_to_estimate_from_gives_zeros_and_no_question():
    assert estimate([]) == Constants(0.0, 0.0)
    assert estimate([judgment("a", None)]) == Constants(0.0, 0.0)
    assert next_questions({"a": [1.0], "b": [5.0]}, {"a": 1, "b": 1}, Constants(0.0, 0.0), RECIPE) == []
    assert posteriors({"a": [], "b": []}, CONSTANTS, RECIPE) == {}


def test_the_posterior_is_the_one_of_a_normal_mean():
    found = posteriors({"a": [4.0, 5.0], "b": [1.0]}, Constants(0.5, 2.0), PLAIN)
    centre = (4.5 + 1.0) / 2
    precision = 1 / 2.0 + 2 / 0.5
    assert found["a"].mean == pytest.approx((centre / 2.0 + 9.0 / 0.5) / precision)
    assert found["a"].error == pytest.approx(precision**-0.5)
    assert 1.0 < found["b"].mean < centre < found["a"].mean < 4.5


def test_the_leader_and_its_challenger_are_asked_on_both_sides_and_nobody_else():
    scores = {"a": [5, 5], "b": [5, 4], "c": [3, 3], "d": [1, 1], "e": [1, 0]}
    asked = dict.fromkeys(scores, 2)
    assert next_questions(scores, asked, Constants(0.3, 3.0), PLAIN) == ["a", "b", "d", "e"]
    asked["b"] = PLAIN.cap
    assert next_questions(scores, asked, Constants(0.3, 3.0), PLAIN) == ["a", "d", "e"]


def test_a_clear_prompt_and_a_single_answer_are_settled():
    assert next_questions({"a": [5, 5], "b": [0, 0]}, {"a": 2, "b": 2}, Constants(0.1, 4.0), RECIPE) == []
    assert next_questions({"a": [3, 5]}, {"a": 2}, CONSTANTS, RECIPE) == []


def test_answers_that_tie_for_sure_are_left_alone_within_the_tolerance():
    scores = {"a": [5.0] * 4, "b": [5.0] * 4, "c": [0.0] * 4}
    asked = dict.fromkeys(scores, 4)
    assert next_questions(scores, asked, Constants(0.2, 4.0), PLAIN) == ["a", "b"]
    assert next_questions(scores, asked, Constants(0.2, 4.0), RECIPE) == []


def test_an_answer_that_was_never_read_is_asked_up_to_the_cap_and_has_no_score():
    scores = {"a": [4.0, 4.0], "b": [], "c": [2.0, 2.0]}
    assert "b" in next_questions(scores, {"a": 2, "b": 2, "c": 2}, CONSTANTS, RECIPE)
    assert "b" not in next_questions(scores, {"a": 2, "b": RECIPE.cap, "c": 2}, CONSTANTS, RECIPE)
    rows = [judgment("a", 4.0), judgment("a", 3.0, 1), judgment("b", None), judgment("c", 1.0), judgment("c", 2.0, 1)]
    assert set(shrunken(rows, RECIPE)) == {"a", "c"}


@given(
    st.dictionaries(
        st.sampled_from("abcdefgh"),
        st.lists(st.integers(0, 5).map(float), min_size=0, max_size=11),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([RECIPE, PLAIN]),
    st.floats(-2, 2),
    st.randoms(),
)
def test_the_next_question_depends_on_the_prompts_own_verdicts_only(scores, recipe, shift, rng):
    asked = {name: len(values) for name, values in scores.items()}
    wanted = next_questions(scores, asked, CONSTANTS, recipe)
    names = list(scores)
    rng.shuffle(names)
    mixed = {name: rng.sample(scores[name], len(scores[name])) for name in names}
    assert next_questions(mixed, asked, CONSTANTS, recipe) == wanted
    assert all(asked[name] < recipe.cap for name in wanted) and len(wanted) <= 4


def test_scores_are_shrunk_towards_the_prompt_and_the_number_used_is_kept():
    rows = [judgment("a", s, n) for n, s in enumerate([5.0, 4.0])]
    rows += [judgment("b", s, n) for n, s in enumerate([3.0, 2.0, 3.0, 2.0])]
    recipe = JudgeRecipe(aggregate=AdaptiveRecipe(own_noise=False))
    scores, drops = score_answers(rows, recipe)
    assert drops == [] and (scores["a"].readable, scores["b"].readable) == (2, 4)
    assert 2.5 < scores["b"].value < 3.5 < scores["a"].value < 4.5
    assert 4.5 - scores["a"].value > scores["b"].value - 2.5, "two judgments are pulled more than four"
    assert score_answers(rows, JudgeRecipe())[0] == aggregate(rows, "mean")


def test_a_stopped_winners_mean_is_too_high_and_its_posterior_mean_is_not():
    rng = np.random.default_rng(7)
    truth = rng.normal(0, 1, (1500, 6))
    verdicts = truth[:, :, None] + rng.normal(0, 1, (1500, 6, 11))
    constants = estimate(first_rows(verdicts))
    counts, scores = race(verdicts, PLAIN, constants)
    rows, best = np.arange(len(truth)), scores.argmax(1)
    raw = np.array([verdicts[p, best[p], : counts[p, best[p]]].mean() for p in rows])
    bias, shrunk = (raw - truth[rows, best]).mean(), (scores[rows, best] - truth[rows, best]).mean()
    assert bias > 0.1
    assert abs(shrunk) < bias / 2


@pytest.mark.parametrize("recipe", [RECIPE, PLAIN])
def test_at_equal_numbers_of_judgments_the_pairs_are_truly_further_apart_than_under_uniform_n(recipe):
    differences, flat = [], []
    for seed in range(6):
        truth, verdicts = table(250, 8, 1.0, seed)
        counts, scores = race(verdicts, recipe, estimate(first_rows(verdicts)))
        assert counts.max() <= recipe.cap and counts.min() >= recipe.first
        each = -(-counts.sum() // counts.size)
        lot = np.random.default_rng(seed).random(truth.shape) * 1e-6
        differences.append(true_gap(truth, scores) - true_gap(truth, verdicts[:, :, :each].mean(2) + lot))
        mixed = np.random.default_rng(seed).permutation(verdicts.reshape(-1)).reshape(verdicts.shape)
        flat.append(true_gap(truth, mixed[:, :, :2].mean(2) + lot))
    mean, error = np.mean(differences), np.std(differences, ddof=1) / len(differences) ** 0.5
    assert mean - 2.57 * error > 0
    assert abs(np.mean(flat)) < 0.2, "verdicts without information make no gap"


def stage_rows(tmp_path, chunk):
    pool = judge_pool(24)
    prompts = {item.task.text: prompt(item.task.text, item.task.text) for item in pool}
    answers = [response(f"r{n}", item.task.text, item.response) for n, item in enumerate(pool)]
    recipe = JudgeRecipe(aggregate=AdaptiveRecipe(cap=4, tolerance=0.0))
    who = player(tmp_path, chunk=chunk)
    first = rows_of(judge_pointwise(who, prompts, answers, first_pass(recipe), made_from={}, round=1))
    further = judge_further(who, prompts, answers, first, recipe, round=1, artifact="further")
    return first, rows_of(further), further


def test_the_stage_goes_on_from_the_first_pass_up_to_the_cap_and_twice_alike(tmp_path):
    first, further, work = stage_rows(tmp_path, chunk=768)
    assert further, "some prompts must be open after two judgments"
    per_answer = {}
    for row in [*first, *further]:
        per_answer.setdefault(row.response_id, []).append(row.sample)
    assert all(sorted(samples) == list(range(len(samples))) for samples in per_answer.values())
    assert max(map(len, per_answer.values())) == 4 and min(map(len, per_answer.values())) == 2
    assert work.made_from["constants"]["noise"] == estimate(first).noise
    assert stage_rows(tmp_path, chunk=768)[1] == further
    assert len({row.id for row in [*first, *further]}) == len(first) + len(further)
    assert fsum(len(samples) for samples in per_answer.values()) < 4 * len(per_answer)


def test_a_prompt_is_never_split_over_chunks(tmp_path):
    _, _, work = stage_rows(tmp_path, chunk=4)
    assert len(work.chunks) > 1
    places = [{answer.prompt_id for unit in chunk for answer in unit} for chunk in work.chunks]
    assert sum(map(len, places)) == len(set().union(*places))


def test_without_responses_there_is_no_work(tmp_path):
    work = judge_further(
        player(tmp_path), {}, [], Rows([], "d"), JudgeRecipe(aggregate=AdaptiveRecipe()), round=1, artifact="further"
    )
    assert rows_of(work) == []
