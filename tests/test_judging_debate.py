"""Debate: who hears what, checked quotations, planted truth and null, the stability rule, stopped and resumed."""

import dataclasses
import itertools

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from judging_factory import player, prompt, response, rows_of
from test_judging_loop import go

from selfreward.commands.check_questions import roles
from selfreward.commands.plan.workload import judging, recipe_lengths
from selfreward.errors import LimitError, RecipeError
from selfreward.judging.debate import debate_statistics, hold_debates, judge_of_debates
from selfreward.judging.pairwise import Question, compare_answers, rated
from selfreward.judging.prompts import debate as role
from selfreward.judging.scoring.stability import settled, unstable_share
from selfreward.judging.scoring.tournament import ratings
from selfreward.recipe.read import build_recipe
from selfreward.recipe.references import role_references
from selfreward.records import Comparison, Judgment, Pair, Response, Rows, Speech
from selfreward.store.results import Store

KEY = "where is the key?"
MATERIAL = "The key\nlies  under the mat."
SAYS = (
    {"match": r"<yours-\w+>\nmat", "replies": ["Look: <quote>under the mat</quote>"]},
    {"match": r"<yours-\w+>\n", "replies": ["Look: <quote>under the lamp</quote>"]},
)
DECIDES = (
    {
        "match": r"for response 1:\nLook: \[in the text",
        "replies": ["It is there.\nPreferred: 1"],
        "next": {"1": 0.9, "2": 0.1},
    },
    {
        "match": r"for response 2:\nLook: \[in the text",
        "replies": ["It is there.\nPreferred: 2"],
        "next": {"1": 0.1, "2": 0.9},
    },
    {"replies": ["Who knows?\nPreferred: tie"], "next": {"1": 0.5, "2": 0.5}},
)
ANSWERS = [response("a", text="lamp"), response("b", text="mat"), response("c", text="shelf")]


def knowing(material=MATERIAL):
    return {"p": dataclasses.replace(prompt(text=KEY), meta={"material": material} if material else {})}


def judge(*changes):
    return build_recipe([], ["judge.question=debate", *changes]).judge


def debated(tmp_path, recipe, prompts=None, answers=ANSWERS, rules=(*SAYS, *DECIDES)):
    """(speeches, comparisons, score by answer), as judge.py puts them together."""
    prompts, who = prompts or knowing(), player(tmp_path, *rules)
    asked = {"made_from": {}, "round": 1}
    speeches = rows_of(
        hold_debates(who, prompts, answers, recipe, **asked, artifact="s", asked_as="judgments_comparisons")
    )
    show = judge_of_debates(recipe, prompts, speeches)
    work = compare_answers(who, prompts, answers, recipe, **asked, artifact="judgments_comparisons", show=show)
    comparisons = rows_of(work)
    rows = rated(comparisons, answers, recipe, round=1, artifact="judgments")
    return speeches, comparisons, {row.response_id: row.score for row in rows}


@pytest.mark.parametrize("reading", ["verdict", "probability", "rationale"])
def test_a_judge_that_cannot_see_finds_the_planted_truth_by_what_is_quoted(tmp_path, reading):
    _, comparisons, found = debated(tmp_path, judge(f"judge.reading={reading}"))
    assert found["b"] > max(found["a"], found["c"]) and found["a"] == found["c"]
    assert all((row.mass is not None) == (reading != "verdict") for row in comparisons)
    # The same judge, asked directly.
    direct = build_recipe([], ["judge.question=comparison", f"judge.reading={reading}"]).judge
    asked = {"made_from": {}, "round": 1, "artifact": "judgments_comparisons"}
    rows = rows_of(compare_answers(player(tmp_path, *SAYS, *DECIDES), knowing(), ANSWERS, direct, **asked))
    assert {row.score for row in rated(rows, ANSWERS, direct, round=1, artifact="judgments")} == {2.5}


def test_the_null_without_material_nobody_has_anything_to_show(tmp_path):
    speeches, _, found = debated(tmp_path, judge(), knowing(None))
    assert set(found.values()) == {2.5}
    told = debate_statistics(speeches)
    assert (told["quotes"], told["found"]) == (len(speeches), 0.0)


def test_a_judge_of_slots_says_nothing_after_a_debate_either(tmp_path):
    slots = ({"match": "for response 1", "replies": ["So.\nPreferred: 1"], "next": {"1": 0.8, "2": 0.2}},)
    for reading in ("verdict", "probability"):
        assert set(debated(tmp_path, judge(f"judge.reading={reading}"), rules=(*SAYS, *slots))[2].values()) == {2.5}


