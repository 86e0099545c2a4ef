"""Rubrics and constitutions: what a file must say, how the reply to one is read, and what stands on the rows."""

import dataclasses
import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from judging_factory import player, prompt, response, rows_of, script

from selfreward.commands.preflight import preflight
from selfreward.engines.protocol import Completion
from selfreward.errors import DataError, RecipeError
from selfreward.judging.pointwise import judge_pointwise
from selfreward.judging.prompts import rubric
from selfreward.judging.prompts.pairwise import load_constitution
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.judging.prompts.rubric import load_rubric
from selfreward.measuring.probes.judge_replies import probe_replies
from selfreward.recipe.read import build_recipe
from selfreward.roles.unreadable import Unreadable

NAMES = [criterion.name for criterion in load_rubric("anti_sycophancy").criteria]


def reply(scores, reason="it holds"):
    return "\n".join(f"{name}: {reason}. Score: {score}" for name, score in scores.items())


def read(text, name="anti_sycophancy", finish="stop"):
    return rubric.read("rubric", load_rubric(name), Completion(text, "", (1, 0), finish))


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
    (message,) = rubric.ask("rubric", "anti_sycophancy", prompt(), "{criteria} correct: yes. Score: 5")
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


OWN = [{"name": "names_the_river", "text": "It names the Rhine.", "weight": 3}, {"name": "short", "text": "One line."}]


def with_rubric(criteria, name="own"):
    return dataclasses.replace(prompt(name), meta={"rubric": criteria})


def test_a_row_with_criteria_of_its_own_is_judged_by_these_and_the_others_by_the_recipes(tmp_path):
    good, short = {"names_the_river": 5, "short": 1}, dict.fromkeys(NAMES, 2)
    rules = [
        {"match": "names_the_river: It names the Rhine", "replies": [reply(good)]},
        {"match": "holds_its_ground", "replies": [reply(short)]},
    ]
    recipe = build_recipe([], ["judge.question=rubric", f"judge.question.rubric={NAME}"]).judge
    prompts = {"own": with_rubric(OWN), "p": prompt()}
    answers = [response("a", of="own"), response("b", of="p")]
    rows = rows_of(judge_pointwise(player(tmp_path, *rules), prompts, answers, recipe, made_from={}, round=1))
    assert {row.score for row in rows if row.response_id == "a"} == {(3 * 5 + 1) / 4}
    assert {row.score for row in rows if row.response_id == "b"} == {2.0}
    versions = {row.response_id: row.template.partition("+")[2] for row in rows}
    assert versions == {"a": "row", "b": load_rubric(NAME).version}


@pytest.mark.parametrize(
    ("criteria", "told"),
    [
        ([], "not empty"),
        ("be nice", "not empty"),
        ([{"name": "one", "text": ""}], "has no text"),
        ([{"name": "one", "text": "x", "points": 3}], "unknown key 'points'"),
        ([{"name": "one", "text": "x", "weight": -1}], "above 0"),
        (None, "has no meta.rubric"),
    ],
)
def test_a_row_without_usable_criteria_is_refused_by_its_id(criteria, told):
    wording = judge_prompt(build_recipe([], ["judge.question=rubric"]).judge)
    wording.require(with_rubric(OWN))
    asked = prompt("mine") if criteria is None else with_rubric(criteria, "mine")
    with pytest.raises(DataError, match=told) as raised:
        wording.require(asked)
    assert "prompt mine" in str(raised.value)


def test_a_run_whose_rows_lack_criteria_is_refused_before_it_begins(tmp_path):
    rows = [{"id": f"r{n}", "prompt": f"river{n} lake{n}?", "meta": {"rubric": OWN}} for n in range(30)]
    asked = ["judge.question=rubric", "measure.verifier=none", "prompts.per_round=6", "rounds=1", "measure.frozen=0"]
    asked += [f"measure.{pool}=4" for pool in ("gate", "selection", "report")]
    asked += ["measure.judge_probes.claims=0", "generate.template=helpful", "engine.kind=scripted", "train.method=none"]
    asked += [f"engine.script={script(tmp_path, {'replies': ['x']})}"]

    def check(rows, *more):
        sources = []
        for key, part in (("prompts.source", rows[:12]), ("measure.source", rows[12:])):
            path = tmp_path / f"{key}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
            sources.append(f"{key}={path}")
        preflight(build_recipe([], [*asked, *sources, *more]))

    check(rows)
    with pytest.raises(DataError, match=r"has no meta\.rubric"):
        check([*rows[:-1], {"id": "last", "prompt": "without any"}])
    check([*rows[:-1], {"id": "last", "prompt": "without any"}], f"judge.question.rubric={NAME}")
    with pytest.raises(RecipeError, match=r"prompts\.writer\.share"):
        check(rows, "prompts.writer.share=0.5")


def test_probes_of_the_judge_are_judged_by_the_criteria_of_their_prompt():
    recipe = build_recipe([], ["measure.source=any.jsonl", "measure.judge_probes.padded=1"])
    made = probe_replies(recipe, [(with_rubric(OWN), response("a", of="own", text="The Rhine."))])
    assert {one.question for one in made} == {"padded", "feedback"}
    assert all(one.prompt.meta == {"rubric": OWN} for one in made)
