"""The English world: its prompts can be verified, its splits do not meet, and its verifier tells right from wrong."""

import pytest

from selfreward.errors import DataError, RecipeError
from selfreward.recipe.read import build_recipe
from selfreward.tasks.cohorts import read_cohorts
from selfreward.tasks.english.constraints import TRAINED, UNSEEN
from selfreward.tasks.english.requests import KINDS, Kind, draw_requests, topics
from selfreward.tasks.open_source import open_source
from selfreward.tasks.verifiers.protocol import load_verifier

ENGLISH = {
    "prompts": {"source": "english", "per_round": 40},
    "measure": {"source": "english", "verifier": "ifeval", "gate": 10, "selection": 10, "report": 20, "frozen": 0},
}
FOLLOWED = {
    "no_comma": "Bread smells good and keeps well.",
    "english_lowercase": "bread smells good.",
    "title": "<<Bread>>\nIt smells good.",
    "end_checker": "",
    "postscript": "Bread smells good.\nP.S. It also keeps.",
    "english_capital": "BREAD SMELLS GOOD.",
    "quotation": '"Bread smells good."',
    "number_placeholders": "Dear [name], bread by [baker] smells good.",
    "number_highlighted_sections": "*Bread* smells *good*.",
    "multiple_sections": "SECTION 1\nBread.\nSECTION 2\nCheese.",
}


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_are_different_verifiable_and_the_same_for_a_seed(kind: Kind) -> None:
    drawn = draw_requests(kind, 300, "train", seed=3)
    assert len({prompt.text for prompt in drawn}) == 300
    assert drawn[:100] == draw_requests(kind, 100, "train", seed=3)
    assert drawn[:100] != draw_requests(kind, 100, "train", seed=4)
    if kind != "plain":
        verifier = load_verifier("ifeval")
        for prompt in drawn:
            verifier.require(prompt)
    else:
        assert not any(prompt.meta for prompt in drawn)


def test_no_topic_is_trained_on_and_measured() -> None:
    train, held_out = topics(held_out=False), topics(held_out=True)
    assert not set(train) & set(held_out) and min(len(train), len(held_out)) >= 50
    for kind in ("held_out", "unseen", "plain"):
        for prompt in draw_requests(kind, 200, "report"):
            assert any(topic in prompt.text for topic in held_out)


def test_kinds_that_are_unseen_are_never_trained_on() -> None:
    trained = {prompt.cohort for prompt in draw_requests("train", 600, "train")}
    unseen = {prompt.cohort for prompt in draw_requests("unseen", 300, "report")}
    assert not trained & unseen and len(unseen) == len(UNSEEN) and len(trained) >= len(TRAINED) - 1


@pytest.mark.parametrize("kind", ["train", "unseen"])
def test_an_answer_that_follows_is_right_and_one_that_does_not_is_wrong(kind: Kind) -> None:
    verifier, seen = load_verifier("ifeval"), set()
    for prompt in draw_requests(kind, 300, "train"):
        followed = FOLLOWED.get(prompt.cohort)
        if prompt.cohort == "end_checker":
            followed = f"Bread smells good. {prompt.meta['kwargs'][0]['end_phrase']}"
        if followed is not None:
            seen.add(prompt.cohort)
            assert verifier.check(prompt, followed).correct, prompt
            wrong = "Well, People and the very Bread, which smells" if prompt.cohort != "english_lowercase" else "Bread"
            assert not verifier.check(prompt, wrong).correct, prompt
    assert len(seen) >= 4


def test_more_than_there_is_is_refused() -> None:
    with pytest.raises(DataError, match="plain prompts"):
        draw_requests("plain", 100_000, "report")


def test_a_recipe_draws_fresh_prompts_every_round_and_measures_other_topics() -> None:
    recipe = build_recipe([ENGLISH], ["rounds=3"])
    source = open_source(recipe)
    rounds = [source.training(number, 40) for number in (1, 2, 3)]
    ids = [prompt.id for prompts in rounds for prompt in prompts]
    assert len(set(ids)) == 120 and source.training(2, 40) == rounds[1]
    pools = source.pools()
    assert [sum(prompt.pool == pool for prompt in pools) for pool in ("gate", "selection", "report")] == [10, 10, 20]
    assert not {prompt.id for prompt in pools} & set(ids)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("measure.verifier=numeric", "expected ifeval or none"),
        ("measure.source=sandbox", "expected both alike"),
        ("measure.cohorts.x.source=english:train", "expected english:held_out"),
    ],
)
def test_what_the_english_world_cannot_do_is_refused(override: str, words: str) -> None:
    recipe = build_recipe([ENGLISH], [override])
    with pytest.raises((DataError, RecipeError), match=words):
        open_source(recipe)
        read_cohorts(recipe.measure)


def test_unseen_kinds_and_plain_requests_are_cohorts() -> None:
    keys = ["measure.cohorts.unseen.source=english:unseen", "measure.cohorts.unseen.count=40"]
    (cohort,) = read_cohorts(build_recipe([ENGLISH], keys).measure)
    assert (cohort.verifier, len(cohort.prompts)) == ("ifeval", 40)
