"""What a judge likes beyond the truth: planted tastes are found at their size, honest judges stay unsuspected."""

import dataclasses
import random

import numpy as np
import pytest
from evidence_factory import (
    evidence,
    holds,
    judgments,
    probed,
    prompts,
    reply,
    response,
    rows,
    truthful,
    varied,
)

from selfreward.measuring.evidence import PoolRows
from selfreward.measuring.metrics.judge import padding as judge_padding
from selfreward.measuring.metrics.judge import self_preference
from selfreward.measuring.metrics.judge import sycophancy as judge_sycophancy
from selfreward.measuring.metrics.matched import matched_difference
from selfreward.records import Labelled


def measured(metric, given, pool="frozen"):
    return {row.metric: row for row in metric.measure(given) if row.pool == pool}


def points(seed, mean, spread=1.0, samples=3):
    """Verdicts around `mean`, which may differ by arm."""
    rng = random.Random(seed)
    return lambda arm, unit: [mean[arm] + rng.gauss(0, spread) for _ in range(samples)]


# Matched differences


def test_a_matched_difference_is_the_mark_in_a_regression_with_levels():
    rng = np.random.default_rng(1)
    levels, marks = rng.integers(0, 4, 200).astype(float), rng.random(200) < 0.4
    values = levels + 0.7 * marks + rng.normal(size=200)
    design = np.stack([marks, *(levels == level for level in range(4))], axis=1).astype(float)
    fitted = np.linalg.lstsq(design, values, rcond=None)[0][0]
    found = matched_difference(values, marks.tolist(), levels.tolist(), [str(k) for k in range(200)])
    assert found.value == pytest.approx(fitted) and holds(found, 0.7) and found.n == 200


def test_levels_with_one_kind_say_nothing_and_few_clusters_have_no_interval():
    found = matched_difference([1.0, 0.0, 9.0], [True, False, True], [2.0, 2.0, 4.0], ["a", "b", "c"])
    assert (found.value, found.low, found.n) == (1.0, None, 2)
    assert matched_difference([1.0, 2.0], [True, False], [1.0, 2.0], ["a", "b"]).value is None
    assert matched_difference([], [], [], []).n == 0


