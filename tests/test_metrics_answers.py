"""Truth, belief, length and diversity of answers: planted and found, null and silent, exclusions counted."""

import dataclasses
import math

import pytest
from evidence_factory import (
    evidence,
    holds,
    measured,
    noisy,
    prompts,
    reply,
    response,
    rows,
    truthful,
    varied,
)

from selfreward.measuring.evidence import PoolRows
from selfreward.measuring.metrics import measure_all
from selfreward.records import Message

LEVELS = (5, 4, 3, 3, 2, 0)


# Truth


def test_truth_is_counted_per_answer_and_per_prompt():
    first, second = prompts(2)
    found = measured(evidence(rows({first: (5, 5, 0, 3), second: (4, 4, 4, 4)})))
    assert found["true_accuracy"].value == 2 / 8
    assert found["true_quality"].value == (13 + 16) / 8
    assert found["best_of_k_accuracy"].value == 1 / 2
    assert {found[name].n for name in ("true_accuracy", "true_quality", "best_of_k_accuracy")} == {2}
    assert "claim_echo" not in found


def test_truth_is_blind_to_filler():
    plain, dressed = (measured(evidence(rows(varied(20), filler=filler))) for filler in (0, 3))
    assert plain["true_accuracy"] == dressed["true_accuracy"]
    assert plain["length_words"].value < dressed["length_words"].value


def test_truth_by_cohort_and_pool():
    pools = {}
    for pool, quality in (("gate", 0), ("selection", 3), ("report", 5)):
        pools |= {prompt: [quality] * 2 for prompt in prompts(4, pool)}
        easy = [dataclasses.replace(prompt, id=f"{prompt.id}*", cohort="easy") for prompt in prompts(4, pool)]
        pools |= {prompt: [5] * 2 for prompt in easy}
    found = {
        (row.pool, row.cohort): row.value for row in measure_all(evidence(rows(pools))) if row.metric == "true_accuracy"
    }
    assert found == {
        (pool, cohort): {"all": (own + 1) / 2, "easy": 1.0, "repeat": own}[cohort]
        for pool, own in (("gate", 0.0), ("selection", 0.0), ("report", 1.0))
        for cohort in ("all", "easy", "repeat")
    }


def test_claim_echo_looks_at_wrong_claims_only():
    claimed = dict.fromkeys(prompts(10, wrong_claim=True), (3, 3, 3, 5))
    unclaimed = dict.fromkeys(prompts(10), (3, 3, 3, 3))
    right = {}
    for prompt in prompts(10):
        text = f"{prompt.text} ; we think it is {reply(prompt, 5)}"
        right[dataclasses.replace(prompt, id=text, messages=(Message("user", text),))] = (5, 5, 5, 5)
    found = measured(evidence(rows(claimed | unclaimed | right)))
    assert (found["claim_echo"].value, found["claim_echo"].n, found["claim_echo"].better) == (0.75, 10, "lower")


# Belief


def test_belief_of_a_truthful_judge_is_the_truth():
    qualities = varied(30)
    found = measured(evidence(rows(qualities, truthful), initial=rows(qualities, truthful)))
    assert found["judge_mean"].value == found["true_quality"].value
    gap = found["judge_minus_truth"]
    assert (gap.value, gap.low, gap.high) == (0, 0, 0)
    for metric in ("judge_minus_truth_change", "judge_mean_change"):
        # No prompt moved: 30 of them leave room for one that would.
        assert found[metric].value == 0 and 0 < found[metric].high == -found[metric].low < 0.15


def test_a_judge_that_is_pleased_widens_the_gap():
    start, now = rows(varied(60, 1), noisy(1)), rows(varied(60, 1), lambda _, quality: [min(5.0, quality + 1)] * 3)
    change = measured(evidence(now, initial=start))["judge_minus_truth_change"]
    assert change.low > 0 and change.oracle and change.n == 60
    assert measured(evidence(start, initial=now))["judge_minus_truth_change"].high < 0


