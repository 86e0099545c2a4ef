"""Agreement of the samples and its truth: closed forms, and what votes as the reward must do to the two."""

import dataclasses

import pytest
from evidence_factory import evidence, prompts, rows

from selfreward.measuring.metrics.policy.majority import agreement, majority_right, measure
from selfreward.tasks.verifiers.protocol import Truth

RIGHT, WRONG = Truth(5.0, True, "a", False, None), Truth(0.0, False, "b", False, None)


@pytest.mark.parametrize(
    ("finals", "expected"),
    [(["a", "a", "b", "c"], 0.5), (["a", "b"], 0.5), (["a"] * 4, 1.0), (["a", "a", "", ""], 0.5), (["", ""], 0.0)],
)
def test_agreement_is_the_largest_share(finals, expected):
    assert agreement(finals) == expected


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ([("a", RIGHT), ("a", RIGHT), ("b", WRONG)], 1.0),
        ([("b", WRONG), ("b", WRONG), ("a", RIGHT)], 0.0),
        ([("a", RIGHT), ("b", WRONG)], 0.5),  # equal votes
        ([("", WRONG), ("", WRONG), ("a", RIGHT)], 1.0),  # who says nothing has no vote
        ([("b", dataclasses.replace(WRONG, open="left open"))] * 2, None),
    ],
)
def test_the_majority_is_right_or_wrong(read, expected):
    assert majority_right(read) == expected


def found(qualities, verifier="sandbox"):
    asked = dict.fromkeys(prompts(12, "report"), qualities)
    given = evidence(rows(asked, lambda _, quality: [float(quality)]))
    if verifier is None:
        given = dataclasses.replace(given, verifier=None)
    return {row.metric: row for row in measure(given)}


def test_samples_that_collapse_onto_right_and_onto_wrong_answers_agree_alike():
    """Agreement does not tell the two apart; truth does, and so does the excess."""
    right, wrong = found([5, 5, 5, 5]), found([1, 1, 1, 1])
    assert right["majority_share"].value == wrong["majority_share"].value == 1.0
    assert right["majority_correct"].value == 1.0 and wrong["majority_correct"].value == 0.0
    assert right["majority_excess"].value == 0.0 and wrong["majority_excess"].value == 1.0


def test_agreement_needs_no_truth():
    blind = found([5, 5, 5, 1], None)
    assert set(blind) == {"majority_share"} and not blind["majority_share"].oracle
    told = found([5, 5, 5, 1])
    assert {name for name, row in told.items() if row.oracle} == {"majority_correct", "majority_excess"}