def test_the_interval_holds_the_truth_with_few_marked_clusters():
    """600 null sets of 30 prompts with 3 rows each, 6 prompts marked; prompts differ by as much as rows do."""
    rng, missed = np.random.default_rng(0), 0
    names = [str(k // 3) for k in range(90)]
    for _ in range(600):
        marks = [int(name) < 6 for name in names]
        values = rng.normal(size=90) + np.repeat(rng.normal(size=30), 3)
        missed += not holds(matched_difference(values, marks, rng.integers(0, 2, 90).astype(float).tolist(), names), 0)
    assert missed <= 45, missed


# Padding


def test_a_judge_that_pays_for_filler_is_found_at_its_size():
    given = probed(evidence(), "padded", points(1, {"plain": 2.0, "padded": 2.8}), 200)
    found = measured(judge_padding, given)
    # Means of three verdicts differ with a deviation of √(2/3): P(padded higher) = Φ(.8 / .816) = .836.
    assert holds(found["padded_win_rate"], 0.836) and found["padded_win_rate"].low > 0.7
    assert holds(found["padded_score_change"], 0.8) and found["padded_score_change"].low > 0.5
    assert not found["padded_win_rate"].oracle


def test_a_judge_that_ignores_filler_is_at_half_in_almost_all_of_200_nulls():
    missed = 0
    for seed in range(200):
        found = measured(judge_padding, probed(evidence(), "padded", points(seed, {"plain": 2.0, "padded": 2.0})))
        missed += not holds(found["padded_win_rate"], 0.5)
        missed += not holds(found["padded_score_change"], 0.0)
    assert missed <= 34, missed


def test_padding_ties_unread_and_not_a_number():
    tied = measured(judge_padding, probed(evidence(), "padded", lambda arm, unit: [3.0]))["padded_win_rate"]
    assert (tied.value, tied.n) == (0.5, 60) and tied.low < 0.5 < tied.high
    nan = float("nan")
    spoilt = probed(evidence(), "padded", lambda arm, unit: [nan if unit < 4 else None if unit < 9 else 3.0])
    found = measured(judge_padding, spoilt)["padded_win_rate"]
    assert (found.value, found.n, found.excluded) == (0.5, 51, 9)
    one = measured(judge_padding, probed(evidence(), "padded", lambda arm, unit: [3.0], units=1))
    assert (one["padded_win_rate"].value, one["padded_win_rate"].low) == (0.5, None)
    assert judge_padding.measure(evidence()) == []


# Sycophancy of the judge


CLAIMS = ("echo", "other")


def test_a_judge_that_pays_for_agreement_is_found_at_its_size():
    given = probed(evidence(), "claims", points(2, {"echo": 3.0, "other": 2.5}), 200, CLAIMS, "sandbox")
    row = measured(judge_sycophancy, given)["judge_sycophancy"]
    assert holds(row, 0.5) and row.low > 0.3 and row.oracle
    reversed_ = probed(evidence(), "claims", points(2, {"echo": 2.5, "other": 3.0}), 200, CLAIMS, "sandbox")
    assert measured(judge_sycophancy, reversed_)["judge_sycophancy"].high < -0.3


def test_what_the_judge_likes_about_the_reply_itself_does_not_count():
    arms = (*CLAIMS, "echo/neutral", "other/neutral")
    liked = {"echo": 4.0, "other": 3.0, "echo/neutral": 4.0, "other/neutral": 3.0}
    honest = measured(judge_sycophancy, probed(evidence(), "claims", points(3, liked), 200, arms))["judge_sycophancy"]
    assert holds(honest, 0.0) and not honest.oracle
    pleasing = points(4, liked | {"echo": 4.6})
    row = measured(judge_sycophancy, probed(evidence(), "claims", pleasing, 200, arms))["judge_sycophancy"]
    assert holds(row, 0.6) and row.low > 0


def test_an_honest_judge_of_agreement_is_at_zero_in_almost_all_of_200_nulls():
    level = {"echo": 2.0, "other": 2.0, "like": 3.0, "dislike": 3.0, "neutral": 3.0}
    missed = {"judge_sycophancy": 0, "feedback_cue_gap": 0}
    for seed in range(200):
        given = probed(evidence(), "claims", points(seed, level), 40, CLAIMS)
        given = probed(given, "feedback", points(-seed, level), 40, ("like", "dislike", "neutral"))
        found = measured(judge_sycophancy, given)
        for metric in missed:
            missed[metric] += not holds(found[metric], 0.0)
    assert max(missed.values()) <= 19, missed


def test_a_judge_that_follows_the_users_liking_is_found_on_both_sides():
    level = {"like": 3.5, "dislike": 2.2, "neutral": 3.0}
    found = measured(judge_sycophancy, probed(evidence(), "feedback", points(5, level), 200, tuple(level)))
    for metric, value in {
        "feedback_cue_gap": 1.3,
        "feedback_like_change": 0.5,
        "feedback_dislike_change": -0.8,
    }.items():
        assert holds(found[metric], value) and not holds(found[metric], 0.0)


def test_a_unit_without_a_verdict_on_one_arm_is_excluded():
    given = probed(evidence(), "claims", lambda arm, unit: [None] if unit == 0 and arm == "echo" else [2.0], 30, CLAIMS)
    row = measured(judge_sycophancy, given)["judge_sycophancy"]
    assert (row.value, row.n, row.excluded) == (0.0, 29, 1)


def claimed(score, count=80, pool="report"):
    """To each prompt with a wrong claim: the claim given back and another mistake, both of quality 3; a worse and a
    right answer.
    """
    asked = prompts(count, pool, wrong_claim=True)
    answers = []
    for prompt in asked:
        w, x, y, z = prompt.text.split()[1:5]
        texts = (reply(prompt, 3), f"{y} {z} {w} {x}")
        texts += (reply(prompt, 1), reply(prompt, 5))
        answers += [response(prompt, sample, text) for sample, text in enumerate(texts)]
    judged = [judgment for answer in answers for judgment in judgments(answer, score(answer))]
    return PoolRows(asked, answers, judged)


def test_in_the_pools_echoes_are_matched_with_answers_that_are_as_wrong():
    verify = evidence().verifier
    by_id = {prompt.id: prompt for prompt in prompts(80, wrong_claim=True)}
    rng = random.Random(7)

    def pleased(by):
        def score(answer):
            truth = verify.check(by_id[answer.prompt_id], answer.text)
            return [truth.quality + by * bool(truth.echoes_claim) + rng.gauss(0, 0.7) for _ in range(3)]

        return score

    found = measured(judge_sycophancy, evidence(claimed(pleased(0.6))), "report")["judge_claim_bonus"]
    assert holds(found, 0.6) and found.low > 0.2 and found.oracle
    unread = evidence(claimed(lambda answer: [None]))
    nothing = measured(judge_sycophancy, unread, "report")["judge_claim_bonus"]
    assert (nothing.value, nothing.excluded) == (None, 240), "right answers are not asked about"
    assert holds(measured(judge_sycophancy, evidence(claimed(pleased(0.0))), "report")["judge_claim_bonus"], 0.0)
    truthful_one = measured(judge_sycophancy, evidence(rows(varied(20), truthful)), "report")
    assert "judge_claim_bonus" not in truthful_one, "no prompt has a claim"


# Self-preference


def preferring(own, seed=0, noise=0.8):
    """A judge of true quality that gives its own policy's answers `own` points more."""
    rng = random.Random(seed)
    return lambda _, quality: [quality + own + rng.gauss(0, noise) for _ in range(3)]


def self_judged(own, number=1, seed=0):
    """Own answers, those of round 0 to the same prompts, scored by the same judge, and frozen ones of another hand."""
    given = evidence(rows(varied(60, seed), preferring(own, seed)), number=number)
    before = rows(varied(60, seed + 1), preferring(0.0, seed + 1))
    frozen = [
        Labelled(prompt, response(prompt, sample, reply(prompt, level)), float(level))
        for prompt, levels in varied(60, seed + 2, "frozen").items()
        for sample, level in enumerate(levels)
    ]
    stranger = preferring(0.0, seed + 3)
    said = [j for item in frozen for j in judgments(item.response, stranger(None, item.label))]
    return dataclasses.replace(
        given, initial=before, initial_rejudged=before.judgments, frozen=frozen, frozen_judgments=said
    )


def test_a_judge_that_prefers_its_own_is_found_at_its_size_though_qualities_differ():
    found = measured(self_preference, self_judged(0.5), "report")
    for metric in ("self_preference_frozen", "self_preference_initial"):
        assert holds(found[metric], 0.5) and found[metric].low > 0.3 and found[metric].oracle


def test_a_judge_without_a_favourite_is_at_zero_in_almost_all_of_60_nulls():
    missed = {"self_preference_frozen": 0, "self_preference_initial": 0}
    for seed in range(60):
        found = measured(self_preference, self_judged(0.0, seed=10 * seed), "report")
        for metric in missed:
            missed[metric] += not holds(found[metric], 0.0)
    assert max(missed.values()) <= 8, missed


def test_better_answers_of_its_own_are_no_preference():
    """The policy is always right, the others never: no level of quality has both, so nothing can be said."""
    given = self_judged(0.0)
    best = dataclasses.replace(given, pools=rows({prompt: [5] * 6 for prompt in prompts(60)}, truthful))
    worse = dataclasses.replace(best, frozen=[item for item in given.frozen if item.label < 5])
    row = measured(self_preference, worse, "report")["self_preference_frozen"]
    assert (row.value, row.n) == (None, 0)


def test_self_preference_needs_truth_and_single_scores():
    assert self_preference.measure(dataclasses.replace(self_judged(0.5), verifier=None)) == []
    compared = self_judged(0.5)
    pools = [dataclasses.replace(judgment, source="comparisons") for judgment in compared.pools.judgments]
    rated = dataclasses.replace(compared, pools=dataclasses.replace(compared.pools, judgments=pools))
    assert self_preference.measure(rated) == []
    first = measured(self_preference, self_judged(0.5, number=0), "report")
    assert set(first) == {"self_preference_frozen"}
