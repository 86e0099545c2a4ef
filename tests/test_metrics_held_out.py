"""A judge that is not trained on says who wins: planted wins and gaps, nulls, both orders, ties, the warning row."""

import dataclasses
import random

import pytest
from evidence_factory import evidence, held_out, holds, judgments, prompts, renamed, response

from selfreward.measuring.evidence import HeldOut, PoolRows
from selfreward.measuring.metrics.judge import held_out as metric
from selfreward.records import Comparison

RATE, CONTROLLED = "held_out_win_rate_initial", "held_out_win_rate_lc_minimal_initial"
GAP, DISAGREEMENT = "self_minus_held_out_win_rate_initial", "judge_disagreement_initial"


def side(name, seed, own=0.0, count=60, samples=2, mean_length=40):
    """Answers of random length, scored by the loop's own judge around `own`."""
    rng, asked = random.Random(seed), prompts(count)
    answers = [
        response(prompt, sample, "x" * max(1, round(rng.gauss(mean_length, 10))))
        for prompt in asked
        for sample in range(samples)
    ]
    said = [judgment for answer in answers for judgment in judgments(answer, [own + rng.gauss(0, 1)])]
    return renamed(PoolRows(asked, answers, said), name)


def by_side(seed, **means):
    """The held-out judge's verdict: normal around the mean of the answer's side."""
    rng = random.Random(seed)
    return lambda answer: [means[answer.id.partition("/")[0]] + rng.gauss(0, 1)]


def measured(now, then, judge, number=1):
    given = dataclasses.replace(evidence(now, initial=then, number=number), held_out=judge)
    return {row.metric: row for row in metric.measure(given) if row.pool == "report"}


def duel(now_mean, then_mean, seed=0, own=0.0, count=60, mean_length=40):
    now, then = side("now", 2 * seed, own, count, mean_length=mean_length), side("then", 2 * seed + 1, 0.0, count)
    return measured(now, then, held_out(now, then, score=by_side(seed + 10**6, now=now_mean, then=then_mean)))


def test_a_better_policy_wins_with_the_chance_that_the_scores_say():
    """Normal scores one deviation apart: P(win) = Φ(1/√2) = .76."""
    found = duel(1.0, 0.0, count=150)
    assert holds(found[RATE], 0.760) and found[RATE].low > 0.65 and found[RATE].n == 150
    assert holds(found[CONTROLLED], 0.760)
    # The loop's own judge sees no difference, so it gives the policy .26 less.
    assert holds(found[GAP], -0.260) and found[GAP].high < 0
    assert not any(row.oracle for row in found.values())


def test_a_policy_that_only_pleases_its_own_judge_is_found():
    """One deviation better for its own judge, no better for the other: the gap is Φ(1/√2) - ½."""
    found = duel(0.0, 0.0, own=1.0, count=150)
    assert holds(found[RATE], 0.5) and holds(found[GAP], 0.260) and found[GAP].low > 0
    # Independent judges: they differ where exactly one of them says that this round's is better.
    assert holds(found[DISAGREEMENT], 0.5)


def test_two_judges_of_one_mind_never_disagree():
    now, then = side("now", 0, 1.0), side("then", 1)
    own = {one.response_id: [one.score] for one in (*now.judgments, *then.judgments)}
    found = measured(now, then, held_out(now, then, score=lambda answer: own[answer.id]))
    assert (found[DISAGREEMENT].value, found[GAP].value) == (0.0, 0.0)
    turned = measured(now, then, held_out(now, then, score=lambda answer: [-own[answer.id][0]]))
    assert turned[DISAGREEMENT].value == 1.0


def test_equal_policies_are_at_half_in_almost_all_of_100_nulls():
    missed = dict.fromkeys((RATE, CONTROLLED), 0) | {GAP: 0}
    for seed in range(100):
        found = duel(0.0, 0.0, seed, count=30)
        for name in missed:
            missed[name] += not holds(found[name], 0.0 if name == GAP else 0.5)
    assert max(missed.values()) <= 13, missed


def test_a_held_out_judge_that_pays_for_length_is_seen_through_at_equal_length():
    now, then = side("now", 1, count=80, mean_length=60), side("then", 2, count=80)
    rng = random.Random(3)
    found = measured(now, then, held_out(now, then, score=lambda answer: [len(answer.text) / 10 + rng.gauss(0, 1)]))
    assert found[RATE].low > 0.75 and abs(found[CONTROLLED].value - 0.5) < 0.17


def test_only_what_was_asked_counts_and_the_unread_are_excluded():
    now, then = side("now", 0, count=20), side("then", 1, count=20)
    first = {answer.id for answer in now.responses if answer.sample == 0}
    judge = held_out(now, then, score=lambda answer: [None] if answer.id == now.responses[0].id else [3.0])
    some = dataclasses.replace(judge, asked=[name for name in judge.asked if name in first or name.startswith("then")])
    found = measured(now, then, some)[RATE]
    assert (found.value, found.n, found.excluded) == (0.5, 19, 1)
    ties = measured(now, then, held_out(now, then, score=lambda answer: [3.0]))[DISAGREEMENT]
    assert (ties.value, ties.n, ties.excluded) == (None, 0, 80), "a tie decides nothing"
    nan = held_out(now, then, score=lambda answer: [float("nan")])
    nothing = measured(now, then, nan)[RATE]
    assert (nothing.value, nothing.n, nothing.excluded) == (None, 0, 40)


