"""Anchored rejection: the start policy's worst answer is rejected where it is worse than all of the policy's own."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sections import pairs_of

from selfreward.errors import RecipeError
from selfreward.judging.scoring.score import counted
from selfreward.pairing.candidates import Candidate, Refusal, Situation
from selfreward.pairing.rules.anchored import SOURCE, choose
from selfreward.recipe.read import build_recipe
from selfreward.records import Response

MIX = "generate.mix=[{model: initial, samples: 6}]"


def candidate(name: str, score: float, source: str) -> Candidate:
    response = Response(name, "p", 0, "policy", name, "", (1, 2), "stop", 0, "plain")
    return Candidate(dataclasses.replace(response, source=source), counted(score))


def rows(own: list[float], anchors: list[float]) -> list[Candidate]:
    found = [candidate(f"own{place}", score, "policy@1") for place, score in enumerate(own)]
    return [*found, *(candidate(f"old{place}", score, "initial@0.7") for place, score in enumerate(anchors))]


def chosen(own: list[float], anchors: list[float]) -> tuple[str, str, str] | str:
    picks = choose(rows(own, anchors), Situation(pairs_of(rule="anchored"), 2, 7, 12))
    if isinstance(picks, Refusal):
        return picks.reason
    (pick,) = picks
    return pick.chosen.response.id, pick.rejected.response.id, pick.source


@pytest.mark.parametrize(
    ("own", "anchors", "expected"),
    [
        ([5.0, 3.0, 4.0], [2.0, 1.0], ("own0", "old1", SOURCE)),
        ([5.0, 3.0, 4.0], [3.0, 4.5], ("own0", "own1", "")),  # not below the policy's own worst
        ([5.0, 3.0], [], ("own0", "own1", "")),
        ([4.0, 4.0], [1.0], ("own", "old0", SOURCE)),  # own answers alike: only the anchor tells them from anything
        ([4.0, 4.0], [4.0, 5.0], "tie"),
        ([2.0, 3.0], [5.0], ("own1", "own0", "")),  # the start policy's best is never chosen
        ([], [1.0, 5.0], "no own answer"),
    ],
)
def test_the_anchor_is_rejected_where_it_is_the_worst(own, anchors, expected):  # type: ignore[no-untyped-def]
    found = chosen(own, anchors)
    if isinstance(expected, tuple) and expected[0] == "own":
        assert found[0].startswith("own") and found[1:] == expected[1:]
    else:
        assert found == expected


scores = st.lists(st.sampled_from([0.0, 1.0, 2.5, 4.0]), min_size=1, max_size=5)


@given(scores, scores)
def test_the_gap_is_never_smaller_than_without_an_anchor(own: list[float], anchors: list[float]) -> None:
    picks = choose(rows(own, anchors), Situation(pairs_of(rule="anchored"), 2, 7, 12))
    gap = 0.0 if isinstance(picks, Refusal) else picks[0].chosen.score.value - picks[0].rejected.score.value
    assert gap == max(own) - min(*own, *anchors, max(own))
    assert gap >= max(own) - min(own)


def test_without_answers_of_the_start_policy_it_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"generate\.mix"):
        build_recipe([], ["pairs.rule=anchored"])
    with pytest.raises(RecipeError, match=r"generate\.mix"):
        build_recipe([], ["pairs.rule=anchored", "generate.mix=[{temperature: 0.2}]"])
    assert build_recipe([], ["pairs.rule=anchored", MIX]).pairs.rule == "anchored"