def test_real_improvement_is_no_widening_and_no_change_is_seldom_called_one():
    alarms = 0
    for seed in range(100):
        start = rows(dict.fromkeys(prompts(20), (2, 3)), noisy(seed))
        better = rows(dict.fromkeys(prompts(20), (3, 2)), noisy(seed + 1000))
        alarms += not holds(measured(evidence(better, initial=start))["judge_minus_truth_change"], 0.0)
    assert alarms <= 12
    start = rows(dict.fromkeys(prompts(40), (1, 2)), noisy(1))
    better = rows(dict.fromkeys(prompts(40), (3, 4)), noisy(2))
    found = measured(evidence(better, initial=start))
    assert found["judge_mean_change"].low > 1.5 and holds(found["judge_minus_truth_change"], 0.0)


def test_changes_are_paired_by_prompt_and_count_the_others():
    start = rows(dict.fromkeys(prompts(12), (1, 1)), truthful)
    silent = prompts(12)[3].id
    now = rows(
        dict.fromkeys(prompts(15), (2, 2)),
        lambda answer, quality: [None] if answer.prompt_id == silent else [quality],
    )
    change = measured(evidence(now, initial=start))["judge_mean_change"]
    assert (change.value, change.n, change.excluded) == (1.0, 11, 4)
    assert not any(name.endswith("_change") for name in measured(evidence(start, initial=start, number=0)))


def test_an_answer_without_a_readable_verdict_is_excluded_and_not_a_zero():
    def half_read(answer, quality):
        return {0: [None, None, None], 1: [quality, None, quality]}.get(answer.sample, [quality] * 3)

    found = measured(evidence(rows(dict.fromkeys(prompts(10), LEVELS), half_read)))
    assert (found["judge_mean"].value, found["judge_mean"].excluded) == (12 / 5, 10)
    assert (found["judge_minus_truth"].value, found["judge_minus_truth"].excluded) == (0.0, 10)
    assert (found["unreadable_rate"].value, found["unreadable_rate"].excluded) == (4 / 18, 0)
    assert found["judge_exact"].value == 1.0


# Length and diversity


def test_length_and_truncation():
    (first, second) = prompts(2)
    answers = [
        response(first, 0, "a b c", tokens=4),
        response(first, 1, "a", tokens=2),
        response(second, 0, "", tokens=30, finish="length"),
        response(second, 1, "a b c d e", tokens=6),
    ]
    found = measured(evidence(PoolRows([first, second], answers, [])))
    assert found["length_tokens"].value == 42 / 4 and found["length_words"].value == 2.0
    assert found["truncated_rate"].value == 0.25


def test_diversity_of_equal_different_and_merely_dressed_answers():
    equal = measured(evidence(rows({prompt: [5] * 4 for prompt in prompts(9)})))
    assert equal["distinct_answers"].value == equal["distinct_cores"].value == 0.25
    assert equal["answer_entropy"].value == 0.0
    different = measured(evidence(rows(dict.fromkeys(prompts(9), (5, 4, 3, 2)))))
    assert different["distinct_answers"].value == different["distinct_cores"].value == 1.0
    assert different["answer_entropy"].value == pytest.approx(math.log(4))
    dressed = [response(prompt, k, reply(prompt, 5, filler=k)) for prompt in prompts(9) for k in range(4)]
    found = measured(evidence(PoolRows(prompts(9), dressed, [])))
    assert (found["distinct_answers"].value, found["distinct_cores"].value) == (1.0, 0.25)
    assert found["answer_entropy"].value == pytest.approx(math.log(4))
    assert found["distinct_cores"].oracle and not found["distinct_answers"].oracle


def test_a_single_sample_says_nothing_about_diversity():
    found = measured(evidence(rows({prompts(3)[0]: [5], prompts(3)[1]: [5, 4]})))["distinct_answers"]
    assert (found.value, found.n, found.excluded) == (1.0, 1, 1)
