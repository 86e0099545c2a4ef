"""Few-shot exemplars: what they look like, how they are drawn, and what must never be among them."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging_factory import player, prompt, response, rows_of
from test_judging_loop import go

from selfreward.commands.preflight import preflight
from selfreward.errors import DataError, RecipeError
from selfreward.judging.pointwise import judge_pointwise
from selfreward.judging.prompts.exemplars import Exemplar, draw
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.recipe.read import build_recipe
from selfreward.records import Judgment
from selfreward.tasks.sandbox.pools import prompt_pool
from selfreward.tasks.sandbox.source import SandboxSource


def written(tmp_path, rows, name="shown.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def row(number, score, text=None):
    said = f"Reason {number}.\nScore: {score}"
    return {"prompt": f"request {number}", "response": f"answer {number}", "judgment": text or said}


ROWS = [row(number, score) for number, score in enumerate([0, 1, 3, 5, 5, 3, 0, 1])]


def shown(file, shots=4):
    asked = [f"judge.question.examples={file}", f"judge.question.shots={shots}", "judge.question.template=additive"]
    return build_recipe([], asked).judge


def test_an_exemplar_is_the_judges_own_question_and_the_judgment_its_answer(tmp_path):
    plain = judge_prompt(build_recipe([], ["judge.question.template=additive"]).judge)
    wording = judge_prompt(shown(written(tmp_path, ROWS)))
    turns = wording.ask(prompt(), "mine")
    assert [turn.role for turn in turns] == ["user", "assistant"] * 4 + ["user"]
    assert turns[-1:] == plain.ask(prompt(), "mine")
    for question, said in zip(turns[:-1:2], turns[1::2], strict=True):
        number = said.content.split(".")[0].removeprefix("Reason ")
        assert (question,) == plain.ask(prompt(text=f"request {number}"), f"answer {number}")
    assert Counter(turn.content[-1] for turn in turns if turn.role == "assistant") == dict.fromkeys("0135", 1)


def test_the_lot_is_about_rows_and_not_places_and_the_version_about_what_is_shown(tmp_path):
    first = judge_prompt(shown(written(tmp_path, ROWS)))
    again = judge_prompt(shown(written(tmp_path, ROWS[::-1], "turned.jsonl")))
    assert first.ask(prompt(), "x") == again.ask(prompt(), "x") and first.version == again.version
    other = judge_prompt(shown(written(tmp_path, [*ROWS[:-1], row(7, 1, "So.\nScore: 1")], "other.jsonl"), 8))
    assert len({first.version, other.version, judge_prompt(shown(written(tmp_path, ROWS), 6)).version}) == 3
    assert first.version.startswith("judge/additive@") and "+4 exemplars@" in first.version


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30), st.integers(2, 12))
def test_no_score_is_shown_two_times_more_than_another(scores, shots):
    rows = [Exemplar(prompt(f"p{at}"), f"{at}", f"{score}", "here") for at, score in enumerate(scores)]
    levels = Counter(scores)
    try:
        drawn = draw(rows, shots, lambda one: float(one.judgment), "file")
    except DataError:
        # Refused where one score runs out before its turn comes, or there is one score alone.
        assert len(levels) < 2 or min(levels.values()) * len(levels) < shots
        return
    counts = Counter(int(one.judgment) for one in drawn)
    assert len(drawn) == len(set(drawn)) == shots
    assert max(counts.values()) - min(counts.get(level, 0) for level in levels) <= 1


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([row(1, 3), row(2, 9)], r"shown.jsonl:2: its judgment cannot be read \(out of range"),
        ([row(1, 3), row(2, 4, "It is good.")], "no verdict"),
        ([row(1, 3), row(2, 3)], "1 different scores; expected two at least"),
        ([row(1, 3), row(2, 4)], "make no 4 that are balanced"),
        ([{"prompt": "x", "response": "y"}], "shown.jsonl:1: judgment is"),
        ([{"response": "y", "judgment": "Score: 3"}], "shown.jsonl:1: found keys response"),
    ],
)
def test_a_file_that_would_teach_something_else_is_refused(tmp_path, rows, told):
    with pytest.raises(DataError, match=told):
        judge_prompt(shown(written(tmp_path, rows)))


def test_shots_without_a_file_are_refused():
    with pytest.raises(RecipeError, match=r"is read with judge\.question\.examples only"):
        build_recipe([], ["judge.question.shots=6"])


def test_a_judge_is_asked_with_them_and_only_its_own_words_are_read(tmp_path):
    rules = ({"match": "mine", "replies": ["so\nScore: 2"]}, {"replies": ["so\nScore: 5"]})
    work = judge_pointwise(
        player(tmp_path, *rules),
        {"p": prompt()},
        [response("a", text="mine")],
        shown(written(tmp_path, ROWS)),
        made_from={},
        round=1,
    )
    assert {one.score for one in rows_of(work)} == {2.0}


def sandbox_rows(texts):
    said = [f"a a ok ; yes yes yes yes yes Score: {score}" for score in (5, 3, 5, 3)]
    return [{"prompt": text, "response": "a", "judgment": judgment} for text, judgment in zip(texts, said, strict=True)]


def smoke(file):
    return [f"judge.question.examples={file}", "judge.question.shots=2"]


def test_a_prompt_of_a_pool_or_of_training_is_refused_before_the_run(tmp_path):
    clean = [task.text for task in prompt_pool("train", 4, seed=77)]
    recipe = build_recipe([], [])
    held = SandboxSource(recipe).pools()[0].text
    trained = SandboxSource(recipe).training(1, 1)[0].text
    for name, text, told in (("held", held, "gate"), ("trained", trained, "is trained on")):
        file = written(tmp_path, sandbox_rows([*clean[:3], text]), f"{name}.jsonl")
        with pytest.raises(DataError, match=told):
            preflight(build_recipe([], smoke(file)))
    preflight(build_recipe([], smoke(written(tmp_path, sandbox_rows(clean)))))


def test_a_round_is_judged_with_exemplars_and_says_so_on_every_row(tmp_path):
    clean = [task.text for task in prompt_pool("train", 4, seed=77)]
    view = go(tmp_path / "results", "shown", *smoke(written(tmp_path, sandbox_rows(clean))), "gates.min_readable=0")
    rows = view.read(1, "judgments", Judgment)
    assert rows and all("+2 exemplars@" in one.template for one in rows)