def test_the_material_is_for_debaters_alone_and_every_text_is_fenced(tmp_path):
    prompts = knowing()
    recipe = judge("judge.question.rounds=1")
    speeches, _, _ = debated(tmp_path, recipe, prompts)
    (shown,) = judge_of_debates(recipe, prompts, speeches)(Question(ANSWERS[0], ANSWERS[1], None))
    assert "lies" not in shown.content and '[in the text: "under the mat"]' in shown.content
    (asked,) = role.ask_debater("argue", prompts["p"], "mine </yours-00000000>", "{other}", "{own}")
    assert "lies  under" in asked.content and asked.content.count("{own}") == 1 and "{fence}" not in asked.content


def test_both_speak_at_once_and_hear_only_the_rounds_before(tmp_path):
    echo = (
        {"match": r"(?s)<debate-\w+>.*Round 2.*</debate-", "replies": ["third"]},
        {"match": r"(?s)<debate-\w+>\nRound 1, for response 1.*Round 1, for response 2", "replies": ["second"]},
        {"match": r"<debate-\w+>\n\n</debate", "replies": ["first"]},
    )
    speeches, _, _ = debated(tmp_path, judge("judge.question.rounds=3"), rules=(*echo, *DECIDES))
    assert {(row.turn, row.text) for row in speeches} == {(1, "first"), (2, "second"), (3, "third")}
    assert len(speeches) == 2 * 3 * 3 * 2, "orders, pairs, rounds, sides"
    assert len({row.id for row in speeches}) == len(speeches)


def test_a_consultancy_has_one_advocate_and_over_both_orders_each_answer_has_one(tmp_path):
    speeches, _, _ = debated(tmp_path, judge("judge.question.sides=one"))
    of_pair = {}
    for row in speeches:
        for_answer = (row.first_id, row.second_id)[row.slot - 1]
        of_pair.setdefault(frozenset((row.first_id, row.second_id)), []).append(for_answer)
    assert all(sorted(found) == sorted([*pair] * 2) for pair, found in of_pair.items())
    assert len(speeches) == 2 * 3 * 2


def speech(text, turn=1, slot=1):
    return Speech("s", "p", "a", "b", turn, slot, "d", text, (), "stop", 0, "t", 0, 0)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<quote>under  the\nmat</quote>", '[in the text: "under the mat"]'),
        ("<quote>under a mat</quote>", '[not in the text: "under a mat"]'),
        ("<quote>lamp</quote>!", '[in the text: "lamp"]!'),
        ('[in the text: "a mat"]', '(in the text: "a mat")'),
        ('<quote>[in the text: "x"]</quote>', '[not in the text: "(in the text: "x")"]'),
        ('\0in the text: "a mat"\1', 'in the text: "a mat"'),
        ("<quote>\0in the text\1</quote>", '[not in the text: "in the text"]'),
        ("<quote>x < 3</quote>", '[not in the text: "x < 3"]'),
        ("<quote><b>mat</b></quote> <quote>lamp</quote>", '[not in the text: "<b>mat</b>"] [in the text: "lamp"]'),
        ("<quote>open <quote>lamp</quote>", '<quote>open [in the text: "lamp"]'),
        ("<quote> </quote>", role.SILENCE),
        ("<quote>open", "<quote>open"),
        ("", role.SILENCE),
    ],
)
def test_quotations_are_marked_by_code_and_by_nobody_else(said, shown):
    text = role.transcript([speech(said)], knowing()["p"], ["lamp", "mat"])
    assert text == f"Round 1, for response 1:\n{shown}"


def test_a_quotation_of_code_is_found_and_counted():
    sources = role.sources_of(prompt(text="Is x < 3\nor <b>y</b> > 3?"), [])
    assert role.quotations("<quote>x < 3 or <b>y</b></quote> so <QUOTE>x < 4</QUOTE>", sources) == (2, 1)


def test_speeches_stand_in_the_order_of_rounds_and_slots():
    rows = [speech(f"{turn}{slot}", turn, slot) for turn, slot in ((2, 2), (1, 2), (2, 1), (1, 1))]
    text = role.transcript(rows, prompt(), [])
    assert [line for line in text.splitlines() if len(line) == 2] == ["11", "12", "21", "22"]


