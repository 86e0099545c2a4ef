"""Agreement, stability and length bias of a judge: closed forms, second implementations, planted and null."""

import dataclasses
import math
import random

import numpy as np
import pytest
from evidence_factory import evidence, guessing, holds, judgments, prompts, reply, response, rows, truthful, varied
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from selfreward.measuring.evidence import PoolRows
from selfreward.measuring.metrics.judge import agreement as judge_agreement
from selfreward.measuring.metrics.judge import length as judge_length
from selfreward.measuring.metrics.judge import stability as judge_stability
from selfreward.measuring.stats.resampling import clustered_kendall
from selfreward.records import Labelled


def frozen(labels, scores, **more):
    """Evidence with one frozen answer per prompt and one verdict (or several) about each."""
    labelled = [
        Labelled(p, response(p, 0, f"text {k}"), float(label))
        for k, (p, label) in enumerate(zip(prompts(len(labels)), labels, strict=True))
    ]
    said = [
        row
        for item, score in zip(labelled, scores, strict=True)
        for row in judgments(item.response, score if isinstance(score, list) else [score])
    ]
    return dataclasses.replace(evidence(), frozen=labelled, frozen_judgments=said, verifier=None, **more)


def found(given, module, pool="frozen"):
    return {row.metric: row for row in module.measure(given) if row.pool == pool}


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=4, max_size=40))
def test_kappas_and_auc_are_scikit_learns(table):
    labels, scores = (list(side) for side in zip(*table, strict=True))
    result = found(frozen(labels, [float(score) for score in scores]), judge_agreement)
    for name, weights in (
        ("judge_kappa", None),
        ("judge_kappa_linear", "linear"),
        ("judge_kappa_quadratic", "quadratic"),
    ):
        value = result[name].value
        if len({*labels, *scores}) == 1:
            assert value is None
        else:
            expected = cohen_kappa_score(labels, scores, weights=weights, labels=range(6))
            assert value == pytest.approx(expected, abs=1e-9)
    assert result["judge_raw_agreement"].value == pytest.approx(np.mean([a == b for a, b in table]))
    good = [label > 2.5 for label in labels]
    if all(good) or not any(good):
        assert result["judge_auc"].value is result["judge_youden"].value is None
    else:
        assert result["judge_auc"].value == pytest.approx(roc_auc_score(good, scores))
        rates = [np.mean([s > 2.5 for g, s in zip(good, scores, strict=True) if g is side]) for side in (True, False)]
        assert result["judge_youden"].value == pytest.approx(rates[0] - rates[1])


def test_the_paradox_of_kappa_is_why_prevalence_and_ac1_stand_beside_it():
    """90 of 100 equal and kappa below 0, by hand: p_e = .905 and AC1's chance is .019."""
    labels, scores = [5.0] * 95 + [1.0] * 5, [5.0] * 90 + [1.0] * 5 + [5.0] * 5
    result = found(frozen(labels, scores), judge_agreement)
    assert result["judge_raw_agreement"].value == pytest.approx(0.9)
    assert result["judge_kappa"].value == pytest.approx((0.9 - 0.905) / 0.095)
    chance = 2 * 0.95 * 0.05 / 5
    assert result["judge_ac1"].value == pytest.approx((0.9 - chance) / (1 - chance))
    assert result["judge_prevalence"].value == pytest.approx(0.95) and result["judge_prevalence"].better == ""


def test_a_guessing_judge_has_kappa_around_0_in_almost_all_of_100_nulls():
    rng = random.Random(0)
    misses = dict.fromkeys(("judge_kappa", "judge_kappa_quadratic", "judge_youden"), 0)
    above = 0
    for _ in range(100):
        labels, scores = ([float(rng.randrange(6)) for _ in range(60)] for _ in range(2))
        result = found(frozen(labels, scores), judge_agreement)
        for name in misses:
            misses[name] += not holds(result[name], 0.0)
        above += not holds(result["judge_auc"], 0.5)
    assert max(*misses.values(), above) <= 13, (misses, above)


def test_a_judge_that_is_right_half_of_the_time_is_found():
    """Planted: equal marginals, right with chance 1/2 and else a guess: kappa 1/2."""
    rng = random.Random(1)
    labels = [float(rng.randrange(6)) for _ in range(400)]
    scores = [label if rng.random() < 0.5 else float(rng.randrange(6)) for label in labels]
    row = found(frozen(labels, scores), judge_agreement)["judge_kappa"]
    assert holds(row, 0.5) and row.low > 0.4 and row.oracle


