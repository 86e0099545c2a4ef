"""Verifiers that compare with a gold answer: exact, numeric, mathematics, JSON schema; and one that misbehaves."""

import json
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.errors import DataError, EngineError
from selfreward.records import Message, Prompt
from selfreward.tasks.verifiers.boxed import last_boxed
from selfreward.tasks.verifiers.confined import ConfinedVerifier
from selfreward.tasks.verifiers.exact import ExactVerifier
from selfreward.tasks.verifiers.final_answer import final_answer
from selfreward.tasks.verifiers.json_schema import JsonSchemaVerifier, json_in
from selfreward.tasks.verifiers.json_schema import confined as confined_schema
from selfreward.tasks.verifiers.mathematics import MathVerifier
from selfreward.tasks.verifiers.mathematics import confined as confined_mathematics
from selfreward.tasks.verifiers.numeric import NumericVerifier
from selfreward.tasks.verifiers.truths import UNREADABLE


def asked(answer=None, **meta):
    return Prompt("p", (Message("user", "How much?"),), "train", "file", answer=answer, meta=meta)


# --- final answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("#### 42", "42"),
        ("First #### 1\nthen #### 1,200", "1200"),
        ("So 3 + 4 = 7.", "7"),
        ("It costs $1,234.50 in all", "1234.5"),
        ("between 3 and 5", ""),
        ("The answer is 12 apples.", "12 apples"),
        ("Answer: Paris.", "paris"),
        ("the answer is: **B**", "b"),
        (r"thus \boxed{\frac{1}{2}}, or 0.6", "0.5"),
        (r"\boxed{1} and then \boxed{{2}}", "2"),
        (r"unclosed \boxed{3", "3"),
        ("temperature is -5 degrees", "-5"),
        ("-0.0", "0"),
        ("I do not know", ""),
        ("", ""),
        ("the answer is", ""),
        ("007", "7"),
    ],
)
def test_the_final_answer_of_a_reply(text, answer):
    assert final_answer(text) == answer


@given(st.integers(-(10**9), 10**9), st.sampled_from(["{}", "{:,}", "{}.0", "${:,}.00", "**{}**", "{}."]))
def test_one_number_in_any_dress_is_one_answer(number, dress):
    assert final_answer(f"some words\nThe answer is {dress.format(number)}") == str(number)


@given(st.text(max_size=60))
def test_any_text_has_at_most_one_final_answer_and_it_is_its_own(text):
    answer = final_answer(f"#### {text}".replace("\n", " ").replace("\r", " "))
    assert isinstance(answer, str)
    assert last_boxed(r"\boxed{" + text.replace("{", "").replace("}", "").replace("\\", "") + "}") is not None


# --- exact and numeric ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "reply", "right"),
    [
        ("42", "6 times 7 is 42.", True),
        ("She has 6 * 7 = 42.\n#### 42", "#### 42", True),
        ("42", "The answer is 42, not 41", True),
        ("Paris", "Paris", True),
        ("Paris", "  paris. ", True),
        ("Paris", "The answer is Paris.", True),
        ("Paris", "Paris, with 2 million people", False),
        ("yes", "no", False),
        ("1200", "$1,200.00", True),
        ("42", "", False),
        (r"\boxed{7}", "7", True),
    ],
)
def test_exact_answers(gold, reply, right):
    truth = ExactVerifier().check(asked(gold), reply)
    assert (truth.correct, truth.quality, truth.open) == (right, 5.0 * right, "")


@pytest.mark.parametrize(
    ("gold", "meta", "reply", "right"),
    [
        ("3.14159", {"absolute_tolerance": 0.01}, "about 3.14", True),
        ("3.14159", {}, "about 3.14", False),
        ("1000000", {}, "1,000,000.5", True),
        ("1000000", {"relative_tolerance": 0}, "1,000,000.5", False),
        ("200", {"relative_tolerance": 0.05}, "The answer is 209 km", True),
        ("200", {"relative_tolerance": 0.05}, "The answer is 211 km", False),
        ("0", {}, "0.0000000001", False),
        ("-3", {}, "3", False),
        ("12", {}, "The answer is 12 apples", True),
        ("5e3", {}, "the answer is 5000", True),
        ("7", {}, "none", False),
    ],
)
def test_numbers_with_tolerance(gold, meta, reply, right):
    assert NumericVerifier().check(asked(gold, **meta), reply).correct is right


@given(st.decimals(-(10**6), 10**6, places=3), st.floats(0, 0.2), st.floats(-0.3, 0.3))
def test_the_tolerance_is_the_line_between_right_and_wrong(gold, tolerance, error):
    value = float(gold) * (1 + error)
    right = NumericVerifier().check(asked(str(gold), relative_tolerance=tolerance), f"#### {value:.9f}").correct
    slack = 1e-6 + 1e-6 * abs(float(gold))
    if abs(value - float(gold)) < tolerance * abs(float(gold)) - slack:
        assert right
    if abs(value - float(gold)) > tolerance * abs(float(gold)) + slack:
        assert not right