@pytest.mark.parametrize(
    ("said", "conceded"),
    [
        ("I must concede this.", True),
        ("The other response is better, and I say so.", True),
        ("My answer is wrong.", True),
        ("The other response is worse.", False),
        ("They will concede.", False),
    ],
)
def test_a_plain_concession_is_counted(said, conceded):
    assert role.concedes(said) is conceded
    assert debate_statistics(Rows([speech(said)], "x"))["concessions"] == conceded


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.001, 0.49))
def test_with_two_readings_a_tie_is_a_mean_within_epsilon(one, other, epsilon):
    """The closed form: one pattern of four moves the mean by epsilon to one side."""
    gap = abs((one + other) / 2 - 0.5)
    if abs(gap - epsilon) < 1e-9 or gap < 1e-9:
        return
    assert unstable_share([one, other], epsilon) == (0.25 if gap < epsilon else 0.0)
    assert settled([one, other], epsilon, 0.1) == (0.5 if gap < epsilon else pytest.approx((one + other) / 2))
    assert settled([one, other], epsilon, 0.3) == pytest.approx((one + other) / 2), "a quarter is allowed"


def test_the_share_is_what_counting_all_patterns_gives():
    chances, epsilon = [0.55, 0.52, 0.5], 0.08
    moved = [sum(chances) + sum(pattern) for pattern in itertools.product((-epsilon, epsilon), repeat=3)]
    assert unstable_share(chances, epsilon) == sum(total <= 1.5 for total in moved) / 8 == 0.5
    assert unstable_share([0.5, 0.5], 0.01) == 1.0 and settled([0.5, 0.5], 0.01, 0.1) == 0.5
    assert settled([1.0, 1.0], 0.49, 0.1) == 1.0 and settled([0.51, 0.51], 0.0, 0.1) == pytest.approx(0.51)


def test_an_order_that_hangs_on_little_is_a_tie_and_no_soft_label_or_other_question_changes():
    def row(first, second, chance):
        return Comparison(f"{first}{second}", "p", first, second, "j", "", (), "stop", 0, "t", chance, None, 1.0, "")

    rows = [row("a", "b", 0.53), row("b", "a", 0.45)]
    read = "judge.reading=probability"
    assert ratings(rows, judge(read))["a"] == ratings(rows, judge(read))["b"] == 2.5
    for other in (judge(read, "judge.question.epsilon=0"), judge(read, "judge.question.epsilon=0.03")):
        assert ratings(rows, other)["a"] > 2.5
    assert ratings(rows, build_recipe([], ["judge.question=comparison", read]).judge)["a"] > 2.5
    verdicts = [row("a", "b", 1.0), row("b", "a", 0.0)]
    assert ratings(verdicts, judge())["a"] > 2.5 and ratings([verdicts[0], row("b", "a", 1.0)], judge())["a"] == 2.5


def test_what_becomes_of_the_verdicts_asks_nothing_anew(tmp_path):
    def made(recipe):
        who, asked = player(tmp_path, *SAYS, *DECIDES), {"made_from": {}, "round": 1}
        spoken = hold_debates(who, knowing(), ANSWERS, recipe, **asked, artifact="s", asked_as="c").made_from
        show = judge_of_debates(recipe, knowing(), [])
        return spoken, compare_answers(who, knowing(), ANSWERS, recipe, **asked, artifact="c", show=show).made_from

    before = made(judge())
    assert made(judge("judge.question.epsilon=0.2", "judge.question.unstable=0.3")) == before
    assert made(judge("judge.question.template=debate", "judge.reading=probability"))[0] == before[0]
    assert made(judge("judge.question.rounds=3"))[0] != before[0]
    with pytest.raises(RecipeError, match="holds no debate"):
        made(build_recipe([], ["judge.question=comparison"]).judge)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["judge.question.rounds=0"], "rounds"),
        (["judge.question.sides=three"], "expected both | one"),
        (["judge.question.epsilon=0.5"], "epsilon"),
        (["judge.question.debater=served:nobody"], "not in the section 'served'"),
        (["meta.enabled=true"], "meta.enabled compares judgments of one answer"),
        (["judge.reading.ask_again=1"], "asks each question once"),
        (["judge.question.orders=2"], "judge.question.kind=list"),
        (["judge.aggregate={kind: ensemble, members: [additive, brief]}"], "another question"),
    ],
)
def test_keys_that_a_debate_would_not_read_are_refused(changes, words):
    with pytest.raises(RecipeError) as refused:
        judge(*changes)
    assert words in str(refused.value)


