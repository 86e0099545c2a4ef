"""The judge's pick among N: enumeration of all subsets, a planted judge, a null, and what is left out."""

import dataclasses
import random
from itertools import combinations
from statistics import fmean

import pytest
from evidence_factory import blind, evidence, guessing, holds, noisy, prompts, reply, rows, truthful, varied
from hypothesis import given
from hypothesis import strategies as st

from selfreward.measuring.metrics.judge.best_of_n import UNREAD, expected_pick, measure
from selfreward.measuring.metrics.policy import coverage, truth
from selfreward.report.catalogue import OTHER, family_of
from selfreward.tasks.verifiers.protocol import Truth


def found(given):
    return {row.metric: row for row in measure(given) if row.pool == "report"}


def by_enumeration(scores, truths, n):
    picks = []
    for subset in combinations(range(len(scores)), n):
        best = max(scores[index] for index in subset)
        picks.append(fmean(truths[index] for index in subset if scores[index] == best))
    return fmean(picks)


@given(st.lists(st.tuples(st.sampled_from([UNREAD, 0.0, 1.0, 2.5, 5.0]), st.integers(0, 5)), min_size=1, max_size=7))
def test_the_expectation_is_that_over_all_subsets_with_ties_by_lot(samples):
    scores, truths = [score for score, _ in samples], [float(truth) for _, truth in samples]
    for n in range(1, len(samples) + 1):
        assert expected_pick(scores, truths, n) == pytest.approx(by_enumeration(scores, truths, n))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=7), st.randoms())
def test_invariants_of_a_pick(samples, shuffler):
    scores, truths = [float(score) for score, _ in samples], [float(truth) for _, truth in samples]
    sizes = range(1, len(samples) + 1)
    assert expected_pick(scores, truths, 1) == pytest.approx(fmean(truths))
    oracle = [expected_pick(truths, truths, n) for n in sizes]
    assert oracle == sorted(oracle) and oracle[-1] == max(truths)
    for n in sizes:
        assert expected_pick([0.0] * len(scores), truths, n) == pytest.approx(fmean(truths)), "a judge without opinion"
        assert expected_pick([3 * score - 7 for score in scores], truths, n) == expected_pick(scores, truths, n)
        assert expected_pick(scores, truths, n) <= oracle[n - 1] + 1e-12
    mixed = shuffler.sample(samples, len(samples))
    assert expected_pick(*zip(*mixed, strict=True), 2) == pytest.approx(expected_pick(scores, truths, 2))


def test_a_truthful_judge_picks_as_the_oracle_and_agrees_with_the_other_metrics():
    given_rows = evidence(rows(varied(60), truthful))
    one = found(given_rows)
    for n in (2, 4, 6):
        picked, oracle = one[f"judge_best_of_{n}_quality"], one[f"oracle_best_of_{n}_quality"]
        assert (picked.value, picked.low, picked.high) == pytest.approx((oracle.value, oracle.low, oracle.high))
    others = {row.metric: row for row in [*truth.measure(given_rows), *coverage.measure(given_rows)]}
    assert one["judge_best_of_1_accuracy"].value == pytest.approx(others["true_accuracy"].value)
    assert one["judge_best_of_1_quality"].value == pytest.approx(others["true_quality"].value)
    assert one["judge_best_of_6_accuracy"].value == pytest.approx(others["best_of_k_accuracy"].value)
    assert one["judge_best_of_4_accuracy"].value == pytest.approx(others["pass_at_4"].value)
    gain, reach = one["judge_best_of_n_gain"], one["judge_best_of_n_reach"]
    whole = one["judge_best_of_6_quality"].value - one["judge_best_of_1_quality"].value
    assert gain.value == pytest.approx(whole) and gain.low > 1
    assert (reach.value, reach.low, reach.high) == pytest.approx((1.0, 1.0, 1.0))


def test_a_planted_loss_of_judgement_is_found_in_order():
    planted = varied(150)
    judges = {"truthful": truthful, "noisy": noisy(1, 4), "guessing": guessing(1)}
    gains = {name: found(evidence(rows(planted, judge)))["judge_best_of_n_gain"] for name, judge in judges.items()}
    assert gains["truthful"].low > gains["noisy"].high and gains["noisy"].low > gains["guessing"].high
    worst = found(evidence(rows(planted, lambda _, quality: [5.0 - quality])))
    assert worst["judge_best_of_n_gain"].high < -1 and worst["judge_best_of_n_reach"].high < -0.5


def test_a_judge_without_information_gains_nothing_at_the_promised_rate():
    """The null: in 60 worlds of 40 prompts, about 57 intervals of 95 % hold 0."""
    inside = reaches = 0
    for seed in range(60):
        one = found(evidence(rows(varied(40, seed), guessing(seed))))
        inside += holds(one["judge_best_of_n_gain"], 0.0)
        reaches += holds(one["judge_best_of_n_reach"], 0.0)
    assert inside >= 53 and reaches >= 52


def test_an_unread_answer_is_picked_only_where_no_other_is_there():
    qualities = {prompt: [5, 5, 0] for prompt in prompts(10)}
    shy = rows(qualities, lambda _, quality: [None] if quality == 5 else [1.0])
    assert found(evidence(shy))["judge_best_of_3_quality"].value == 0.0
    mute = rows(qualities, lambda *_: [None])
    assert found(evidence(mute))["judge_best_of_n_gain"].value == pytest.approx(0.0)


class HalfOpen:
    """The sandbox's verifier, which leaves the first sample of every prompt open."""

    def __init__(self, verifier):
        self.verifier = verifier

    def check(self, prompt, text):
        if text == reply(prompt, 5):
            return Truth(0.0, False, "", False, None, "took too long")
        return self.verifier.check(prompt, text)


def test_what_the_verifier_leaves_open_is_no_sample():
    qualities = {prompt: [5, 3, 1] for prompt in prompts(8)}
    whole = evidence(rows(qualities, truthful))
    one = found(dataclasses.replace(whole, verifier=HalfOpen(whole.verifier)))
    assert one["judge_best_of_2_quality"].value == 3.0 and one["judge_best_of_1_quality"].value == 2.0
    assert one["judge_best_of_2_quality"].excluded == 8 and "judge_best_of_3_quality" not in one


def test_nothing_to_gain_has_no_share_and_one_prompt_no_interval():
    same = found(evidence(rows({prompt: [3, 3] for prompt in prompts(5)}, truthful)))
    assert same["judge_best_of_n_gain"].value == 0 and same["judge_best_of_n_reach"].value is None
    alone = found(evidence(rows({prompts(1)[0]: [5, 0]}, truthful)))
    assert alone["judge_best_of_2_accuracy"].value == 1.0 and alone["judge_best_of_2_quality"].low is None


def test_every_row_is_oracle_knowledge_with_words_and_a_user_without_truth_sees_none():
    given_rows = evidence(rows(varied(20), noisy(random.Random(0).randrange(9))))
    measured = measure(given_rows)
    assert measured and all(row.oracle and row.better == "higher" and row.n == 20 for row in measured)
    assert all(family_of(row.metric) is not OTHER for row in measured)
    assert measure(blind(given_rows)) == []
    assert measure(evidence(rows(varied(5)))) == [], "nobody judged"