def test_unread_verdicts_are_excluded_and_one_label_has_no_auc():
    result = found(frozen([5, 5, 5, 5], [5.0, None, 4.0, None]), judge_agreement)
    assert all(row.excluded == 2 for row in result.values())
    assert result["judge_auc"].value is None and result["judge_raw_agreement"].value == 0.5
    silent = found(frozen([5, 3], [None, None]), judge_agreement)
    assert all(row.value is None and row.n == 0 for row in silent.values())
    assert found(evidence(), judge_agreement) == {}


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=30))
def test_tau_is_scipys(table):
    one, other = zip(*table, strict=True)
    ours = clustered_kendall(one, other, [f"p{k}" for k in range(len(one))]).value
    expected = kendalltau(one, other).statistic
    assert ours is None if math.isnan(expected) else ours == pytest.approx(expected)


def test_tau_to_earlier_judges_finds_a_turned_judge_and_keeps_the_two_apart():
    labels = [k % 6 for k in range(60)]
    now, before = frozen(labels, [float(k) for k in labels]), frozen(labels, [5.0 - k for k in labels])
    given = dataclasses.replace(
        now, frozen_judgments_previous=before.frozen_judgments, frozen_judgments_initial=now.frozen_judgments
    )
    result = found(given, judge_stability)
    assert result["judge_tau_previous"].value == pytest.approx(-1.0)
    assert result["judge_tau_initial"].value == pytest.approx(1.0)
    assert not result["judge_tau_initial"].oracle
    assert "judge_tau_initial" not in found(dataclasses.replace(given, round=0), judge_stability)


def test_tau_of_two_guessing_judges_is_0_in_almost_all_of_100_nulls():
    rng, misses = random.Random(0), 0
    for _ in range(100):
        one, other = (frozen([0] * 50, [float(rng.randrange(6)) for _ in range(50)]) for _ in range(2))
        given = dataclasses.replace(one, frozen_judgments_initial=other.frozen_judgments)
        misses += not holds(found(given, judge_stability)["judge_tau_initial"], 0.0)
    assert misses <= 13


def test_answers_that_a_judge_could_not_read_are_left_out_of_tau_by_id():
    now, before = frozen([0, 1, 2, 3], [1.0, 2.0, 3.0, None]), frozen([0, 1, 2, 3], [1.0, 2.0, 9.0, 0.0])
    missing = [row for row in before.frozen_judgments if row.score != 9.0]
    given = dataclasses.replace(now, frozen_judgments_initial=missing)
    row = found(given, judge_stability)["judge_tau_initial"]
    assert (row.value, row.n, row.excluded) == (pytest.approx(1.0), 2, 2)


def test_retest_of_a_sure_a_noisy_and_a_guessing_judge():
    sure = found(evidence(rows(varied(40), truthful)), judge_stability, "report")
    assert (sure["judge_retest_agreement"].value, sure["judge_retest_deviation"].value) == (1.0, 0.0)
    guess = found(evidence(rows(varied(150), guessing(0))), judge_stability, "report")
    assert holds(guess["judge_retest_agreement"], 1 / 6)
    assert holds(guess["judge_retest_deviation"], math.sqrt(35 / 12))
    once = found(evidence(rows(varied(5), lambda *_: [3.0, None])), judge_stability, "report")
    assert once["judge_retest_agreement"].value is None and once["judge_retest_agreement"].excluded == 30


def fillers(count, score):
    """Per prompt two answers of equal quality, of which the second one has filler words."""
    asked = prompts(count)
    answers = [response(p, k, reply(p, 5, filler=4 * k)) for p in asked for k in (0, 1)]
    return evidence(PoolRows(asked, answers, [row for a in answers for row in judgments(a, [score(a)])]))


def test_a_judge_that_pays_for_length_is_found():
    given = fillers(60, lambda answer: 3.0 + math.log2(len(answer.text)) / 2)
    result = found(given, judge_length, "report")
    assert result["judge_prefers_longer"].value == 1.0 and result["judge_prefers_longer"].low > 0.9
    assert result["judge_length_slope"].value == pytest.approx(0.5)
    assert result["score_length_spearman"].value == pytest.approx(1.0)


def test_a_judge_that_does_not_look_at_length_is_at_chance_in_almost_all_of_100_nulls():
    misses = dict.fromkeys(("judge_prefers_longer", "judge_length_slope", "score_length_spearman"), 0)
    for seed in range(100):
        rng = random.Random(seed)
        result = found(fillers(40, lambda _, rng=rng: float(rng.randrange(6))), judge_length, "report")
        for name in misses:
            misses[name] += not holds(result[name], 0.5 if name == "judge_prefers_longer" else 0.0)
    assert max(misses.values()) <= 13, misses


def test_quality_is_held_equal():
    """A judge that is right, answers that are longer where they are better: rho is high, the matched share at half."""
    levels = {prompt: [1, 5] for prompt in prompts(30)}
    result = found(evidence(rows(levels, truthful)), judge_length, "report")
    assert result["score_length_spearman"].value == pytest.approx(1.0)
    assert result["judge_prefers_longer"].value is None and result["judge_length_slope"].value is None
    fair = found(fillers(30, lambda _: 4.0), judge_length, "report")
    assert fair["judge_prefers_longer"].value == 0.5 and fair["judge_length_slope"].value == 0.0
