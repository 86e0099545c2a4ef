"""Win rates by the loop's own judge: planted wins, a judge that pays for length, nulls, symmetry."""

import dataclasses
import random

import numpy as np
import pytest
from evidence_factory import evidence, holds, judgments, prompts, response
from sklearn.linear_model import LogisticRegression

from selfreward.measuring.evidence import PoolRows
from selfreward.measuring.metrics.policy import win_rate

RAW, CONTROLLED = "self_judged_win_rate_initial", "self_judged_win_rate_lc_minimal_initial"


def side(seed, score, count=60, samples=3, mean_length=40):
    """Answers of random length; `score(length, rng)` is the judge's only verdict."""
    rng, asked = random.Random(seed), prompts(count)
    answers = [response(p, k, "x" * max(1, round(rng.gauss(mean_length, 10)))) for p in asked for k in range(samples)]
    return PoolRows(asked, answers, [j for a in answers for j in judgments(a, [score(len(a.text), rng)])])


def rates(now, then):
    return {row.metric: row for row in win_rate.measure(evidence(now, initial=then))}


def level(mean):
    return lambda _, rng: rng.gauss(mean, 1)


def test_a_better_policy_wins_with_the_chance_that_its_scores_say():
    """Normal scores one deviation apart: P(win) = Φ(1/√2) = .76, whatever the lengths."""
    found = rates(side(1, level(1.0)), side(0, level(0.0)))
    for metric in (RAW, CONTROLLED):
        assert holds(found[metric], 0.760) and found[metric].low > 0.6


def test_a_judge_that_pays_for_length_alone_is_seen_through():
    """Longer by two deviations and scored by length: nearly always wins; at equal length it would not."""

    def by_length(length, rng):
        return length / 10 + rng.gauss(0, 1)

    found = rates(side(1, by_length, mean_length=60), side(0, by_length, mean_length=40))
    assert found[RAW].low > 0.75
    assert abs(found[CONTROLLED].value - 0.5) < 0.15 and found[CONTROLLED].high < found[RAW].low


def test_the_same_policy_is_at_half_in_almost_all_of_100_nulls():
    misses = dict.fromkeys((RAW, CONTROLLED), 0)
    for seed in range(100):
        found = rates(side(2 * seed, level(0.0), 30), side(2 * seed + 1, level(0.0), 30))
        for metric in misses:
            misses[metric] += not holds(found[metric], 0.5)
    assert max(misses.values()) <= 13, misses


def test_turning_the_sides_round_turns_the_rates_round():
    one, other = side(1, level(0.7), mean_length=60), side(0, level(0.0))
    there, back = rates(one, other), rates(other, one)
    for metric in (RAW, CONTROLLED):
        assert there[metric].value == pytest.approx(1 - back[metric].value)
        assert there[metric].low == pytest.approx(1 - back[metric].high)


def test_the_regression_is_scikit_learns_on_doubled_rows():
    rng = np.random.default_rng(0)
    covariate = np.tanh(rng.normal(size=200))
    wins = np.asarray(rng.choice([0.0, 0.5, 1.0], size=200))
    # scikit-learn, too, leaves the intercept free.
    fitted = LogisticRegression(C=1 / win_rate.RIDGE, tol=1e-10, max_iter=1000).fit(
        np.concatenate([covariate, covariate])[:, None],
        np.repeat([1, 0], 200),
        sample_weight=np.concatenate([wins, 1 - wins]),
    )
    expected = fitted.coef_[0, 0], fitted.intercept_[0]
    assert win_rate.fit_slope_and_level(covariate, wins) == pytest.approx(expected, abs=1e-4)


def test_the_ridge_does_not_pull_the_level():
    """A policy that wins nine times in ten at every length keeps its rate, whatever the ridge."""
    rng = np.random.default_rng(1)
    covariate = np.tanh(rng.normal(size=400))
    covariate -= covariate.mean()
    for ridge in (0.1, 10.0, 1e4):
        level = win_rate.fit_slope_and_level(covariate, np.full(400, 0.9), ridge)[1]
        assert 1 / (1 + np.exp(-level)) == pytest.approx(0.9, abs=1e-4)


def test_what_the_ridge_may_have_taken_is_in_the_interval():
    """Few prompts and a strong taste: the ridge lets part of it through, and the interval still holds the half."""
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        gaps = rng.normal(20, 40, 50)
        wins = (rng.random(50) < 1 / (1 + np.exp(-np.tanh(gaps / 40)))).astype(float)
        found = win_rate.length_controlled({f"p{i}": (wins[i : i + 1], gaps[i : i + 1]) for i in range(50)})
        held += found.low <= 0.5 <= found.high
    assert held >= 52


def test_ties_are_half_and_equal_lengths_leave_the_raw_rate():
    same = rates(side(0, lambda *_: 3.0), side(1, lambda *_: 3.0))
    assert same[RAW].value == 0.5 and same[CONTROLLED].value == pytest.approx(0.5)
    asked = prompts(4)
    answers = [response(prompt, 0, "four") for prompt in asked]
    now, then = (PoolRows(asked, answers, [j for a in answers for j in judgments(a, [s])]) for s in (4.0, 2.0))
    found = rates(now, then)
    assert found[RAW].value == found[CONTROLLED].value == 1.0


def test_unread_answers_and_prompts_of_one_side_only_are_excluded():
    now, then = side(0, level(0.0), 20), side(1, level(0.0), 15)
    first = now.responses[0].id
    unread = [
        dataclasses.replace(j, score=None, unreadable="no verdict") if j.response_id == first else j
        for j in now.judgments
    ]
    found = rates(dataclasses.replace(now, judgments=unread), then)
    assert (found[RAW].n, found[RAW].excluded) == (15, 16)
    silent = dataclasses.replace(then, judgments=[])
    assert rates(now, silent) == {} == rates(silent, then)
    assert win_rate.measure(dataclasses.replace(evidence(now, initial=then), round=0)) == []


def test_one_side_that_always_wins_stays_finite():
    found = rates(side(0, lambda *_: 5.0), side(1, lambda *_: 1.0))
    assert found[RAW].value == 1.0 and 0.99 < found[CONTROLLED].value <= 1.0
    assert found[CONTROLLED].high <= 1.0
