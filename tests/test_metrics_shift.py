"""PSI and MMD of two rounds' answers: closed forms, planted shifts, nulls, permutations."""

import random

import numpy as np
import pytest
from evidence_factory import evidence, prompts, response

from selfreward.measuring.evidence import PoolRows
from selfreward.measuring.metrics.policy import shift
from selfreward.report.catalogue import by_metric

WORDS = ["red", "blue", "green", "one", "two", "three", "four", "alpha", "beta", "gamma"]


def side(seed, count=20, samples=3, words=6, vocabulary=WORDS):
    """Answers of random words, some of which belong to the prompt."""
    rng, asked = random.Random(seed), prompts(count)
    return PoolRows(
        asked,
        [
            response(p, k, " ".join([p.text, *(rng.choice(vocabulary) for _ in range(rng.randint(1, words)))]))
            for p in asked
            for k in range(samples)
        ],
        [],
    )


def found(now, then):
    return {row.metric: row for row in shift.measure(evidence(now, initial=then))}


def test_psi_by_hand_and_in_the_limit():
    then = np.arange(1000.0)
    assert shift.psi(then, then) == pytest.approx(0, abs=1e-9)
    # All of `now` in the top tenth: about (1 - .1) ln(1 / .1) + 9 · .1 ln(.1 / 0⁺), half a row standing for 0.
    shares_now, shares_then = np.asarray([0.5] * 9 + [1000.5]) / 1005, np.full(10, 100.5) / 1005
    by_hand = float(((shares_now - shares_then) * np.log(shares_now / shares_then)).sum())
    assert shift.psi(np.full(1000, 5000.0), then) == pytest.approx(by_hand, rel=0.02)


def test_unbiased_mmd_by_hand():
    """Two prompts, one answer each in both rounds: only pairs of different prompts count."""
    features = np.asarray([[0.0], [1.0], [3.0], [4.0]])
    kernel = shift.gaussian_kernel(features)
    median = float(np.median([1.0, 9.0, 16.0, 4.0, 9.0, 1.0]))
    assert kernel[0, 2] == pytest.approx(np.exp(-9 / (2 * median)))
    value, _ = shift.discrepancy(features, ["p", "q", "p", "q"], 2)
    cross = (kernel[0, 3] + kernel[1, 2]) / 2
    assert value.value == pytest.approx(kernel[0, 1] + kernel[2, 3] - 2 * cross, abs=1e-8)


@pytest.mark.parametrize(
    ("changed", "metric"), [({"words": 14}, "length_psi"), ({"vocabulary": WORDS[5:]}, "text_mmd")]
)
def test_a_planted_shift_is_found_by_the_test_that_looks_for_it(changed, metric):
    rows = found(side(1, **changed), side(0))
    assert rows[f"{metric}_p_initial"].value == pytest.approx(0.005) and rows[f"{metric}_initial"].low > 0
    assert {name for name in rows if "initial" in name} <= by_metric().keys()
    assert rows[f"{metric}_initial"].n == 20


def test_p_values_of_rounds_alike_are_uniform_and_mmd_is_about_0():
    small = {"length_psi": 0, "text_mmd": 0}
    values = []
    for seed in range(60):
        rows = found(side(2 * seed + 5), side(2 * seed + 6))
        values.append(rows["text_mmd_initial"].value)
        for metric in small:
            small[metric] += rows[f"{metric}_p_initial"].value <= 0.1
    # 10 % of 60 with a Monte Carlo error of 2.3.
    assert max(small.values()) <= 13, small
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(60) + 1e-9


def test_few_prompts_and_the_first_round_say_nothing():
    assert found(side(0, count=9), side(1, count=9)) == {}
    assert shift.measure(evidence(side(0), initial=side(1), number=0)) == []