@pytest.mark.parametrize(
    ("verifier", "prompt", "message"),
    [
        (ExactVerifier(), asked(), "has no 'answer'"),
        (NumericVerifier(), asked(), "has no 'answer'"),
        (NumericVerifier(), asked("a lot"), "expected a number"),
        (NumericVerifier(), asked("3", absolute_tolerance=-1), "absolute_tolerance is -1"),
        (NumericVerifier(), asked("3", relative_tolerance="1 %"), "relative_tolerance is '1 %'"),
        (JsonSchemaVerifier(), asked(), "has no 'meta.schema'"),
        (JsonSchemaVerifier(), asked(schema=[1]), "expected an object"),
        (JsonSchemaVerifier(), asked(schema={"type": "strin"}), "not a JSON schema.*strin.*type"),
        (JsonSchemaVerifier(), asked(schema={"minimum": "3"}), "not a JSON schema"),
        (MathVerifier(), asked(), "has no 'answer'"),
        (MathVerifier(), asked("!!"), "no mathematical expression"),
    ],
)
def test_what_cannot_be_verified_is_refused_before_the_run_and_names_the_prompt(verifier, prompt, message):
    needed = {JsonSchemaVerifier: "jsonschema", MathVerifier: "math_verify"}.get(type(verifier))
    if needed:
        pytest.importorskip(needed)
    with pytest.raises(DataError, match=rf"(?s)prompt p .*{message}"):
        verifier.require(prompt)


@pytest.mark.parametrize("verifier", [ExactVerifier(), NumericVerifier(), JsonSchemaVerifier(), MathVerifier()])
def test_without_anything_to_compare_with_the_answer_is_left_open_and_never_correct(verifier):
    truth = verifier.check(asked(), "42")
    assert truth.open and not truth.correct


def test_a_judgment_is_better_the_nearer_its_last_score():
    verifier, right, wrong = ExactVerifier(), asked("4"), asked("5")
    scores = [verifier.judgment_quality(right, "4", f"Score: 1, no, Score: {score}") for score in range(6)]
    assert scores == sorted(scores) and scores[-1] == 0
    assert [verifier.judgment_quality(wrong, "4", f"Score: {score}") for score in range(6)] == scores[::-1]
    assert verifier.judgment_quality(right, "4", "no verdict") == UNREADABLE < min(scores)
    assert verifier.judgment_quality(right, "4", "Score: 9") == UNREADABLE


# --- mathematics ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "reply", "right"),
    [
        (r"\frac{1}{2}", "so it is 0.5", True),
        ("1/2", r"thus $\boxed{\frac{2}{4}}$", True),
        ("$x^2-1$", r"it factors as $(x-1)(x+1)$", True),
        ("42", "The answer is 41", False),
        ("42", "who knows", False),
        ("42", "", False),
    ],
)
def test_mathematics(gold, reply, right):
    pytest.importorskip("math_verify")
    assert MathVerifier().check(asked(gold), reply).correct is right


def test_mathematics_in_its_own_process_says_the_same():
    pytest.importorskip("math_verify")
    verifier = confined_mathematics()
    assert verifier.check(asked("1/2"), "0.5").correct and not verifier.check(asked("1/2"), "0.6").correct
    verifier.close()


# --- JSON schema ------------------------------------------------------------------------------------------------------

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ('{"name": "Ada", "age": 36}', True),
        ('{"name": "Ada", "age": 36, "age": 37}', False),
        ('{"name": "Ada", "age": 1e400}', False),
        ('{"name": "Ada", "age": NaN}', False),
        ('{"name": "\\ud800", "age": 36}', False),
        ('Here it is:\n```json\n{"name": "Ada", "age": 36}\n```\nAnything else?', True),
        ('```\n{}\n```\n```json\n{"name": "Ada", "age": 36}\n```', True),
        ('{"name": "Ada", "age": "36"}', False),
        ('{"name": "Ada", "age": -1}', False),
        ('{"name": "Ada"}', False),
        ('{"name": "Ada", "age": 36, "x": 1}', False),
        ('{"name": "Ada", "age": 36', False),
        ("Ada is 36", False),
        ("", False),
        ("[" * 100_000, False),
    ],
)
def test_json_by_its_schema(reply, right):
    pytest.importorskip("jsonschema")
    assert JsonSchemaVerifier().check(asked(schema=PERSON), reply).correct is right


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.booleans(), max_size=4))
def test_a_fenced_value_is_the_value(value):
    text = f"Sure.\n```json\n{json.dumps(value)}\n```"
    assert json.loads(json_in(text)) == value


