"""Calibration, sign test and multiple choice: closed forms, planted judges, nulls."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from evidence_factory import evidence, pair, rows, varied
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference
from sklearn.metrics import brier_score_loss

from selfreward.errors import DataError
from selfreward.measuring.metrics.judge import label_calibration
from selfreward.measuring.stats.calibration import adaptive_bins, calibration
from selfreward.measuring.stats.sign_test import sign_test
from selfreward.report.reliability_plot import reliability_plot

SHARES = st.floats(0, 1)


def names(count):
    return [f"p{index}" for index in range(count)]


@given(st.lists(st.tuples(SHARES, st.sampled_from((0.0, 0.5, 1.0))), min_size=1, max_size=60))
def test_the_parts_of_brier_add_up_and_ece_keeps_its_bounds(pairs):
    p, y = np.asarray(pairs).T
    found = calibration(p, y, names(len(p)))
    parts = found.reliability - found.resolution + found.uncertainty + found.within
    assert found.brier.value == pytest.approx(parts, abs=1e-9)
    # The bins' root mean square gap is never below their mean gap (Jensen).
    assert 0 <= found.adaptive_ece <= math.sqrt(found.reliability) + 1e-9
    assert abs(p.mean() - y.mean()) <= found.ece + 1e-9
    assert sum(one.rows for one in found.curve) == len(p)


def test_brier_is_scikit_learns_and_ece_by_hand():
    p, y = [0.1, 0.15, 0.9, 0.9], [0.0, 1.0, 1.0, 1.0]
    found = calibration(p, y, names(4))
    assert found.brier.value == pytest.approx(brier_score_loss(y, p))
    assert found.ece == pytest.approx(0.5 * abs(0.125 - 0.5) + 0.5 * abs(0.9 - 1.0))


def test_a_calibrated_judge_is_left_alone_and_an_overconfident_one_found():
    rng = np.random.default_rng(0)
    beyond = 0
    for _ in range(60):
        p = rng.beta(2, 2, 200)
        found = calibration(p, rng.random(200) < p, names(200))
        beyond += found.adaptive_ece > found.noise_95
        assert found.expected_by_noise < found.noise_95
    assert beyond <= 8
    sure = np.where(p > 0.5, 0.97, 0.03)
    found = calibration(sure, rng.random(200) < p, names(200))
    assert found.adaptive_ece > 2 * found.noise_95 and len(found.curve) == 2
    assert found.curve[1].predicted == pytest.approx(0.97) and found.curve[1].observed.high < 0.9


def test_equal_probabilities_share_a_bin_and_others_are_about_even():
    bins = adaptive_bins(np.asarray([0.5] * 70 + [i / 100 for i in range(30)]))
    assert len(set(bins[:70].tolist())) == 1
    even = np.bincount(adaptive_bins(np.linspace(0, 1, 200)))
    assert len(even) == 10 and set(even.tolist()) == {20}


@pytest.mark.parametrize(("p", "y", "says"), [([], [], "no rows"), ([1.2], [1], "row 0: its probability is 1.2")])
def test_what_is_no_probability_is_named(p, y, says):
    with pytest.raises(DataError, match=says):
        calibration(p, y, names(len(p)))


def soft_pairs(trust, count=80):
    """Pairs of answers of unequal quality whose label is right with just this probability, or claims to be."""
    given = rows(varied(count, 4, "train"))
    qualities = [level for levels in varied(count, 4, "train").values() for level in levels]
    rng, made = np.random.default_rng(5), []
    for number in range(0, len(given.responses), 6):
        one, other = number, number + 1
        if qualities[one] == qualities[other]:
            continue
        better, worse = (one, other) if qualities[one] > qualities[other] else (other, one)
        p = float(rng.uniform(0.5, 1))
        chosen, rejected = (better, worse) if rng.random() < trust(p) else (worse, better)
        made.append(pair(given.responses[chosen], given.responses[rejected], p))
    return dataclasses.replace(
        evidence(), round_prompts=given.prompts, round_responses=given.responses, round_pairs=made
    )


def test_soft_labels_that_mean_what_they_say_and_such_that_do_not():
    honest = {row.metric: row for row in label_calibration.measure(soft_pairs(lambda p: p, 200))}
    assert honest["label_ece"].value <= honest["label_ece_noise"].value
    assert honest["label_brier"].oracle and honest["label_brier"].low < 1 / 6 < honest["label_brier"].high
    guessed = {row.metric: row for row in label_calibration.measure(soft_pairs(lambda p: 0.5, 200))}
    assert guessed["label_ece"].value > guessed["label_ece_noise"].value
    given = soft_pairs(lambda p: p)
    hard = [dataclasses.replace(one, label=1.0) for one in given.round_pairs]
    assert label_calibration.measure(dataclasses.replace(given, round_pairs=hard)) == []


@given(st.lists(st.integers(-3, 3), max_size=40))
def test_the_sign_test_is_the_binomial_one_and_turns_round(values):
    found = sign_test(values)
    back = sign_test([-value for value in values])
    assert (found.ups, found.downs, found.p) == (back.downs, back.ups, back.p)
    ups, downs = sum(v > 0 for v in values), sum(v < 0 for v in values)
    tail = reference.binom.cdf(min(ups, downs), ups + downs, 0.5)
    assert found.p == pytest.approx(min(1.0, 2 * tail)) and found.ties == len(values) - ups - downs


def test_the_sign_test_keeps_its_level_and_finds_a_small_steady_gain():
    rng = np.random.default_rng(3)
    assert sum(sign_test(rng.normal(size=60)).p < 0.05 for _ in range(200)) <= 18
    # One wild prompt hides the gain from a mean; not from signs.
    steady = [0.1] * 40 + [-50.0]
    assert sign_test(steady).p < 1e-6 and np.mean(steady) < 0


def test_the_report_draws_the_bins_of_the_last_round_with_soft_labels():
    given = soft_pairs(lambda p: p, 100)
    answers = {}
    for one in given.round_responses:
        answers.setdefault(one.prompt_id, []).append(SimpleNamespace(response=one))
    reading = SimpleNamespace(
        name="soft",
        rounds=[0, 1],
        verifier=given.verifier,
        prompts_of=lambda _: given.round_prompts,
        pairs=lambda _: given.round_pairs,
        train_answers=lambda _: {name: SimpleNamespace(answers=rows) for name, rows in answers.items()},
    )
    number, svg = reliability_plot(reading)
    labels = [one.label for one in given.round_pairs]
    shown = calibration(labels, np.ones(len(labels)), names(len(labels)))
    assert number == 1 and svg.startswith("<svg") and 'class="diagonal"' in svg
    assert svg.count("<title>claimed") == len(shown.curve)
    reading.pairs = lambda _: [dataclasses.replace(one, label=1.0) for one in given.round_pairs]
    assert reliability_plot(reading) is None
