"""What a verifier that the user has calls right: a planted gain is found, a null is silent, the sandbox has none."""

import dataclasses
import random

import pytest
from evidence_factory import evidence, measured, prompts, response

from selfreward.measuring.evidence import Evidence, PoolRows
from selfreward.measuring.selection import best_round
from selfreward.tasks.verifiers.protocol import load_verifier

NAME = "verified_accuracy_change"
EXACT = load_verifier("exact")


def answered(right: float, seed: int, count: int = 100, open_share: float = 0.0) -> PoolRows:
    """Two answers to each prompt of the selection pool, of which a share is `right`, and a share is left open."""
    source = random.Random(seed)
    asked = [dataclasses.replace(prompt, answer="42") for prompt in prompts(count, "selection")]
    answers = []
    for prompt in asked:
        for sample in range(2):
            wrong = "between 41 and 43" if source.random() < open_share else "7"
            text = "42" if source.random() < right else wrong
            answers.append(response(prompt, sample, text))
    return PoolRows(asked, answers, [])


def by(verifier, before: PoolRows, after: PoolRows, number: int = 1) -> Evidence:
    return dataclasses.replace(evidence(after, initial=before, number=number), verifier=verifier)


def change(before: PoolRows, after: PoolRows, number: int = 1):
    return measured(by(EXACT, before, after, number), "selection")


def test_a_gain_is_found_is_nobodys_oracle_and_chooses_the_round():
    start = answered(0.3, 1)
    rows = [change(start, answered(right, 2 + n), n)[NAME] for n, right in ((1, 0.45), (2, 0.7), (3, 0.3))]
    assert rows[1].low > 0.25 and rows[1].high < 0.55 and rows[1].n == 100 and not rows[1].oracle
    assert rows[2].low < 0 < rows[2].high
    assert best_round(rows, select_by="verifier") == 2 and best_round(rows) == 0


def test_it_is_the_difference_of_both_accuracies_where_nothing_is_open():
    start, end = answered(0.4, 3), answered(0.6, 4)
    after = measured(by(EXACT, start, end), "selection")
    before = measured(by(EXACT, start, start, 0), "selection")
    assert NAME not in before
    assert abs(after[NAME].value - (after["true_accuracy"].value - before["true_accuracy"].value)) < 1e-12


@pytest.mark.slow
def test_where_nothing_happened_it_is_silent_in_nineteen_of_twenty():
    found = [change(answered(0.5, 2 * seed, 60), answered(0.5, 2 * seed + 1, 60))[NAME] for seed in range(60)]
    missed = sum(not row.low <= 0 <= row.high for row in found)
    assert missed <= 8  # of 60; more has a probability below .01 at a coverage of .95


def test_what_is_left_open_is_excluded_and_prompts_without_any_other_are_counted():
    row = change(answered(0.5, 8, open_share=0.8), answered(0.5, 9, open_share=0.8))[NAME]
    assert row.low <= 0 <= row.high and row.n + row.excluded == 100 and row.excluded > 5


def test_the_sandboxs_truth_is_not_the_users():
    start, end = answered(0.3, 1), answered(0.9, 2)
    assert NAME not in measured(evidence(end, initial=start), "selection")
    assert NAME not in measured(by(None, start, end), "selection")