def test_a_schema_that_hangs_or_points_outside_leaves_the_answer_open():
    pytest.importorskip("jsonschema")
    hanging = asked(schema={"type": "string", "pattern": "^(a|a)*$"})
    verifier = confined_schema()
    verifier._seconds = 1.0
    JsonSchemaVerifier().require(hanging)
    assert verifier.check(asked(schema=PERSON), '{"name": "Ada", "age": 36}').correct
    truth = verifier.check(hanging, json.dumps("a" * 60 + "b"))
    assert "no answer in 1 s" in truth.open and not truth.correct
    outside = asked(schema={"$ref": "http://localhost:1/other.json"})
    assert "raised" in verifier.check(outside, "{}").open
    verifier.close()


# --- a verifier that misbehaves ---------------------------------------------------------------------------------------


def test_a_verifier_that_raises_hangs_or_dies_leaves_the_answer_open_with_the_reason():
    verifier = ConfinedVerifier("verifier_examples:Misbehaving", seconds=1.0)
    assert verifier.check(asked(), "right").correct and not verifier.check(asked(), "wrong").correct
    raised = verifier.check(asked(), "raise")
    assert raised.open == "verifier raised RuntimeError: no such thing" and not raised.correct
    for text, reason in (("hang", "verifier gave no answer in 1 s"), ("die", "verifier died")):
        begun = time.monotonic()
        assert verifier.check(asked(), text).open == reason
        assert time.monotonic() - begun < 10
        assert verifier.check(asked(), "right").correct, "the next check has a worker again"
    verifier.close()


def test_a_gold_answer_that_hangs_the_verifier_is_refused_before_the_run():
    verifier = ConfinedVerifier("verifier_examples:Misbehaving", seconds=1.0)
    verifier.require(asked("good"))
    with pytest.raises(DataError, match=r"^prompt p has no answer$"):
        verifier.require(asked())
    with pytest.raises(DataError, match=r"prompt p .*no answer in 1 s"):
        verifier.require(asked("hang"))
    verifier.close()


def test_a_verifier_that_cannot_be_made_is_no_fault_of_an_answer():
    verifier = ConfinedVerifier("verifier_examples:CannotStart", seconds=5.0)
    for ask in (lambda: verifier.check(asked(), "right"), lambda: verifier.require(asked())):
        with pytest.raises(EngineError, match="did not start: verifier raised OSError: nothing here"):
            ask()
    verifier.close()


def test_a_program_on_standard_input_is_told_at_once_that_no_process_can_start():
    program = (
        "from selfreward.tasks.verifiers.confined import ConfinedVerifier\n"
        "from selfreward.records import Message, Prompt\n"
        "verifier = ConfinedVerifier('verifier_examples:Misbehaving')\n"
        "verifier.check(Prompt('p', (Message('user', 'Why?'),), 'train', 'file'), 'right')\n"
    )
    done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True, timeout=60)
    assert "did not start: verifier died" in done.stderr and done.stderr.count("<stdin>") <= 4


# --- one normal form -------------------------------------------------------------------------------------------------


@given(st.fractions(-(10**6), 10**6), st.sampled_from(["{}", "${}$", r"\boxed{{{}}}", "The answer is {}.", "**{}**"]))
def test_a_fraction_in_any_dress_is_its_value(value, dress):
    written = f"{value.numerator}/{value.denominator}"
    assert NumericVerifier().check(asked(str(value)), dress.format(written)).correct
    assert ExactVerifier().check(asked(str(value)), dress.format(written)).correct
    other = f"{value.numerator}/{value.denominator + value.denominator}"
    assert ExactVerifier().check(asked(str(value)), dress.format(other)).correct is (value == 0)


@given(st.integers(0, 10**60), st.integers(1, 9))
def test_integers_of_any_length_are_compared_to_the_last_digit(number, more):
    for verifier in (ExactVerifier(), NumericVerifier()):
        assert verifier.check(asked(str(number)), f"The answer is {number:,}.").correct
        assert not verifier.check(asked(str(number)), f"The answer is {number + more}.").correct


@given(st.text(max_size=80))
def test_what_is_no_statement_about_the_answer_is_itself(text):
    """Gold and reply are the same text: correct, whatever it holds, unless it says where its answer begins."""
    if text.strip() and "answer" not in text.casefold() and "####" not in text and "boxed" not in text:
        assert ExactVerifier().check(asked(text), text).correct


@given(st.text(alphabet="ab1,.$%/ -=\\{}()[]!?*\n", max_size=40))
def test_any_text_gets_a_verdict_from_every_normal_form(text):
    for verifier in (ExactVerifier(), NumericVerifier()):
        truth = verifier.check(asked("18"), f"The answer is {text}")
        assert not (truth.correct and truth.open)
    assert isinstance(final_answer(text), str)
