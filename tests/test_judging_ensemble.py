"""Ensembles: every member weighs the same, and where they disagree there is no score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging_factory import judgment

from selfreward.judging.scoring.answers import score_answers
from selfreward.recipe import EnsembleAggregate, JudgeRecipe

SCORES = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=5)


def recipe(bound=None):
    return JudgeRecipe(aggregate=EnsembleAggregate(members=("one", "two"), max_disagreement=bound))


def rows(first, second, of="a"):
    return [judgment(of, score, n, template="one") for n, score in enumerate(first)] + [
        judgment(of, score, n, template="two") for n, score in enumerate(second)
    ]


@given(SCORES, SCORES)
def test_the_score_is_the_mean_of_the_members_means_however_often_each_was_asked(first, second):
    scores, drops = score_answers(rows(first, second), recipe())
    assert drops == []
    means = sum(first) / len(first), sum(second) / len(second)
    assert scores["a"].value == pytest.approx(sum(means) / 2)
    assert scores["a"].readable == len(first) + len(second)
    assert scores == score_answers(rows(first, second)[::-1], recipe())[0]


@given(SCORES, SCORES, st.floats(0, 5))
def test_an_answer_is_dropped_exactly_where_members_differ_by_more_than_the_bound(first, second, bound):
    scores, drops = score_answers(rows(first, second), recipe(bound))
    apart = abs(sum(first) / len(first) - sum(second) / len(second))
    if abs(apart - bound) > 1e-9:
        assert [drop.reason for drop in drops] == (["low agreement"] if apart > bound else [])
    assert ("a" in scores) != bool(drops)


def test_a_member_that_could_not_be_read_agrees_with_nobody():
    judged = [*rows([4.0], [4.0], "a"), *rows([4.0], [None], "b"), *rows([None], [None], "c")]
    scores, drops = score_answers(judged, recipe(1.0))
    assert set(scores) == {"a"} and {drop.subject for drop in drops} == {"b", "c"}
    scores, drops = score_answers(judged, recipe())
    assert set(scores) == {"a", "b"} and drops == [] and scores["b"].unreadable == 1


def test_two_names_for_the_same_weights_are_one_member():
    same = [judgment("a", 4.0, 0), judgment("a", 2.0, 1)]
    scores, drops = score_answers(same, recipe(0.5))
    assert scores["a"].value == 3.0 and drops == []


def test_a_verifiers_verdicts_are_nobodys_opinion():
    judged = [*rows([5.0], [1.0], "a"), judgment("v", 5.0, judge="exact", source="verifier")]
    scores, drops = score_answers(judged, recipe(1.0))
    assert scores["v"].value == 5.0 and [drop.subject for drop in drops] == ["a"]