def test_the_first_round_and_one_prompt():
    now, then = side("now", 0, count=1), side("then", 1, count=1)
    found = measured(now, then, held_out(now, then, score=lambda answer: [3.0]))
    assert (found[RATE].value, found[RATE].low, found[CONTROLLED].low) == (0.5, None, None)
    alone = measured(now, then, held_out(now, score=lambda answer: [3.0]), number=0)
    assert set(alone) == {"held_out_is_training_judge"}
    assert metric.measure(evidence(now, initial=then)) == []


def test_a_training_judge_in_the_role_is_said_so():
    now, then = side("now", 0), side("then", 1)
    for trains in (True, False):
        judge = held_out(now, then, score=lambda answer: [3.0], trains=trains)
        assert measured(now, then, judge)["held_out_is_training_judge"].value == float(trains)


# Side by side


def sides(now, then, prefers):
    """Both orders of every pair with the same sample number; `prefers(first, second)` is P(first)."""
    before = {(answer.prompt_id, answer.sample): answer for answer in then.responses}
    said = []
    for one in now.responses:
        other = before[one.prompt_id, one.sample]
        for first, second in ((one, other), (other, one)) if one.text != other.text else ():
            value = prefers(first, second)
            reason = "no verdict" if value is None else None
            names = f"{first.id}>{second.id}", one.prompt_id, first.id, second.id
            said.append(Comparison(*names, "held out", "", (), "stop", 0, "t", value, reason))
    asked = [answer.id for answer in (*now.responses, *then.responses)]
    return HeldOut(False, asked, comparisons=said)


def is_now(answer):
    return answer.id.startswith("now")


@pytest.mark.parametrize(
    ("prefers", "rate", "flips"),
    [
        (lambda first, second: 0.9 if is_now(first) else 0.2, 1.0, 0.0),
        (lambda first, second: 0.0 if is_now(first) else 1.0, 0.0, 0.0),
        (lambda first, second: 0.9, 0.5, 1.0),
        (lambda first, second: 0.1, 0.5, 1.0),
        (lambda first, second: 0.5, 0.5, 0.0),
        # One order decides and the other is a tie: the orders do not agree.
        (lambda first, second: 1.0 if is_now(first) else 0.5, 0.5, 1.0),
    ],
)
def test_both_orders_must_say_the_same(prefers, rate, flips):
    now, then = side("now", 0), side("then", 1)
    found = measured(now, then, sides(now, then, prefers))
    pairs = [(one.text, other.text) for one, other in zip(now.responses, then.responses, strict=True)]
    equal = sum(one == other for one, other in pairs) / len(pairs)
    assert found[RATE].value == pytest.approx(equal / 2 + (1 - equal) * rate)
    assert found["held_out_flip_rate"].value == flips
    assert found["judge_disagreement_initial"].excluded >= found[RATE].excluded


def test_a_pair_that_one_order_cannot_read_is_excluded():
    now, then = side("now", 0, count=10), side("then", 1, count=10)
    lost = now.responses[0].id
    judge = sides(now, then, lambda first, second: None if first.id == lost else 0.9 if is_now(first) else 0.1)
    found = measured(now, then, judge)
    assert found[RATE].excluded == 1 and found["held_out_flip_rate"].excluded == 1


def test_equal_texts_are_a_tie_that_nobody_is_asked_about():
    now = side("now", 0, count=10)
    same = renamed(PoolRows(now.prompts, [*now.responses], []), "then")
    found = measured(now, same, sides(now, same, lambda first, second: 1.0))
    assert (found[RATE].value, found[RATE].excluded, found["held_out_flip_rate"].n) == (0.5, 0, 0)


def test_flips_are_counted_on_the_report_pool_alone():
    """Half of the prompts choose the round; there the judge goes by the slot, elsewhere it does not."""
    now, then = side("now", 0), side("then", 1)
    selecting = {prompt.id for prompt in now.prompts[::2]}
    pools = [dataclasses.replace(p, pool="selection" if p.id in selecting else "report") for p in now.prompts]
    now, then = (dataclasses.replace(rows, prompts=pools) for rows in (now, then))

    def prefers(first, second):
        return 0.9 if first.prompt_id in selecting or is_now(first) else 0.1

    given = dataclasses.replace(evidence(now, initial=then, number=1), held_out=sides(now, then, prefers))
    found = {(row.metric, row.pool): row for row in metric.measure(given)}
    assert found["held_out_flip_rate", "report"].value == 0 and found["held_out_flip_rate", "report"].n == 30
    assert found[RATE, "selection"].value == pytest.approx(0.5) and found[RATE, "report"].value > 0.9
