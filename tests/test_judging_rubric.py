"""Rubrics and constitutions: what a file must say, how the reply to one is read, and what stands on the rows."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from judging_factory import player, prompt, response, rows_of

from selfreward.engines.protocol import Completion
from selfreward.errors import RecipeError
from selfreward.judging.pointwise import judge_pointwise
from selfreward.judging.prompts import rubric
from selfreward.judging.prompts.pairwise import load_constitution
from selfreward.judging.prompts.rubric import load_rubric
from selfreward.recipe.read import build_recipe
from selfreward.roles.unreadable import Unreadable

NAMES = [criterion.name for criterion in load_rubric("anti_sycophancy").criteria]


def reply(scores, reason="it holds"):
    return "\n".join(f"{name}: {reason}. Score: {score}" for name, score in scores.items())


def read(text, name="anti_sycophancy", finish="stop"):
    return rubric.read(name, Completion(text, "", (1, 0), finish))


@given(st.lists(st.integers(0, 5), min_size=len(NAMES), max_size=len(NAMES)))
def test_the_score_is_the_weighted_mean_of_the_criteria(scores):
    weights = {"correct": 3, "holds_its_ground": 2, "no_flattery": 1, "does_the_task": 2}
    expected = sum(weights[name] * score for name, score in zip(NAMES, scores, strict=True)) / 8
    assert read(reply(dict(zip(NAMES, scores, strict=True)))) == pytest.approx(expected)


def test_every_criterion_must_be_answered_with_a_reason_before_its_score():
    full = dict.fromkeys(NAMES, 4)
    assert read(reply(full)) == 4.0
    for name in NAMES:
        missing = read(reply({other: score for other, score in full.items() if other != name}))
        assert missing == Unreadable("no verdict", f"no line for criterion {name!r}")
    assert read(reply(full, reason="")).reason == "no verdict"
    assert read(reply({**full, "correct": 7})).reason == "out of range"
    assert read(reply(full) + "\ncorrect: on second thought. Score: 1").reason == "contradiction"
    assert read(reply(full) + "\ncorrect: once more. Score: 4") == 4.0
    assert read(reply(full), finish="length").reason == "truncated"
    assert read("I'm sorry, but I will not grade this.").reason == "refused"


def test_markdown_and_prose_around_the_lines_do_not_hide_them():
    text = "Here it is:\n" + "\n".join(f"{n}. **{name}**: fine — *Score: 3/5*" for n, name in enumerate(NAMES, 1))
    assert read(text) == 3.0
    assert read("My correct: view. Score: 5\n" + reply(dict.fromkeys(NAMES, 2))) == 2.0


def test_the_question_shows_every_criterion_and_fences_the_answer():
    (message,) = rubric.ask("anti_sycophancy", prompt(), "{criteria} correct: yes. Score: 5")
    assert all(f"{criterion.name}: {criterion.text}" in message.content for criterion in load_rubric(NAME).criteria)
    assert message.content.count("{criteria}") == 1 and "{response}" not in message.content


NAME = "anti_sycophancy"
GOOD = {"id": "mine", "version": 1, "criteria": [{"name": "one", "text": "It is so."}]}


def written(tmp_path, content, name="mine.yaml"):
    path = tmp_path / name
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": None}, "has no id"),
        ({"id": ""}, "has no id"),
        ({"version": None}, "has no version"),
        ({"criteria": []}, "not empty"),
        ({"criteria": ["one"]}, "mappings"),
        ({"criteria": [{"name": "one", "text": " "}]}, "has no text"),
        ({"criteria": [{"name": "two words", "text": "x"}]}, "one word"),
        ({"criteria": [{"name": "one", "text": "x"}, {"name": "one", "text": "y"}]}, "used once"),
        ({"criteria": [{"name": "one", "text": "x", "weight": 0}]}, "above 0"),
        ({"criteria": [{"name": "one", "text": "x", "weight": math.nan}]}, "finite"),
        ({"criteria": [{"name": "one", "text": "x", "wait": 2}]}, "unknown key 'wait'"),
        ({"critera": []}, "unknown key 'critera'"),
    ],
)
def test_a_rubric_that_cannot_be_told_apart_or_used_is_refused(tmp_path, change, told):
    content = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(RecipeError, match=told):
        load_rubric(written(tmp_path, content))


def test_missing_and_malformed_files_are_named(tmp_path):
    with pytest.raises(RecipeError, match="anti_sycophancy, helpfulness"):
        load_rubric("unknown")
    path = tmp_path / "broken.yaml"
    path.write_text("a: [", encoding="utf-8")
    with pytest.raises(RecipeError, match="not valid YAML"):
        load_rubric(str(path))
    with pytest.raises(RecipeError, match="constitutions 'nothing'"):
        load_constitution("nothing")


def test_an_edited_rubric_is_another_version_even_under_the_same_number(tmp_path):
    first = load_rubric(written(tmp_path, GOOD, "a.yaml")).version
    edited = {**GOOD, "criteria": [{"name": "one", "text": "It is not so."}]}
    second = load_rubric(written(tmp_path, edited, "b.yaml")).version
    assert first != second and first.partition("@")[0] == second.partition("@")[0] == "mine.1"


def test_a_judge_with_a_rubric_writes_its_version_on_every_row(tmp_path):
    rules = [{"match": "reply well", "replies": [reply(dict.fromkeys(NAMES, 5))]}, {"replies": ["Score: 5"]}]
    asked = ["judge.question=rubric", f"judge.question.rubric={NAME}", "judge.reading.sampling.max_tokens=90"]
    recipe = build_recipe([], asked).judge
    answers = [response("a", text="reply well"), response("b", text="hm")]
    rows = rows_of(judge_pointwise(player(tmp_path, *rules), {"p": prompt()}, answers, recipe, made_from={}, round=1))
    assert {row.score for row in rows if row.response_id == "a"} == {5.0}
    assert {row.unreadable for row in rows if row.response_id == "b"} == {"no verdict"}
    assert all(f"+{load_rubric(NAME).version}" in row.template for row in rows)
