"""`contains`: the gold answer as whole words, in strange spellings, and wrong ones that look right."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.errors import DataError
from selfreward.records import Message, Prompt
from selfreward.tasks.verifiers.contains import words
from selfreward.tasks.verifiers.protocol import load_verifier

VERIFIER = load_verifier("contains")


def asked(answer: str | None = None, **meta: object) -> Prompt:
    return Prompt("p", (Message("user", "Where?"),), "train", "file", answer=answer, meta=meta)


@pytest.mark.parametrize(
    ("gold", "reply", "right"),
    [
        ("Paris", "The capital of France is Paris.", True),
        ("Paris", "**PARIS**, of course", True),
        ("Paris", r"\boxed{Paris}", True),
        ("Paris", "Paris's river is the Seine", True),
        ("Paris", "Parisian cafés", False),
        ("Paris", "comparison", False),
        ("Paris", "Rome", False),
        ("Paris", "", False),
        ("New York", "in new-york\n", True),
        ("New York", "New\n York City", True),
        ("New York", "York, and New Haven", False),
        ("the river Thames", "River Thames", False),
        ("São Paulo", "Sa\u0303o Paulo", True),
        ("Straße", "STRASSE", True),
        ("42", "It is 42.", True),
        ("42", "(42)", True),
        ("42", "$42.00", True),
        ("42", "between 3 and 420", False),
        ("42", "142", False),
        ("42", "4.2", False),
        ("42", "42.5", False),
        ("42", "-42", False),
        ("-5", "It fell to −5 degrees", True),
        ("5", "3-5", False),
        ("5", "1/5", False),
        ("5", "10:05", False),
        ("5", "2024-05-05", False),
        ("5", ".5", False),
        ("5", "the 5th", False),
        ("0.5", "about .50 of it", True),
        ("1200.5", "1,200.50 francs", True),
        ("1,200", "1200", True),
        ("1200", "1,200,000", False),
        ("50%", "50 % of them", True),
        ("50", "50% of them", False),
        ("18", "１８", True),
        ("2", "x²", False),
        ("19", "COVID-19", False),
        ("COVID-19", "covid-19.", True),
        ("C++", "written in C++", True),
        ("C", "written in C++ and C#", False),
        ("U.S.", "the U.S.", True),
        ("US", "give it to us", True),
        ("東京", "答えは東京です。", True),
        ("京都", "東京", False),
        ("Paris", "not Paris, but Rome", True),  # stated as a limit: nothing is understood
    ],
)
def test_whole_words_anywhere_in_the_reply(gold: str, reply: str, right: bool) -> None:
    truth = VERIFIER.check(asked(gold), reply)
    assert (truth.correct, truth.quality, truth.open) == (right, 5.0 * right, "")


def test_of_several_golds_any_is_enough_unless_all_are_needed() -> None:
    some = asked(answers=["Rhine", "Danube", 3])
    every = asked("Elbe", answers=["Rhine", "Danube"], needed="all")
    assert VERIFIER.check(some, "The Danube.").answer == "danube"
    assert VERIFIER.check(some, "3 of them").correct and not VERIFIER.check(some, "30 of them").correct
    assert VERIFIER.check(every, "Danube, Elbe and Rhine").correct
    found = VERIFIER.check(every, "the Danube and the Rhine, never the Oder")
    assert (found.correct, found.answer) == (False, "rhine | danube")
    assert VERIFIER.check(asked("Elbe", answers=["Elbe"], needed="all"), "Elbe").correct


def test_answers_with_the_same_golds_are_one_answer_and_others_are_told_apart() -> None:
    found = [VERIFIER.check(asked("Paris"), reply).answer for reply in ("Paris.", "I say: paris!", "Rome!", "Bonn")]
    assert found == ["paris", "paris", "rome", "bonn"]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (asked(), "has no 'answer' and no meta.answers"),
        (asked(answers=[]), "has no 'answer' and no meta.answers"),
        (asked("..."), "'...' has no letter or digit"),
        (asked(""), "'' has no letter or digit"),
        (asked("x", answers=["y", "?"]), "'\\?' has no letter or digit"),
        (asked("x", answers="y"), "meta.answers is 'y'; expected a list"),
        (asked("x", answers=[None]), "expected a list of texts or numbers"),
        (asked("x", needed="most"), "meta.needed is 'most'; expected any or all"),
    ],
)
def test_a_row_without_a_word_to_look_for_is_refused_before_the_run(prompt: Prompt, words: str) -> None:
    with pytest.raises(DataError, match=f"^prompt p .*{words}"):
        VERIFIER.require(prompt)


def test_what_can_be_looked_for_is_taken_and_a_row_without_it_is_left_open() -> None:
    for prompt in (asked("x"), asked(answers=["x", 3.5]), asked("x", needed="all")):
        VERIFIER.require(prompt)
    truth = VERIFIER.check(asked(), "x")
    assert truth.open and not truth.correct


LETTERS = st.text("abcxyzéß", min_size=1, max_size=4)
MARKS = st.sampled_from([" ", ", ", ". ", "\n", " - ", " (", ") ", " **", "! ", "; ", " 'and' "])


@given(st.lists(LETTERS, min_size=1, max_size=8), st.lists(MARKS, min_size=9, max_size=9), st.data())
def test_a_gold_is_found_exactly_where_its_words_stand_in_a_row(
    row: list[str], marks: list[str], data: st.DataObject
) -> None:
    """Against a second way: lists of words, compared place by place."""
    reply = "".join(mark + word for mark, word in zip(marks, row, strict=False))
    gold = data.draw(st.lists(st.sampled_from([*row, "other"]), min_size=1, max_size=3))
    spoken = [word.replace("ß", "ss") for word in re.findall(r"[a-zéß]+", reply)]
    wanted = [word.replace("ß", "ss") for word in gold]
    there = any(spoken[place : place + len(wanted)] == wanted for place in range(len(spoken)))
    assert words(reply) == spoken
    assert VERIFIER.check(asked(" ".join(gold).upper()), reply).correct == there
