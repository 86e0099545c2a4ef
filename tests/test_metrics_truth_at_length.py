"""Accuracy at equal length: what only shorter answers bring is no gain, what better ones bring is."""

import random

from evidence_factory import evidence, measured, prompts, reply, response

from selfreward.measuring.evidence import PoolRows
from selfreward.records import Measurement

SHORT, LONG = 8, 40
NAME = "true_accuracy_at_length_change"


def written(short: float, right: dict[int, float], seed: int, count: int = 150, cut: float = 0.0) -> PoolRows:
    """Two answers to each of `count` prompts: a share of them `short`, and `right` by length; of the long ones a share
    is `cut` off and wrong."""
    source = random.Random(seed)
    asked = prompts(count)
    answers = []
    for prompt in asked:
        for sample in range(2):
            tokens = SHORT if source.random() < short else LONG
            finish = "length" if tokens == LONG and source.random() < cut else "stop"
            quality = 5 if source.random() < right[tokens] and finish == "stop" else 2
            answers.append(response(prompt, sample, reply(prompt, quality), finish, tokens + source.randrange(4)))
    return PoolRows(asked, answers, [])


def change(before: PoolRows, after: PoolRows) -> tuple[dict[str, Measurement], Measurement]:
    found = measured(evidence(after, initial=before))
    return found, found[NAME]


def test_a_gain_that_shortness_brought_is_none_at_equal_length():
    by_length = {SHORT: 0.9, LONG: 0.1}
    before, after = written(0.2, by_length, 1), written(0.8, by_length, 2)
    gain = (
        measured(evidence(after))["true_accuracy"].value - measured(evidence(before, number=0))["true_accuracy"].value
    )
    _, at_length = change(before, after)
    assert gain > 0.35
    assert at_length.low < 0 < at_length.high and abs(at_length.value) < 0.1


def test_a_gain_at_equal_length_is_found():
    before, after = written(0.5, {SHORT: 0.5, LONG: 0.2}, 3), written(0.5, {SHORT: 0.8, LONG: 0.5}, 4)
    _, at_length = change(before, after)
    assert at_length.low > 0.15 and at_length.high < 0.45
    assert at_length.oracle and at_length.n == 150


def test_answers_that_were_cut_off_are_compared_with_each_other():
    """A policy that is cut off less often gains, and nothing of it is at equal length."""
    before = written(0.0, {SHORT: 0.5, LONG: 0.5}, 7, cut=0.8)
    after = written(0.0, {SHORT: 0.5, LONG: 0.5}, 8, cut=0.1)
    found, at_length = change(before, after)
    assert found["true_accuracy"].value > 0.35 and at_length.low < 0 < at_length.high


def test_where_nothing_happened_it_is_silent_in_nineteen_of_twenty():
    by_length = {SHORT: 0.6, LONG: 0.3}
    missed = 0
    for seed in range(40):
        row = change(written(0.5, by_length, 2 * seed, 60), written(0.4, by_length, 2 * seed + 1, 60))[1]
        missed += not row.low <= 0 <= row.high
    assert missed <= 6  # of 40; more has a probability below .01 at a coverage of .95


def test_without_a_first_round_there_is_nothing_to_compare_with():
    assert NAME not in measured(evidence(written(0.5, {SHORT: 1.0, LONG: 0.0}, 1)))
