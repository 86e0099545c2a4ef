"""Rewards and advantages by their laws: what changes nothing, what is never a number, who is above whom."""

import itertools
import random
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trl.trainer.utils import nanstd

from selfreward.judging.scoring.score import counted
from selfreward.records import Response
from selfreward.tasks.verifiers.protocol import Grade
from selfreward.training.weighing.advantages import ADVANTAGES, advantages, group_centred, leave_one_out
from selfreward.training.weighing.rewards import Opinions, Shaping, rewards, scaled, with_kl

points = st.integers(0, 15).map(lambda thirds: thirds / 3)
group = st.lists(points, min_size=2, max_size=8)
groups = st.lists(group, min_size=1, max_size=5)


def by_id(lists):
    return {f"p{i}": {f"p{i}/{j}": value for j, value in enumerate(values)} for i, values in enumerate(lists)}


def found(lists, how, **options):
    return advantages(by_id(lists), how, **options)[0]


# Advantages


@given(groups, st.sampled_from(ADVANTAGES), st.lists(st.integers(-8, 8), min_size=5, max_size=5))
def test_a_constant_added_to_the_rewards_of_a_prompt_changes_nothing(lists, how, constants):
    moved = [[value + constants[i] for value in values] for i, values in enumerate(lists)]
    # Thirds are not exact in binary: what was a uniform group may differ in the last bit after the addition.
    assert found(moved, how, keep_uniform=True) == pytest.approx(found(lists, how, keep_uniform=True), abs=1e-9)


@given(groups, st.sampled_from(ADVANTAGES), st.sampled_from([0.25, 4.0]))
def test_a_scale_is_kept_by_those_that_do_not_normalise(lists, how, scale):
    before, after = found(lists, how), found([[scale * value for value in values] for values in lists], how)
    if how.endswith("normalised"):
        assert after == pytest.approx(before, rel=1e-2, abs=1e-9)  # up to what is added to the sd
    else:
        assert after == pytest.approx({name: scale * value for name, value in before.items()}, abs=1e-9)


def test_normalising_by_the_group_or_by_the_round():
    lists = [[0.0, 1.0], [0.0, 4.0]]
    each, both = found(lists, "group_normalised"), found(lists, "batch_normalised")
    assert each["p0/1"] == pytest.approx(each["p1/1"], rel=1e-3)
    assert both["p1/1"] == pytest.approx(4 * both["p0/1"])
    assert statistics.stdev(both.values()) == pytest.approx(1, rel=1e-3)


@given(group, st.sampled_from(ADVANTAGES), st.randoms(use_true_random=False))
def test_answers_that_change_places_take_their_advantages_along(values, how, source):
    order = list(range(len(values)))
    source.shuffle(order)
    before, after = found([values], how), found([[values[i] for i in order]], how)
    for place, i in enumerate(order):
        assert after.get(f"p0/{place}") == pytest.approx(before.get(f"p0/{i}"))


@given(st.lists(points, min_size=2, max_size=12))
def test_leave_one_out_is_the_mean_of_the_others_and_a_scaled_centred_one(values):
    n = len(values)
    for i, advantage in enumerate(leave_one_out(values)):
        assert advantage == pytest.approx(values[i] - statistics.fmean(values[:i] + values[i + 1 :]), abs=1e-12)
    assert group_centred(values) == pytest.approx([(n - 1) / n * a for a in leave_one_out(values)], abs=1e-12)


def test_of_two_answers_leave_one_out_is_their_difference_once_with_each_sign():
    assert leave_one_out([3.0, 1.0]) == [2.0, -2.0]


@given(groups)
def test_equal_to_what_trl_computes(lists):
    for values in lists:
        if len(set(values)) < 2:
            continue
        tensor = torch.tensor(values, dtype=torch.float64)
        trl = (tensor - tensor.mean()) / (nanstd(tensor) + 1e-4)
        assert list(found([values], "group_normalised").values()) == pytest.approx(trl.tolist(), abs=1e-6)


def test_equal_texts_count_as_often_as_they_were_sampled():
    """Two right answers of which one was given three times: the baseline is the mean over the four samples."""
    assert group_centred([1.0, 1.0, 1.0, 0.0]) == [0.25, 0.25, 0.25, -0.75]


@pytest.mark.parametrize("how", ADVANTAGES)
def test_groups_that_teach_nothing_are_named(how):
    given_groups = {"none": {}, "one": {"a": 1.0}, "same": {"b": 0.2, "c": 0.2}, "two": {"d": 1.0, "e": 0.0}}
    kept, drops = advantages(given_groups, how)
    assert set(kept) == {"d", "e"} and sum(kept.values()) == pytest.approx(0)
    assert {(drop.subject, drop.reason, drop.stage) for drop in drops} == {
        ("none", "no readable answer", "samples"),
        ("one", "one readable answer", "samples"),
        ("same", "uniform group", "samples"),
    }
    with_uniform, drops = advantages(given_groups, how, keep_uniform=True)
    assert with_uniform["b"] == with_uniform["c"] == 0 and len(drops) == 2


# Rewards


def answer(number: int, finish: str = "stop", tokens: int = 3) -> Response:
    ids = tuple(range(tokens))
    return Response(f"r{number}", "p", number, "policy", f"text {number}", "", ids, finish, 0, "plain")


def opinions(scores=(), correct=(), answers=()):
    """Scores and grades of r0, r1, ...; None is no opinion, and a verdict that leaves the answer open."""
    words = answers or [""] * len(correct)
    return Opinions(
        {f"r{i}": counted(score) for i, score in enumerate(scores) if score is not None},
        {f"r{i}": Grade(words[i], one, 5.0 * bool(one)) for i, one in enumerate(correct)},
    )


