"""Feedback by uncertainty: how unlike samples are, thirds of a round, and revisions beside preferences in one run."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_revising import BASE, go

from selfreward.errors import RecipeError
from selfreward.judging.revising.rows import Critique
from selfreward.pairing.uncertainty import divided, uncertainty
from selfreward.recipe.read import build_recipe
from selfreward.records import Drop, Pair, Response


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a b", "a b", "a b"], 0.0),
        (["a b", "c d"], 1.0),
        (["a b", "a c"], 0.5),
        (["a b", "a b", "c d"], 2 / 3),  # of three pairs one is alike
    ],
)
def test_uncertainty_is_how_unlike_the_samples_are(texts: list[str], expected: float) -> None:
    assert uncertainty(texts) == pytest.approx(expected)


def responses(said: dict[str, list[str]], finish: Any = "stop") -> list[Response]:
    return [
        Response(f"{name}/{place}", name, place, "m", text, "", (1, 2), finish, 0, "plain")
        for name, texts in said.items()
        for place, text in enumerate(texts)
    ]


def test_the_unsure_are_compared_and_those_between_revised() -> None:
    said = {"sure": ["a b", "a b"], "middle": ["a b", "a c"], "unsure": ["a b", "c d"], "one": ["a"]}
    found = divided(responses(said), 1 / 3, 1 / 3)
    assert found == {"sure": "critique", "middle": "refinement", "unsure": "preference"}
    assert divided(responses(said, "length"), 1 / 3, 1 / 3) == {}


texts = st.lists(st.sampled_from(["a", "a b", "c d e", "f"]), min_size=2, max_size=4)


@given(st.lists(texts, max_size=12), st.randoms(), st.floats(0, 0.49), st.floats(0.01, 0.5))
def test_shares_are_kept_whatever_the_order_of_rows(sets, order, certain, refined):  # type: ignore[no-untyped-def]
    rows = responses({f"p{place:02}": one for place, one in enumerate(sets)})
    found = divided(rows, certain, refined)
    order.shuffle(rows)
    assert divided(rows, certain, refined) == found
    counts = [sum(kind == one for kind in found.values()) for one in ("critique", "refinement", "preference")]
    assert sum(counts) == len(sets) and counts[0] == round(certain * len(sets))
    assert counts[0] + counts[1] == round((certain + refined) * len(sets))


def test_one_round_has_both_sources_of_pairs(tmp_path: Path) -> None:
    pairs = {**BASE["pairs"], "rule": "daif"}
    view = go(tmp_path, "judge.source=oracle", pairs=pairs, generate={"samples": 4})
    rows, drops = view.read(1, "pairs", Pair), view.read(1, "dropped", Drop)
    found = divided(view.read(1, "responses", Response), 1 / 3, 1 / 3)
    kinds = {one.prompt_id: found[one.prompt_id] for one in rows}
    assert {one.source for one in rows} <= {"revision", "oracle"} and rows
    assert all((one.source == "revision") == (kinds[one.prompt_id] == "refinement") for one in rows)
    assert "critique" not in kinds.values() and "refinement" in kinds.values()
    assert sum(drop.reason == "certain" for drop in drops) <= sum(kind == "critique" for kind in found.values())
    # Nobody is asked to criticise what is not to be refined.
    asked = {one.prompt_id for one in view.read(1, "critiques_1", Critique)}
    assert asked == {name for name, kind in found.items() if kind == "refinement"}


DAIF = ("pairs.rule=daif",)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["pairs.certain=0.6", "pairs.refined=0.5"], "leaves no prompt"),
        (["pairs.min_gap=1"], "score 1"),
        (["pairs.revise.check.constitution=honest_help"], "labels its other pairs hard"),
        (["pairs.score=implicit_reward"], "asks the judge"),
        (["pairs.filters.internal_agreement=true"], "would drop"),
        (["judge.source=none"], "without scores"),
    ],
)
def test_what_cannot_work_is_refused(keys: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        build_recipe([], [*DAIF, *keys])
