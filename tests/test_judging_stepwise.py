"""Stepwise judging: where steps are cut, what a verdict is, planted wrong steps found, and what is unread stays so."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging_factory import player, prompt, response, rows_of
from test_judge_bench import PAIRS, labelled_pairs, nowhere
from test_judge_bench import scripted as bench_model
from test_judging_loop import go

from selfreward.commands.judge_bench.bench import bench
from selfreward.engines.protocol import Completion
from selfreward.errors import LimitError, RecipeError
from selfreward.judging.prompts import steps as role
from selfreward.judging.scoring.steps import by_answer, first_wrong, step_score, step_statistics
from selfreward.judging.stepwise import judge_steps, stepped
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe
from selfreward.records import Drop, Judgment, Pair, Response, StepVerdict
from selfreward.roles.unreadable import Unreadable
from selfreward.store.results import Store

MARKED = (
    "First the plan.\nStep 1: two and two are four.\nStep 2: four and one are {sum}.\nStep 3: so the answer is {sum}."
)
RIGHT, WRONG = MARKED.format(sum="five"), MARKED.format(sum="six")


def judge(*changes):
    return build_recipe([], ["judge.question=steps", *changes]).judge


@pytest.mark.parametrize(
    ("answer", "steps"),
    [
        (RIGHT, ["First the plan.\nStep 1: two and two are four.", "Step 2: four and one are five."]),
        ("**Step 1.** a\n\nmore of a\n\n**Step 2.** b", ["**Step 1.** a\n\nmore of a", "**Step 2.** b"]),
        ("1. a\n2. b\n\nc", ["1. a", "2. b\n\nc"]),
        ("1) a\n2) b", ["1) a", "2) b"]),
        ("first\nstill first\n\nsecond\n \n\nthird", ["first\nstill first", "second", "third"]),
        ("Only Step 1: alone, 2.5 of it\n3.5 more", ["Only Step 1: alone, 2.5 of it\n3.5 more"]),
        ("one line", ["one line"]),
        ("", [""]),
    ],
)
def test_an_answer_is_cut_where_it_marks_its_steps(answer, steps):
    assert list(role.split(answer, 20))[: len(steps)] == steps


@given(st.lists(st.sampled_from(["Step 1: a", "2. b", "", " ", "c", "\n"]), max_size=12), st.integers(1, 5))
def test_no_word_is_lost_and_no_more_steps_are_made_than_wanted(lines, most):
    answer = "\n".join(lines)
    steps = role.split(answer, most)
    assert 1 <= len(steps) <= most and " ".join(" ".join(steps).split()) == " ".join(answer.split())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It holds.\nVerdict: right", 1.0),
        ("Two and two are four.\n**Verdict: wrong**", 0.0),
        ("Verdict: the step is incorrect.", 0.0),
        ('{"verdict": "correct"}', 1.0),
        ("Verdict: right\nOn reflection it is not.\nVerdict: wrong", 0.0),
        ("Verdict: right\nVerdict: wrong", "contradiction"),
        ("Verdict: perhaps", "no verdict"),
        ("The step is right.", "no verdict"),
        ("I cannot help with that.", "refused"),
        ("", "no verdict"),
    ],
)
def test_a_verdict_is_read_from_the_end_or_not_at_all(text, found):
    said = role.read("steps", Completion(text, "", (1, 0), "stop"))
    assert (said.reason if isinstance(said, Unreadable) else said) == found
    assert role.read("steps", Completion("Verdict: right", "", (1,), "length")).reason == "truncated"


def verdict(step, right, of="a", steps=3):
    unread = "no verdict" if right is None else None
    return StepVerdict(f"{of}{step}", of, "p", step, steps, "j", "", (), "stop", 0, "t", right, unread)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_scores_are_the_worst_step_or_the_product_and_never_more(chances):
    steps = [verdict(number, chance, steps=len(chances)) for number, chance in enumerate(chances, start=1)]
    worst, all_right = step_score(steps, "min"), step_score(steps, "product")
    assert worst == pytest.approx(5 * min(chances), abs=1e-3) and all_right <= worst + 1e-3
    assert all_right == pytest.approx(5 * math.prod(chances), abs=1e-3)
    below = [number for number, chance in enumerate(chances, start=1) if chance < 0.5]
    assert first_wrong(steps) == (below[0] if below else None)


def test_one_unread_step_leaves_the_answer_without_a_score():
    assert step_score([verdict(1, 1.0), verdict(2, None), verdict(3, 0.0)], "min") is None
    assert step_score([verdict(1, 1.0), verdict(2, 0.0)], "min") is None, "a step has no row yet"
    rows = [verdict(k, 1.0) for k in (3, 1, 2)] + [verdict(k, float(k != 2), "b") for k in (1, 2, 3)]
    rows += [verdict(k, 0.0, "c") for k in (1, 2)] + [verdict(3, None, "c")]
    assert [row.step for row in by_answer(rows)["a"]] == [1, 2, 3]
    found = step_statistics(rows)
    assert (found["answers"], found["steps"], found["unreadable"]) == (3, 3.0, 1)
    assert (found["all_right"], found["first_wrong"]) == (0.5, 0.5)
    assert step_statistics([])["all_right"] is None
    with pytest.raises(ValueError, match="exactly one"):
        dataclasses.replace(verdict(1, 1.0), unreadable="no verdict")


SEES = (
    {"match": r"<step-\w+>\n[^<]*are six", "replies": ["No.\nVerdict: wrong"], "next": {"right": 0.2, "wrong": 0.6}},
    {"match": r"<step-\w+>\n[^<]*is six", "replies": ["So.\nVerdict: right"], "next": {"right": 0.6, "wrong": 0.3}},
    {"match": r"<step-\w+>\n[^<]*unclear", "replies": ["Who knows?"], "next": {"right": 0.1, "wrong": 0.1}},
    {"match": r"<step-\w+>", "replies": ["Yes.\nVerdict: right"], "next": {"right": 0.9, "wrong": 0.0}},
)  # fmt: skip
ANSWERS = [response("a", text=RIGHT), response("b", text=WRONG), response("c", text=f"{RIGHT}\nStep 4: unclear.")]


def judged(tmp_path, recipe, answers=ANSWERS):
    asked = {"made_from": {}, "round": 1, "artifact": "judgments_steps"}
    work = judge_steps(player(tmp_path, *SEES), {"p": prompt()}, answers, recipe, **asked)
    rows = rows_of(work)
    return rows, {row.response_id: row for row in stepped(rows, answers, recipe, round=1, artifact="judgments")}


def test_a_planted_wrong_step_is_found_by_what_is_said(tmp_path):
    rows, found = judged(tmp_path, judge())
    assert len(rows) == 3 + 3 + 4 and [row.step for row in by_answer(rows)["c"]] == [1, 2, 3, 4]
    assert (found["a"].score, found["b"].score, found["c"].score) == (5.0, 0.0, None)
    assert found["c"].unreadable == "no verdict" and found["a"].source == "steps"
    assert first_wrong(by_answer(rows)["b"]) == 2 and first_wrong(by_answer(rows)["a"]) is None


@pytest.mark.parametrize(("combine", "score"), [("min", 1.25), ("product", 5 * 0.25 * 2 / 3)])
def test_a_planted_wrong_step_is_found_by_probability(tmp_path, combine, score):
    rows, found = judged(tmp_path, judge("judge.reading=probability", f"judge.question.combine={combine}"))
    assert found["a"].score == 5.0 and found["b"].score == pytest.approx(score, abs=1e-3)
    assert found["c"].score is None and found["c"].unreadable == "no score mass"
    masses = [row.mass for row in by_answer(rows)["b"]]
    assert masses == pytest.approx([0.9, 0.8, 0.9]) and not any(row.text for row in rows)
    assert found["a"].template.endswith(f"+{combine}")


def test_after_a_rationale_the_probability_is_read_and_the_text_kept(tmp_path):
    rows, found = judged(tmp_path, judge("judge.reading=rationale"))
    assert found["b"].score == 1.25 and all(row.text and row.mass for row in rows)


def test_a_step_is_shown_with_those_before_it_and_none_after():
    (message,) = role.ask("steps", prompt(), ["one </step-00000000>"], "two {before}")
    assert message.content.index("one <") < message.content.index("two {before}") and "{fence}" not in message.content
    whole = role.wording(judge().question).ask(prompt(), RIGHT)[0].content
    assert all(words in whole for words in ("two and two", "are five", "is five"))


def test_how_steps_are_combined_asks_nothing_anew(tmp_path):
    def work(recipe):
        asked = {"made_from": {}, "round": 1, "artifact": "judgments_steps"}
        return judge_steps(player(tmp_path, *SEES), {"p": prompt()}, ANSWERS, recipe, **asked).made_from

    assert work(judge()) == work(judge("judge.question.combine=product"))
    assert work(judge()) != work(judge("judge.question.most=2"))
    with pytest.raises(RecipeError, match="judges no steps"):
        work(build_recipe([], []).judge)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ("judge.aggregate.samples=5", "asks each question once"),
        ("judge.reading.ask_again=1", "asks each question once"),
        ("judge.aggregate=adaptive", "judge.aggregate=adaptive"),
        ("meta.enabled=true", "meta.enabled compares judgments of one answer"),
        ("judge.question.combine=mean", "expected min | product"),
        ("judge.question.orders=2", "judge.question.kind=list"),
        ("judge.reading=probability judge.reading.scale=1-10", "asks for no score"),
        ("judge.aggregate={kind: ensemble, members: [additive, brief]}", "another question"),
        ("judge.reading=scalar judge.question.most=3", "scalar"),
    ],
)
def test_keys_that_steps_would_not_read_are_refused(changes, words):
    given_keys = [changes] if "{" in changes else changes.split()
    with pytest.raises(RecipeError) as refused:
        build_recipe([], ["judge.question=steps", *given_keys])
    assert words in str(refused.value)


def scripted(tmp_path):
    script_path = tmp_path / "script.yaml"
    lines = ['  - {match: "<step-\\\\w+>\\\\n[^<]*bad", replies: ["so\\nVerdict: wrong"]}']
    lines += ['  - {match: "<step-\\\\w+>\\\\n[^<]*odd", replies: ["cannot tell"]}']
    lines += ['  - {match: "<step-", replies: ["so\\nVerdict: right"]}']
    lines += ['  - {replies: ["good\\n\\ngood too", "good\\n\\nbad", "odd"]}']
    script_path.write_text("rules:\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return ["engine.kind=scripted", f"engine.script={script_path}", "judge.question=steps", "gates.min_readable=0"]


def test_a_round_of_the_loop_is_judged_by_steps(tmp_path):
    view = go(tmp_path / "results", "steps", *scripted(tmp_path))
    rows, judgments = view.read(1, "judgments_steps", StepVerdict), view.read(1, "judgments", Judgment)
    assert {row.steps for row in rows} == {1, 2} and {row.score for row in judgments} == {0.0, 5.0, None}
    pairs, drops = view.read(1, "pairs", Pair), view.read(1, "dropped", Drop)
    texts = {row.id: row.text for row in view.read(1, "responses", Response)}
    assert pairs and all(texts[pair.chosen_id] == "good\n\ngood too" for pair in pairs)
    assert all("bad" in texts[pair.rejected_id] for pair in pairs)
    scored = {row.prompt_id for row in judgments if row.score is not None}
    unread = {row.prompt_id for row in judgments} - scored
    assert unread <= {drop.subject for drop in drops}
    told = view.seal(1, "judgments").made_from["statistics"]
    assert told["first_wrong"] == 1.0 and 0 < told["all_right"] < 1


def test_a_run_that_was_stopped_among_the_steps_goes_on_to_the_same_rows(tmp_path):
    asked, names = scripted(tmp_path), ("judgments_steps", "judgments", "pairs")
    whole = go(tmp_path / "whole", "steps", *asked)
    sampled = sum(seal.tokens for seal in whole.seals(0)) + whole.seal(1, "responses").tokens
    with pytest.raises(LimitError):
        go(tmp_path / "stopped", "steps", *asked, f"limits.tokens={sampled + 1}")
    stopped = Store(tmp_path / "stopped").existing("steps")
    assert stopped.seal(1, "responses") is not None and stopped.seal(1, "pairs") is None
    again = go(tmp_path / "stopped", "steps", *asked)
    assert [again.seal(1, name).digest for name in names] == [whole.seal(1, name).digest for name in names]


def test_the_bench_measures_it_beside_a_score_of_the_whole(tmp_path):
    """Scripted on both sides: that the bench can ask it, not that any model does it well."""
    rules = (
        {"match": r"<step-\w+>\n[^<]*bad", "replies": ["so\nVerdict: wrong"], "next": {"right": 0.2, "wrong": 0.7}},
        {"match": r"<step-\w+>", "replies": ["so\nVerdict: right"], "next": {"right": 0.8, "wrong": 0.1}},
        {"replies": ["so\nScore: 4"]},
    )
    pool = labelled_pairs(tmp_path, good="plan\n\ngood", bad="plan\n\nbad", sources=("one",))
    asked = [
        "question=score",
        "name=said,question=steps",
        "name=read,question=steps,reading=probability,combine=product",
    ]
    found = bench([pool], asked, bench_model(tmp_path, *rules), nowhere, Progress(style="silent"))
    accuracy = {one.judge: one.estimates["accuracy"].value for one in found}
    assert accuracy == {"question=score": 0.5, "said": 1.0, "read": 1.0}
    assert {one.judge: one.verdicts for one in found}["said"] == 2 * PAIRS
