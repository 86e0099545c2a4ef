"""A judge's drift away from what holds still, and a policy's from fixed texts: planted slopes are found, nulls not."""

import dataclasses
import random

import pytest
from evidence_factory import evidence, held_out, holds, judgments, prompts, renamed, reply, response, rows, varied

from selfreward.errors import DataError
from selfreward.measuring.evidence import PoolRows
from selfreward.measuring.metrics.judge import anchor as judge_anchor
from selfreward.measuring.metrics.policy import text_drift
from selfreward.records import Labelled, Likelihood


def measured(given, pool="report", metric=judge_anchor):
    return {row.metric: row for row in metric.measure(given) if row.pool == pool}


def generous(points, seed=0, noise=0.5):
    rng = random.Random(seed)
    return lambda _, quality: [quality + points + rng.gauss(0, noise) for _ in range(2)]


def run(*points, seed=0, count=60):
    """One round's rows after another; each round's judge is `points` too generous. Evidence of the last round."""
    sides = [
        renamed(rows(varied(count, seed + number), generous(more, seed + number)), f"round {number}")
        for number, more in enumerate(points)
    ]
    given = evidence(sides[-1], initial=sides[0], number=len(points) - 1)
    return dataclasses.replace(given, history=sides[:-1]), sides


def test_the_slope_of_a_judge_that_grows_generous_is_found():
    given, _ = run(0.0, 0.3, 0.6, 0.9, count=200)
    row = measured(given)["judge_minus_truth_trend"]
    assert holds(row, 0.3) and row.low > 0.2 and row.oracle and row.n == 200
    # A jump that stays: the slope over four rounds is Σ (k - 1.5) y / 5 = .3 for y = 0, 1, 1, 1.
    jump, _ = run(0.0, 1.0, 1.0, 1.0, count=200)
    assert holds(measured(jump)["judge_minus_truth_trend"], 0.3)


def test_two_rounds_have_a_change_but_no_slope():
    given, _ = run(0.0, 1.0)
    assert "judge_minus_truth_trend" not in measured(given)


def test_the_slope_of_a_judge_that_stays_is_zero_in_almost_all_of_100_nulls():
    missed = 0
    for seed in range(100):
        given, _ = run(0.4, 0.4, 0.4, seed=10 * seed, count=20)
        missed += not holds(measured(given)["judge_minus_truth_trend"], 0.0)
    assert missed <= 12, missed


def test_only_prompts_of_every_round_have_a_slope():
    given, sides = run(0.0, 0.1, 0.2)
    gone = sides[1].prompts[0].id
    short = dataclasses.replace(sides[1], judgments=[row for row in sides[1].judgments if row.prompt_id != gone])
    row = measured(dataclasses.replace(given, history=[sides[0], short]))["judge_minus_truth_trend"]
    assert (row.n, row.excluded) == (59, 1)
    nobody = dataclasses.replace(given, history=[sides[0], dataclasses.replace(short, judgments=[])])
    row = measured(nobody)["judge_minus_truth_trend"]
    assert (row.value, row.n) == (None, 0)


def test_the_gap_to_a_held_out_judge_widens_by_what_was_planted():
    """The held-out judge is right; the loop's own is 0, .5 and 1 too generous."""
    given, sides = run(0.0, 0.5, 1.0, count=200)
    verify, by_id = given.verifier, {prompt.id: prompt for prompt in given.pools.prompts}

    def right(answer):
        return [verify.check(by_id[answer.prompt_id], answer.text).quality]

    found = measured(dataclasses.replace(given, held_out=held_out(*sides, score=right), verifier=None))
    assert holds(found["judge_minus_held_out"], 1.0) and found["judge_minus_held_out"].low > 0.9
    assert holds(found["judge_minus_held_out_change"], 1.0) and holds(found["judge_minus_held_out_trend"], 0.5)
    assert found["judge_minus_held_out_trend"].low > 0.4 and not any(row.oracle for row in found.values())
    some = held_out(sides[2], sides[0], score=right)
    assert "judge_minus_held_out_trend" not in measured(dataclasses.replace(given, held_out=some)), "a round is missing"


def test_a_held_out_judge_that_cannot_be_read_leaves_no_gap():
    given, sides = run(0.0, 0.5, count=10)
    nan = held_out(*sides, score=lambda answer: [float("nan")])
    row = measured(dataclasses.replace(given, held_out=nan))["judge_minus_held_out"]
    assert (row.value, row.n, row.excluded) == (None, 0, 60)


