"""mathematics on 201 answers in LaTeX of many kinds: each accepts its spellings and rejects its fragments."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from selfreward.errors import DataError
from selfreward.records import Message, Prompt
from selfreward.tasks.verifiers.boxed import listed_boxes
from selfreward.tasks.verifiers.denials import Retraction, is_denied, taken_back
from selfreward.tasks.verifiers.final_answer import final_answer
from selfreward.tasks.verifiers.latex import compact, respelled
from selfreward.tasks.verifiers.quantity import shortest

pytest.importorskip("math_verify")

from selfreward.tasks.verifiers.mathematics import MathVerifier, same_answer

VERIFIER = MathVerifier()
GOLDS = (Path(__file__).parent / "math_golds.txt").read_text(encoding="utf-8").splitlines()
QUANTITY = re.compile(r"(?:x = )?\\?\$?[0-9.]+(?: ?\\(?:text|mbox)\{.*\}(?:\^2)?|\\%|\^\{?\\circ\}?)?|\\\{[0-9]\\\}")
"""Golds of which the bare number is accepted: it lacks the unit, the name or the braces only."""


def asked(gold):
    return Prompt("p", (Message("user", "How much?"),), "train", "file", answer=gold, meta={})


def spellings(gold):
    """The same answer as others write it."""
    yield gold
    for name in ("frac", "dfrac", "tfrac"):
        yield re.sub(r"\\[dt]?frac", rf"\\{name}", gold)
    yield re.sub(r"\^([0-9a-z])", r"^{\1}", gold)
    yield re.sub(r"\^\{([0-9a-z])\}", r"^\1", gold)
    yield re.sub(r"\s*([-+=])\s*", r" \1 ", gold)
    yield re.sub(r"\\sqrt([0-9])", r"\\sqrt{\1}", gold)
    yield re.sub(r"\\sqrt\{([0-9a-z])\}", r"\\sqrt \1", gold)
    yield re.sub(r"\\left|\\right", "", gold)
    if not re.search("text|mbox", gold):
        yield re.sub(r"\s*([-+=,])\s*", r"\1", gold)


def fragments(gold):
    numbers = re.findall(r"(?<![\d.,])\d+(?![\d.,])", gold)
    parts = {
        *numbers[:1],
        *numbers[-1:],
        *(f"-{number}" for number in numbers[-1:]),
        *re.findall(r"\\sqrt\{?\d+\}?", gold),
    }
    return parts - {gold, "-0" if gold == "0" else gold}


@pytest.mark.parametrize("gold", GOLDS)
def test_a_gold_accepts_its_spellings_and_rejects_its_fragments(gold):
    VERIFIER.require(asked(gold))
    money = gold.startswith(r"\$")
    for dressed in {gold, rf"\boxed{{{gold}}}", gold if money else f"${gold}$"}:
        for spelling in set(spellings(gold)):
            said = f"The answer is {spelling}." if money else f"The answer is ${spelling}$."
            for reply in (rf"so \boxed{{{spelling}}}.", said):
                truth = VERIFIER.check(asked(dressed), reply)
                assert truth.correct, (dressed, reply, truth.open)
    if not QUANTITY.fullmatch(gold):
        for fragment in fragments(gold):
            assert not VERIFIER.check(asked(gold), rf"\boxed{{{fragment}}}").correct, fragment


def test_there_are_enough_golds_and_none_twice():
    assert len(set(GOLDS)) == len(GOLDS) >= 150
    assert sum(not QUANTITY.fullmatch(gold) for gold in GOLDS) > 150


EQUAL = [{"x^{2}-1", "(x-1)(x+1)"}, {r"\$18", r"18 \text{ dollars}"}]


@pytest.mark.parametrize("place", range(3, len(GOLDS)))
def test_no_gold_accepts_a_neighbour_that_is_another_answer(place):
    for other in GOLDS[place - 3 : place]:
        one_spelling = compact(respelled(GOLDS[place])) == compact(respelled(other))
        expected = one_spelling or {GOLDS[place], other} in EQUAL
        assert (same_answer(other, GOLDS[place]) is True) is expected, (GOLDS[place], other)


@pytest.mark.parametrize(
    ("gold", "reply", "verdict"),
    [
        ("1, 2", r"\boxed{1}, \boxed{2}", "correct"),
        ("1, 2", r"\boxed{1} \text{ and } \boxed{2}", "correct"),
        ("1, 2", r"First \boxed{1}. Then we look again and find \boxed{2}", "open"),
        ("2", r"First \boxed{1}. Then we look again and find \boxed{2}", "correct"),
        (r"\frac{1}{2}", r"It is $\frac{1}{2}$.", "correct"),
        ("x^2", "We get $x^2$ in 2 steps.", "open"),
        ("34", "The largest $n$ is 34.", "correct"),
        ("5", "between $3$ and $5$", "open"),
        ("0.5", "0,5", "open"),
        ("1/3", "0.333333", "correct"),
        ("1/3", "0.33", "wrong"),
        ("11", r"\boxed{11\frac}", "open"),
        ("6, 8", r"\boxed{6 \text{ and } 8}", "correct"),
        (r"\boxed{1} and \boxed{2}", r"\boxed{2,1}", "correct"),
    ],
)
def test_what_a_reply_says(gold, reply, verdict):
    truth = VERIFIER.check(asked(gold), reply)
    assert ("open" if truth.open else "correct" if truth.correct else "wrong") == verdict, truth


@pytest.mark.parametrize("gold", ["", "!!", r"\frac{", r"\oint"])
def test_a_gold_in_which_nothing_can_be_read_is_refused(gold):
    with pytest.raises(DataError, match=r"prompt p "):
        VERIFIER.require(asked(gold))


def test_boxes_are_a_list_where_only_marks_stand_between():
    assert listed_boxes(r"\boxed{1}, \boxed{2} \quad\text{and}\quad \boxed{3}") == ["1", "2", "3"]
    assert listed_boxes(r"\boxed{1} is no good, but \boxed{2}") == ["2"]
    assert listed_boxes(r"\boxed{\frac{1}{2}} \boxed{") == [r"\frac{1}{2}"]
    assert final_answer(r"\boxed{18} and then the text breaks off at \boxed{1") == "18"


@pytest.mark.parametrize(
    ("gold", "reply", "same"),
    [
        ("50\\%", "0.5", True),
        ("0.5", "50\\%", True),
        ("5 dollars", "5", True),
        ("\\$5", "5 dollars", True),
        ("7 hours", "420 minutes", None),
        ("5 km", "0.5", None),
        ("0.5", "500 cents", None),
        ("12", "13", False),
    ],
)
def test_quantities_with_units_are_one_answer_or_left_open(gold: str, reply: str, same: bool | None) -> None:
    """As numbers with their units, before they are compared as mathematics, which knows no units."""
    assert same_answer(gold, reply) is same


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1/4", "0.25"),
        ("-3/2", "-1.5"),
        ("12", "12"),
        ("10", "10"),
        ("1/3", "1/3"),
        ("-7/40", "-0.175"),
        ("-2/3", "-2/3"),
    ],
)
def test_a_number_is_written_as_a_decimal_where_that_ends(value: str, text: str) -> None:
    assert shortest(Fraction(value)) == text


@pytest.mark.parametrize(
    ("sentence", "denied"),
    [("At most 5.", True), ("At most 5", True), ("At most 5 apples.", False), ("She needs at least 5 boxes.", False)],
)
def test_a_bound_is_an_answer_only_where_it_is_a_number_of_something(sentence: str, denied: bool) -> None:
    at = sentence.index("5")
    assert is_denied(sentence, at, at + 1) is denied


def test_an_answer_without_a_number_is_shown_as_it_was_said() -> None:
    truth = VERIFIER.check(asked("\\text{east}"), "east")
    assert truth.correct and truth.answer == "east"


def test_an_answer_that_has_become_another_is_taken_back_and_one_that_is_checked_stands() -> None:
    became = "There were 12, but it is now 7 of them."
    assert taken_back(became, became.index("12")) == Retraction(became.index(" 7"), True)
    checked = "The answer is 12. Wait, let me check: 3 * 4 = 12. Correct."
    assert taken_back(checked, checked.index("12")) is None
    denied = "The answer is 12. No, that was wrong. The answer is 7."
    found = taken_back(denied, denied.index("12"))
    assert found is not None and found.said and denied[found.place :] == "7."
