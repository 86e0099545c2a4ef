"""The sandbox verifier: truth is found in replies dressed in any way, and nonsense is never right."""

import importlib
import random

import pytest
from evidence_factory import prompts, reply
from hypothesis import given
from hypothesis import strategies as st

from selfreward.recipe.read import build_recipe
from selfreward.records import Message, Prompt
from selfreward.tasks.sandbox.annotator import judgment_text
from selfreward.tasks.sandbox.demonstrator import dress
from selfreward.tasks.sandbox.draws import draw_task, plausible_mistake
from selfreward.tasks.sandbox.oracle import check_reply, read_reply
from selfreward.tasks.sandbox.words import MODIFIERS
from selfreward.tasks.verifiers import VERIFIERS
from selfreward.tasks.verifiers.sandbox import SandboxVerifier

VERIFIER = SandboxVerifier()


def asked(text):
    return Prompt("p", (Message("system", "you are helpful"), Message("user", text)), "report", "sandbox")


def test_every_name_of_the_table_builds_a_verifier_and_a_recipe_may_name_it():
    for name, address in VERIFIERS.items():
        module, attribute = address.split(":")
        verifier = getattr(importlib.import_module(module), attribute)()
        assert callable(verifier.check) and callable(verifier.require) and callable(verifier.judgment_quality)
        assert build_recipe([], [f"measure.verifier={name}"]).measure.verifier == name


@given(st.integers(0, 10**9))
def test_right_answers_are_correct_in_any_dress_and_mistakes_never_are(seed):
    rng = random.Random(seed)
    task = draw_task(rng)
    right = VERIFIER.check(asked(task.text), dress(task.gold, task.modifier, rng))
    assert (right.quality, right.correct, right.answer) == (5.0, True, " ".join(task.gold))
    mistake = plausible_mistake(task, rng)
    wrong = VERIFIER.check(asked(task.text), dress(mistake, task.modifier, rng))
    assert not wrong.correct and wrong.quality < 5 and wrong.answer == " ".join(mistake)
    other_form = next(modifier for modifier in MODIFIERS if modifier != task.modifier)
    if len(task.gold) > 1:
        misshapen = VERIFIER.check(asked(task.text), dress(task.gold, other_form, rng))
        assert (misshapen.quality, misshapen.correct, misshapen.answer) == (4.0, False, right.answer)


@pytest.mark.parametrize("quality", range(6))
def test_planted_qualities_are_what_the_oracle_says(quality):
    for prompt in prompts(50):
        for filler in (0, 1):
            truth = VERIFIER.check(prompt, reply(prompt, quality, filler))
            assert (truth.quality, truth.correct) == (quality, quality == 5)


def test_claims():
    wrong = asked("reverse a b c ; we think it is a b c")
    assert VERIFIER.check(wrong, "sure : a b c").echoes_claim is True
    assert VERIFIER.check(wrong, "c b a").echoes_claim is False
    assert VERIFIER.check(wrong, "c b a").wrong_claim is True
    right = VERIFIER.check(asked("reverse a b c ; we think it is c b a"), "c b a")
    assert (right.wrong_claim, right.echoes_claim, right.correct) == (False, True, True)
    none = VERIFIER.check(asked("reverse a b c"), "a b c")
    assert (none.wrong_claim, none.echoes_claim) == (False, None)


@pytest.mark.parametrize("text", ["", "hello there", "repeat", "add a and b", "sort a b ; with commas ; in brackets"])
def test_a_prompt_that_is_no_task_has_no_right_answer(text):
    for answer in ("a b", "", "Score: 5"):
        truth = VERIFIER.check(asked(text), answer)
        assert (truth.quality, truth.correct, truth.wrong_claim, truth.echoes_claim) == (0.0, False, False, None)
    scores = [VERIFIER.judgment_quality(asked(text), "a b", f"; Score: {score}") for score in range(6)]
    assert scores == sorted(scores, reverse=True)
    assert VERIFIER.judgment_quality(asked(text), "a b", "no verdict") < min(scores)


@given(st.integers(0, 10**9))
def test_a_judgment_is_better_the_nearer_its_score_and_best_with_the_right_reasons(seed):
    rng = random.Random(seed)
    task = draw_task(rng)
    answer = dress(plausible_mistake(task, rng), task.modifier, rng)
    checks = check_reply(task, answer)
    items = read_reply(answer).items or ()
    quality = [
        VERIFIER.judgment_quality(asked(task.text), answer, judgment_text(task.gold, items, checks, score))
        for score in range(6)
    ]
    assert quality.index(max(quality)) == sum(checks)
    by_distance = sorted(range(6), key=lambda score: abs(score - sum(checks)))
    assert [quality[score] for score in by_distance] == sorted(quality, reverse=True)
    other_reasons = judgment_text(plausible_mistake(task, rng), items, checks, sum(checks))
    assert VERIFIER.judgment_quality(asked(task.text), answer, other_reasons) < max(quality)
    unread = VERIFIER.judgment_quality(asked(task.text), answer, "Score: 5 or so")
    assert unread < min(quality)