def values(answers, known, kind, **shaping):
    made, drops = rewards(answers, known, kind, Shaping(**shaping))
    assert {row.response_id for row in made}.isdisjoint(drop.subject for drop in drops)
    assert len(made) + len(drops) == len(answers)
    return {row.response_id: row.value for row in made}, {drop.subject: drop.reason for drop in drops}


def test_scores_fill_the_scale_and_an_unread_one_is_never_a_number():
    assert [scaled(score) for score in (0.0, 2.5, 5.0)] == [-1.0, 0.0, 1.0]
    found, dropped = values([answer(i) for i in range(3)], opinions([5.0, None, 0.0]), "score")
    assert found == {"r0": 1.0, "r2": -1.0} and dropped == {"r1": "unreadable"}


@given(st.lists(st.one_of(st.none(), points), min_size=3, max_size=6), st.data())
def test_an_unread_answer_moves_no_other_advantage(scores, data):
    """What the others get is what they get where it was never sampled."""
    answers = [answer(i) for i in range(len(scores))]
    there = [i for i, score in enumerate(scores) if score is not None]
    found, _ = values(answers, opinions(scores), "score")
    alone, _ = values([answers[i] for i in there], opinions(scores), "score")
    assert found == alone
    for how in ADVANTAGES:
        assert advantages({"p": found}, how)[0] == advantages({"p": alone}, how)[0]


@pytest.mark.parametrize("kind", ["score", "verdict", "quality", "verifier_and_judge", "votes"])
def test_a_truncated_answer_is_left_out_or_the_worst_whatever_is_said_of_it(kind):
    answers = [answer(0), answer(1, "length"), answer(2)]
    known = opinions([1.0, 5.0, 2.0], [True, True, False], ["a", "a", "b"])
    found, dropped = values(answers, known, kind)
    assert set(found) == {"r0", "r2"} and dropped == {"r1": "truncated"}
    floored, dropped = values(answers, known, kind, truncated="floor")
    assert floored == found | {"r1": -1.0} and not dropped


@given(st.lists(st.tuples(points, st.booleans()), min_size=2, max_size=8))
def test_no_judge_lifts_a_wrong_answer_over_a_right_one(said):
    answers = [answer(i) for i in range(len(said))]
    scores, correct = zip(*said, strict=True)
    found, _ = values(answers, opinions(scores, correct), "verifier_and_judge")
    for i, j in itertools.permutations(range(len(said)), 2):
        if correct[i] and not correct[j]:
            assert found[f"r{i}"] >= 0.5 > -1.0 == found[f"r{j}"]
        if correct[i] and correct[j] and scores[i] > scores[j]:
            assert found[f"r{i}"] > found[f"r{j}"]


def test_what_the_verifier_leaves_open():
    answers = [answer(i) for i in range(3)]
    found, dropped = values(answers, opinions([5.0, 5.0, 0.0], [None, True, False]), "verifier_and_judge")
    assert found == {"r1": 1.0, "r2": -1.0} and dropped == {"r0": "unreadable"}
    found, _ = values(answers, opinions([5.0, 2.5, 0.0], [None, None, None]), "verifier_and_judge")
    assert found == {"r0": 1.0, "r1": 0.0, "r2": -1.0}
    found, dropped = values(answers, opinions([5.0, None, 5.0], [True, True, False]), "verifier_and_judge")
    assert found == {"r0": 1.0, "r2": -1.0} and dropped == {"r1": "unreadable"}
    found, dropped = values(answers, opinions([], [None, True, False]), "verdict")
    assert found == {"r1": 1.0, "r2": -1.0} and dropped == {"r0": "unreadable"}


def test_the_most_voted_answers_are_right_and_without_an_answer_there_is_no_vote():
    words = ["a", "b", "a", "", "c"]
    found, dropped = values([answer(i) for i in range(5)], opinions([], [None] * 5, words), "votes")
    assert found == {"r0": 1.0, "r1": -1.0, "r2": 1.0, "r4": -1.0} and dropped == {"r3": "unreadable"}
    nobody, _ = values([answer(i) for i in range(3)], opinions([], [None] * 3, ["a", "b", "c"]), "votes")
    assert set(nobody.values()) == {1.0}  # nobody agrees: a uniform group, so nothing is learned


def test_length_costs_beyond_the_soft_length_only():
    answers = [answer(0, tokens=10), answer(1, tokens=20), answer(2, tokens=30)]
    found, _ = values(answers, opinions([5.0] * 3), "score", length_weight=0.5, soft_length=20)
    assert found == {"r0": 1.0, "r1": 1.0, "r2": 0.75}


def test_the_kl_of_an_answer_is_taken_off_its_reward():
    assert with_kl(1.0, [-1.0, -2.0], [-1.5, -4.0], 0.1) == pytest.approx(1 - 0.25)
    assert with_kl(1.0, [-2.0], [-1.0], 0.1) == pytest.approx(1.1)


def test_a_shuffled_reward_points_nowhere():
    """The control: rewards dealt to the answers by lot have no covariance with what the answers are worth."""
    source, worth, dealt = random.Random(0), [], []
    for _ in range(2000):
        truth = [source.choice((-1.0, 1.0)) for _ in range(6)]
        reward = list(truth)
        source.shuffle(reward)
        worth += truth
        dealt += leave_one_out(reward)
    assert abs(np.mean(np.multiply(worth, dealt)) - np.mean(worth) * np.mean(dealt)) < 0.05
    own = [advantage for g in range(0, len(worth), 6) for advantage in leave_one_out(worth[g : g + 6])]
    assert np.mean(np.multiply(worth, own)) > 0.8
