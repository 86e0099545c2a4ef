"""Prediction-powered means: closed forms, the papers' own formula, coverage under a biased judge, and the width."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfreward.errors import DataError
from selfreward.measuring.stats.clustered import clustered_mean
from selfreward.measuring.stats.prediction_powered import prediction_powered_mean


def names(count, of=1):
    return [f"p{number // of}" for number in range(count)]


def world(rng, prompts=200, answers=3, skill=0.8, bias=1.0):
    """Labels 0 to 5 that are alike inside a prompt, and a judge `bias` too generous with this much skill."""
    level = np.repeat(rng.normal(size=prompts), answers)
    label = np.clip(np.round(2.5 + level + rng.normal(size=prompts * answers)), 0, 5)
    judge = skill * label + bias + (1 - skill) * 2.5 * rng.normal(size=len(label))
    return label, judge, names(len(label), answers)


def drawn(rng, label, count):
    chosen = set(rng.choice(len(label), count, replace=False).tolist())
    return [float(value) if number in chosen else None for number, value in enumerate(label)]


TRUE_MEAN = 2.5
"""By symmetry of the labels around the middle of the scale."""


def test_by_hand():
    """Four rows, two labelled: 1 and 3 where the judge says 2 and 4; the other two are judged 4 and 6."""
    powered = prediction_powered_mean([2, 4, 4, 6], [1.0, 3.0, None, None], names(4), slope=1.0)
    assert powered.estimate.value == pytest.approx(2 - (3 - 4))
    assert (powered.human_only.value, powered.judge_only.value) == (2.0, 4.0)
    assert (powered.labelled, powered.rows, powered.estimate.n) == (2, 4, 2)
    half = prediction_powered_mean([2, 4, 4, 6], [1.0, 3.0, None, None], names(4), slope=0.5)
    assert half.estimate.value == pytest.approx(2 - 0.5 * (3 - 4))


def test_all_labels_are_the_clustered_mean_whatever_the_judge_says():
    rng = np.random.default_rng(0)
    label, judge, prompts = world(rng, 30)
    powered = prediction_powered_mean(judge, label.tolist(), prompts)
    plain = clustered_mean(label, prompts)
    assert powered.estimate.value == pytest.approx(plain.value) and powered.estimate.n == plain.n
    assert powered.estimate.high - powered.estimate.value == pytest.approx(plain.high - plain.value, rel=0.05)
    assert powered.slope == 0.0


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(10, 60), st.floats(0, 1))
def test_the_papers_own_formula_gives_the_same(seed, count, slope):
    """PPI++ writes n labelled rows apart from M others: slope' = slope · N/M, variance f'²/M + var(y - f')/n."""
    rng = np.random.default_rng(seed)
    label, judge, _ = world(rng, 200, 1)
    labels = drawn(rng, label, count)
    known = np.asarray([value is not None for value in labels])
    own = slope * (len(label) - count) / len(label)
    theirs = label[known].mean() + own * (judge[~known].mean() - judge[known].mean())
    ours = prediction_powered_mean(judge, labels, names(200), slope=slope).estimate
    assert ours.value == pytest.approx(theirs)
    spread = own**2 * judge[~known].var(ddof=1) / (~known).sum()
    spread += (label[known] - own * judge[known]).var(ddof=1) / count
    from scipy.stats import t

    half = t.ppf(0.975, count - 1) * math.sqrt(spread)
    assert ours.high - ours.value == pytest.approx(half, rel=0.05)


def test_the_slope_is_the_papers_best_one():
    """cov(y, f) / ((1 + n/M) var f) for their form; times N/M for ours that is cov / var, and 1 at most."""
    rng = np.random.default_rng(3)
    label, judge, _ = world(rng, 4000, 1, skill=0.6)
    labels = drawn(rng, label, 1000)
    found = prediction_powered_mean(judge * 2, labels, names(4000))
    assert found.slope == pytest.approx(np.cov(label, judge * 2)[0, 1] / np.var(judge * 2), abs=0.03)
    assert 0.2 < found.slope < 0.5
    compressed = prediction_powered_mean(judge / 10, labels, names(4000))
    assert compressed.slope == 1.0
    assert prediction_powered_mean(-judge, labels, names(4000)).slope == 0.0


def coverage(runs, rows=60, **kind):
    """Shares of runs whose interval holds the truth (both sources, people, judge), and the median ratio of widths."""
    hits, widths = np.zeros(3), []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        label, judge, prompts = world(rng, **kind)
        found = prediction_powered_mean(judge, drawn(rng, label, rows), prompts)
        three = (found.estimate, found.human_only, found.judge_only)
        hits += [one.low <= TRUE_MEAN <= one.high for one in three]
        widths.append((found.estimate.high - found.estimate.low) / (found.human_only.high - found.human_only.low))
    return hits / runs, float(np.median(widths))


def test_coverage_under_a_planted_bias_and_a_width_that_the_judge_earns():
    """2,000 draws of 60 labels on 600 answers to 200 prompts; the judge is a point too generous (or .6 too little)."""
    good, narrower = coverage(2000)
    assert abs(good[0] - 0.95) < 0.02 and abs(good[1] - 0.95) < 0.02
    assert good[2] < 0.05, "the judge alone is sure and wrong"
    assert narrower < 0.7
    null, same = coverage(2000, skill=0.0)
    assert abs(null[0] - 0.95) < 0.02 and null[2] < 0.05
    assert 0.98 < same < 1.03, "a judge without information costs next to nothing"


def test_a_bad_judge_costs_less_the_more_labels_there_are():
    few, many = (coverage(200, rows=rows, skill=0.0)[1] for rows in (20, 300))
    assert many < max(few, 1.005) and many < 1.005


def test_a_draw_that_favours_rare_scores_biases_nothing():
    """Ten of each of the judge's points: top labels are far too many among these, the weighted share is covered."""
    hits, plain = 0, []
    truth = (1 - math.erf(0.5)) / 2  # P(label >= 4): a normal of variance 2 above 1
    for seed in range(400):
        rng = np.random.default_rng(seed)
        label, judge, prompts = world(rng, bias=0.5)
        top = (label >= 4).astype(float)
        points = np.clip(np.floor(judge + 0.5), 0, 5)
        chances, labels = np.zeros(len(label)), [None] * len(label)
        for point in np.unique(points):
            members = np.flatnonzero(points == point)
            chosen = rng.choice(members, min(10, len(members)), replace=False)
            chances[members] = len(chosen) / len(members)
            for one in chosen:
                labels[one] = float(top[one])
        found = prediction_powered_mean(judge, labels, prompts, chances).estimate
        hits += found.low <= truth <= found.high
        plain.append(np.mean([value for value in labels if value is not None]))
    assert 0.92 <= hits / 400 <= 0.99
    assert np.mean(plain) > truth + 0.04


def test_clustered_rows_need_a_wider_interval():
    """The same answer thrice per prompt is one answer."""
    rng = np.random.default_rng(0)
    label, judge, _ = world(rng, 100, 1)
    labels = drawn(rng, label, 40)
    once = prediction_powered_mean(judge, labels, names(100)).estimate
    thrice = prediction_powered_mean(np.repeat(judge, 3), [one for one in labels for _ in range(3)], names(300, 3))
    assert thrice.estimate.value == pytest.approx(once.value) and thrice.estimate.n == once.n
    assert thrice.estimate.high == pytest.approx(once.high)


def test_what_cannot_be_estimated_is_none_and_a_wrong_chance_is_named():
    nothing = prediction_powered_mean([1.0, 2.0], [None, None], names(2))
    assert nothing.estimate.value is None and nothing.judge_only.value == 1.5
    one = prediction_powered_mean([1.0, 2.0, 3.0], [2.0, None, None], names(3))
    assert one.estimate.value is not None and one.estimate.low is None
    constant = prediction_powered_mean([3.0] * 5, [1.0, 2.0, 3.0, None, None], names(5))
    assert constant.slope == 0.0 and constant.estimate == constant.human_only
    with pytest.raises(DataError, match=r"row 1.*chance"):
        prediction_powered_mean([1.0, 2.0], [1.0, 2.0], names(2), [1.0, 0.0])
