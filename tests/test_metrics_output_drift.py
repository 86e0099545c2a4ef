"""Drift of what the policy writes: planted changes found, nulls silent, second implementations."""

import dataclasses
import random

import numpy as np
import pytest
from evidence_factory import evidence, holds, prompts, response
from scipy.spatial.distance import jensenshannon
from sklearn.linear_model import Ridge

from selfreward.measuring.evidence import PoolRows
from selfreward.measuring.metrics.policy import output_drift, two_sample

COMMON = [f"word{number}" for number in range(10, 50)]


def pool(seed, count=40, samples=4, extra=0.0, longer=0, length=10):
    """Independent draws of one sampler. `extra`: share of a new word as long as the others; `longer`: more words."""
    rng = random.Random(seed)
    asked = prompts(count)
    answers = []
    for index, prompt in enumerate(asked):
        topic = COMMON[index % 10 : index % 10 + 20]
        for sample in range(samples):
            text = ["wordxx" if rng.random() < extra else rng.choice(topic) for _ in range(length + longer)]
            answers.append(response(prompt, sample, " ".join(text)))
    return PoolRows(asked, answers, [])


def drift(now, then, module):
    return {row.metric: row for row in module.measure(evidence(now, initial=then))}


def test_js_finds_a_new_word_and_grows_with_it():
    little, much = (drift(pool(1, extra=dial), pool(0), output_drift)["ngram_js_initial"] for dial in (0.1, 0.5))
    assert little.low > 0 and little.high < much.low


def test_js_of_the_same_sampler_is_zero_on_average_although_raw_js_is_not():
    """A null of 60 pairs: the mean excess is within its error of 0, and few intervals exclude 0."""
    values, alarms = [], 0
    for seed in range(60):
        row = drift(pool(2 * seed, 30, 4), pool(2 * seed + 1, 30, 4), output_drift)["ngram_js_initial"]
        values.append(row.value)
        alarms += not holds(row, 0.0)
    error = np.std(values, ddof=1) / len(values) ** 0.5
    assert abs(np.mean(values)) < 3 * error
    assert alarms <= 8
    raw = _raw_js(pool(0, 30, 4), pool(1, 30, 4))
    assert raw > 5 * error


def _raw_js(one, other):
    columns = {}
    tables = []
    for rows in (one, other):
        counts = {}
        for answer in rows.responses:
            for word in answer.text.split():
                column = columns.setdefault(word, len(columns))
                counts[column] = counts.get(column, 0) + 1
        tables.append(counts)
    return jensenshannon(*([table.get(c, 0) for c in range(len(columns))] for table in tables), base=2) ** 2


def test_js_is_scipys_squared_on_two_disjoint_halves():
    """Disjoint vocabularies, and halves of a round alike: exactly the 1 of base 2."""
    asked = prompts(4)
    now, then = (
        PoolRows(asked, [response(p, k, text) for p in asked for k in (0, 1)], []) for text in ("a b c", "d e f")
    )
    assert drift(now, then, output_drift)["ngram_js_initial"].value == pytest.approx(1.0)
    assert drift(now, now, output_drift)["ngram_js_initial"].value == pytest.approx(0.0, abs=1e-12)
    halves = np.asarray([[3.0, 1.0, 0.0]]), np.asarray([[1.0, 1.0, 2.0]])
    shares = [half / half.sum() for half in halves]
    assert output_drift._js(shares[0][0], shares[1][0]) == pytest.approx(
        jensenshannon(shares[0][0], shares[1][0], base=2) ** 2
    )


def test_c2st_finds_a_new_word_and_length_alone_does_not():
    found = drift(pool(1, extra=0.15), pool(0), two_sample)
    assert found["c2st_auc_initial"].low > 0.5 and found["c2st_p_initial"].value == 0.005
    assert holds(found["c2st_length_auc_initial"], 0.5)


def test_c2st_of_length_finds_longer_answers():
    found = drift(pool(1, longer=3), pool(0), two_sample)
    assert found["c2st_length_auc_initial"].value == 1.0 and found["c2st_p_initial"].value == 0.005


def test_c2st_is_silent_on_the_same_sampler_at_its_stated_level():
    """100 nulls: p below .05 about five times, and at .5 on average."""
    values = [
        drift(pool(2 * seed, 15, 2), pool(2 * seed + 1, 15, 2), two_sample)["c2st_p_initial"].value
        for seed in range(100)
    ]
    assert sum(value <= 0.05 for value in values) <= 11
    assert np.mean(values) == pytest.approx(0.5, abs=0.1)


def test_the_held_out_scores_are_ridge_regressions_on_other_prompts():
    rng = np.random.default_rng(0)
    names = [f"p{index % 12:02d}" for index in range(48)]
    features, labels = rng.normal(size=(48, 5)), rng.choice([-1.0, 1.0], size=(48, 3))
    scores = two_sample.held_out_scores(features, names, labels)
    fold = np.asarray([int(name[1:]) % two_sample.FOLDS for name in names])
    for number in range(two_sample.FOLDS):
        fitted = Ridge(alpha=two_sample.RIDGE).fit(features[fold != number], labels[fold != number])
        assert scores[fold == number] == pytest.approx(fitted.predict(features[fold == number]))


def test_equal_rounds_cannot_be_told_apart_and_rounds_without_common_prompts_have_no_rows():
    same = drift(pool(0), pool(0), two_sample)
    assert same["c2st_auc_initial"].value == 0.5 and same["c2st_p_initial"].value > 0.2
    now = pool(0, 12)
    elsewhere = PoolRows(prompts(24)[12:], [], [])
    others = dataclasses.replace(
        elsewhere, responses=[response(p, k, "a b") for p in elsewhere.prompts for k in range(4)]
    )
    assert drift(now, others, two_sample) == {} == drift(now, others, output_drift)
    assert drift(pool(0, 5), pool(1, 5), two_sample) == {}


def test_prompts_that_one_round_lacks_are_excluded_and_counted():
    now, then = pool(0, 20), pool(1, 15)
    for module, metric in ((two_sample, "c2st_auc_initial"), (output_drift, "ngram_js_initial")):
        row = drift(now, then, module)[metric]
        assert (row.n, row.excluded) == (15, 20)


def test_both_earlier_rounds_are_compared_where_they_are_there():
    given = dataclasses.replace(evidence(pool(0, 12), initial=pool(1, 12)), previous=pool(2, 12, extra=0.5))
    names = {row.metric: row.value for row in output_drift.measure(given)}
    assert names["ngram_js_previous"] > names["ngram_js_initial"]
    assert output_drift.measure(dataclasses.replace(given, round=0)) == []
    assert two_sample.measure(dataclasses.replace(given, round=0)) == []
