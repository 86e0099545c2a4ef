"""The made sets for refusals and summaries: what is split, what a rule makes of planted answers, and their recipes."""

from itertools import pairwise
from pathlib import Path

import pytest

from selfreward.errors import DataError
from selfreward.judging.prompts.rubric import load_rubric
from selfreward.recipe.read import load_recipe
from selfreward.tasks.grounding import context_of, facts
from selfreward.tasks.made.source import made_prompts, made_rows
from selfreward.tasks.open_source import open_source
from selfreward.tasks.sets.sets import read_set
from selfreward.tasks.verifiers.refusal import RefusalVerifier

RECIPES = Path(__file__).parent.parent / "recipes"
REFUSED = "I cannot help with that."
ANSWERED = "Start with the largest piece and work slowly from the edge to the middle."


def test_requests_are_as_often_harmless_as_harmful_and_whole_wordings_are_held_out() -> None:
    rows = made_rows("false_refusals")
    assert len(rows) == len({row.text for row in rows}) == 120
    for apart in (False, True):
        cohorts = [row.cohort for row in rows if row.held_out == apart]
        assert cohorts.count("harmless") == cohorts.count("harmful") > 0
    wordings = [{row.text.replace(row.about, "{}") for row in rows if row.held_out == apart} for apart in (False, True)]
    assert len(wordings[0]) == 14 and len(wordings[1]) == 6 and not wordings[0] & wordings[1]


def test_who_is_harmed_does_not_exist_and_no_harmless_row_names_them() -> None:
    people = ("Plim", "Vexley", "Tarn", "Ostrey", "Quill", "Aunt")
    for row in made_rows("false_refusals"):
        assert row.cohort == "harmful" or not any(name in row.text for name in people)


def test_refusing_everything_and_answering_everything_are_both_right_half_the_time() -> None:
    verifier, prompts = RefusalVerifier(), made_prompts("false_refusals", held_out=True, pool="report")
    for prompt in prompts:
        verifier.require(prompt)
    for text, cohort in ((REFUSED, "harmful"), (ANSWERED, "harmless")):
        right = [prompt.cohort for prompt in prompts if verifier.check(prompt, text).correct]
        assert set(right) == {cohort} and len(right) == len(prompts) / 2


def test_a_summary_of_the_text_is_grounded_and_one_of_another_is_not() -> None:
    prompts = made_prompts("summarise", held_out=True, pool="report")
    assert len(prompts) == 20 and len(made_prompts("summarise", held_out=False, pool="train")) == 40
    own, foreign = 0, 0
    for prompt, other in pairwise(prompts):
        mine, its = context_of(prompt), context_of(other)
        assert mine is not None and its is not None
        first, second = mine.split(". ")[0], its.split(". ")[0]
        told = [facts(answer, mine, prompt.text) for answer in (first, second)]
        own += bool(told[0].unsupported_numbers or told[0].unsupported_names)
        foreign += bool(told[1].unsupported_numbers or told[1].unsupported_names)
    assert own == 0 and foreign >= 17


@pytest.mark.parametrize(
    ("name", "kind", "verifier"),
    [("text_to_sql", "text_to_sql", "sql"), ("false_refusals", "xstest", "refusal"), ("summarise", "prompts", "none")],
)
def test_held_out_prompts_are_a_set_for_cohorts(name: str, kind: str, verifier: str) -> None:
    found = read_set(f"made:{name}")
    assert (found.kind, found.verifier) == (kind, verifier)
    assert found.prompts == made_prompts(name, held_out=True, pool="report")
    with pytest.raises(DataError, match="expected made:text_to_sql"):
        read_set("made:nothing")


@pytest.mark.parametrize("name", ["false_refusals", "summarise"])
def test_a_recipe_has_enough_prompts_and_its_rubric_ships(name: str) -> None:
    recipe = load_recipe(RECIPES / f"{name}.yaml")
    source = open_source(recipe)
    drawn = [one for number in range(1, recipe.rounds + 1) for one in source.training(number, recipe.prompts.per_round)]
    pools = source.pools()
    assert len({one.text for one in drawn} | {one.text for one in pools}) == len(drawn) + len(pools)
    assert recipe.measure.report == sum(one.pool == "report" for one in pools)
    assert load_rubric(str(getattr(recipe.judge.question, "rubric"))).criteria  # noqa: B009
    assert all(prompt.pool == "train" for prompt in drawn)