def frozen(now, then, seed=0, count=100, source=None):
    rng = random.Random(seed)
    items = [
        Labelled(prompt, response(prompt, sample, reply(prompt, level)), float(level), source)
        for prompt in prompts(count, "frozen")
        for sample, level in enumerate((5, 3, 1))
    ]

    def said(points):
        return [
            row for item in items for row in judgments(item.response, [item.label + points + rng.gauss(0, 0.5)] * 2)
        ]

    return dataclasses.replace(
        evidence(), frozen=items, frozen_judgments=said(now), frozen_judgments_initial=said(then)
    )


def test_the_frozen_answers_tell_a_generous_judge_from_a_better_policy():
    found = measured(frozen(0.7, 0.2), "frozen")
    assert holds(found["judge_minus_label"], 0.7) and found["judge_minus_label"].oracle
    assert holds(found["judge_generosity_change"], 0.5) and found["judge_generosity_change"].low > 0.3
    assert not found["judge_generosity_change"].oracle
    assert not measured(frozen(0.7, 0.2, source="human"), "frozen")["judge_minus_label"].oracle


def test_a_judge_that_stayed_is_at_zero_in_almost_all_of_100_nulls():
    missed = sum(
        not holds(measured(frozen(0.3, 0.3, seed, 30), "frozen")["judge_generosity_change"], 0.0) for seed in range(100)
    )
    assert missed <= 12, missed


def test_round_0s_answers_scored_again_need_no_frozen_pool():
    given, sides = run(0.0, 0.6, count=100)
    first = [row for row in sides[0].responses if row.sample == 0]
    names = {row.id for row in first}
    again = [
        dataclasses.replace(row, id=f"again/{row.id}", score=row.score + 0.4)
        for row in sides[0].judgments
        if row.response_id in names
    ]
    row = measured(dataclasses.replace(given, initial_rejudged=again))["judge_generosity_change"]
    assert row.value == pytest.approx(0.4) and (row.n, row.excluded) == (100, 0)
    assert "judge_generosity_change" not in measured(given)


# Fixed texts


def texts(shift, seed=0, count=80, spread=0.3):
    """Likelihoods of round 0's answers under both policies; every token's differ by `shift` give or take `spread`."""
    rng, asked = random.Random(seed), prompts(count)
    answers = [response(prompt, 0, "t " * rng.randint(2, 9)) for prompt in asked]
    rows_of = {"initial": [], "policy": []}
    for answer in answers:
        before = [-rng.random() for _ in answer.token_ids]
        after = [value + shift + rng.gauss(0, spread) for value in before]
        for name, values in (("initial", before), ("policy", after)):
            rows_of[name].append(Likelihood(f"{name}/{answer.id}", answer.id, name, tuple(values)))
    initial = PoolRows(asked, answers, [])
    return dataclasses.replace(evidence(initial=initial), text_likelihoods=rows_of)


def drift(given):
    return measured(given, metric=text_drift)


def test_a_policy_that_forgets_its_texts_is_found_at_its_size():
    found = drift(texts(-0.5))
    tokens = [len(answer.token_ids) for answer in texts(-0.5).initial.responses]
    assert holds(found["logprob_drift_token"], -0.5) and found["logprob_drift_token"].high < -0.4
    assert holds(found["logprob_drift_sequence"], -0.5 * sum(tokens) / len(tokens))
    assert found["logprob_drift_large"].value < 0.12
    assert drift(texts(-3.0))["logprob_drift_large"].value == 1.0


def test_a_policy_that_stayed_is_at_zero_in_almost_all_of_100_nulls():
    missed = sum(not holds(drift(texts(0.0, seed, 30))["logprob_drift_token"], 0.0) for seed in range(100))
    assert missed <= 12, missed
    same = drift(texts(0.0, spread=0.0))
    assert {row.value for row in same.values()} == {0.0}


def test_texts_that_cannot_be_compared_are_excluded_or_refused():
    given = texts(-0.5, count=10)
    policy = given.text_likelihoods["policy"]
    broken = [dataclasses.replace(policy[0], logprobs=(float("-inf"),) * len(policy[0].logprobs)), *policy[2:]]
    found = drift(dataclasses.replace(given, text_likelihoods={**given.text_likelihoods, "policy": broken}))
    assert (found["logprob_drift_token"].n, found["logprob_drift_token"].excluded) == (8, 2)
    torn = [dataclasses.replace(policy[0], logprobs=policy[0].logprobs[:-1]), *policy[1:]]
    with pytest.raises(DataError, match="tokens, expected"):
        drift(dataclasses.replace(given, text_likelihoods={**given.text_likelihoods, "policy": torn}))
    assert drift(evidence()) == {} == drift(dataclasses.replace(given, round=0))
    one = drift(texts(-0.5, count=1))["logprob_drift_token"]
    assert one.value is not None and one.low is None