def test_words_without_a_place_for_the_debate_are_refused():
    question = judge("judge.question.template=pairwise").question
    with pytest.raises(RecipeError, match=r"has no \{debate\}"):
        role.version(question)


def test_who_argues_is_a_role_that_is_planned_checked_and_named():
    recipe = build_recipe([], ["judge.question=debate", "judge.question.debater=initial"])
    assert recipe.judge.debater.kind == "initial" and recipe.judge.models == [recipe.judge.model]
    assert recipe.judge.debater in role_references(recipe)
    named = {one.name: one for one in roles(recipe, [prompt()])}
    assert named["debater"].model.kind == "initial" and named["debater"].reply == 256
    assert "stands here" in named["judge"].ask(prompt())[0].content
    planned = {one.stage: one for one in judging(recipe, recipe_lengths(recipe), 1.0)}
    assert planned["judge: debate"].questions == 2 * 2 * planned["judge"].questions
    alone = build_recipe([], ["judge.question=comparison"])
    (pairwise,) = judging(alone, recipe_lengths(alone), 1.0)
    assert planned["judge"].prompt == pairwise.prompt + 4 * 256


def scripted(tmp_path, *more):
    """A generator that says one of three things, debaters that praise, and a judge that believes what is quoted."""
    rules = [
        {"match": r"<yours-\w+>\ngood", "replies": ["<quote>good</quote> it is", "I say <quote>good</quote>"]},
        {"match": r"<yours-\w+>\n", "replies": ["<quote>nowhere said</quote>", "I concede"]},
        {"match": r"for response 1:[^\n]*\n[^\n]*\[in the text", "replies": ["so\nPreferred: 1"]},
        {"match": r"for response 2:[^\n]*\n[^\n]*\[in the text", "replies": ["so\nPreferred: 2"]},
        {"match": "<response-1-", "replies": ["so\nPreferred: tie"]},
        {"replies": ["good", "bad", "odd"]},
    ]
    path = tmp_path / "script.yaml"
    path.write_text(yaml.safe_dump({"rules": rules}), encoding="utf-8")
    return ["engine.kind=scripted", f"engine.script={path}", "judge.question=debate", *more]


ROWS = ("judgments_speeches", "judgments_comparisons", "judgments", "pairs")


def test_a_round_of_the_loop_is_judged_by_debates(tmp_path):
    view = go(tmp_path / "results", "debate", *scripted(tmp_path))
    speeches = view.read(1, "judgments_speeches", Speech)
    texts = {row.id: row.text for row in view.read(1, "responses", Response)}
    assert {row.turn for row in speeches} == {1, 2} and {row.slot for row in speeches} == {1, 2}
    pairs = view.read(1, "pairs", Pair)
    assert pairs and all(texts[pair.chosen_id] == "good" != texts[pair.rejected_id] for pair in pairs)
    told = view.seal(1, "judgments").made_from
    assert told["debates"]["speeches"] == len(speeches) and 0 < told["debates"]["found"] < 1
    assert told["debates"]["concessions"] > 0 and told["tie"] == [0.05, 0.1]
    assert {row.source for row in view.read(1, "judgments", Judgment)} == {"comparisons"}


@pytest.mark.parametrize("stop_after", ["responses", "judgments_speeches"])
def test_a_run_that_was_stopped_in_a_debate_goes_on_to_the_same_bytes(tmp_path, stop_after):
    asked = scripted(tmp_path)
    whole = go(tmp_path / "whole", "debate", *asked)
    spent = sum(seal.tokens for seal in whole.seals(0))
    spent += sum(whole.seal(1, name).tokens for name in ("responses", *ROWS[: ("responses", *ROWS).index(stop_after)]))
    with pytest.raises(LimitError):
        go(tmp_path / "stopped", "debate", *asked, f"limits.tokens={spent + 1}")
    stopped = Store(tmp_path / "stopped").existing("debate")
    assert stopped.seal(1, stop_after) is not None and stopped.seal(1, "pairs") is None
    again = go(tmp_path / "stopped", "debate", *asked)
    for name in ROWS:
        files = [view.path / "round-01" / f"{name}.jsonl" for view in (whole, again)]
        assert files[0].read_bytes() == files[1].read_bytes()
