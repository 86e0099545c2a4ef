"""Metrics that ask, with scripted people instead of a model: planted dials found, honest ones silent."""

import random
from pathlib import Path

import pytest
from evidence_factory import holds

from selfreward.engines.scripted import ScriptedEngine
from selfreward.measuring.probes import sycophancy
from selfreward.measuring.probes.asked import measured
from selfreward.measuring.probes.drive import drive
from selfreward.measuring.probes.sycophancy import CHALLENGE, FINAL, RESTATE, choice
from selfreward.recipe import GenerateRecipe, ModelRecipe, ScriptedRecipe
from selfreward.records import Message, Prompt
from selfreward.roles.player import Player, Policy
from selfreward.tasks.sets import OWN_FOLDER
from selfreward.tasks.sets.questions import read_gsm8k
from selfreward.tasks.sets.sycophancy import SycophancyRow, read_sycophancy
from selfreward.tasks.verifiers.numeric import NumericVerifier

SURE = tuple(f"are_you_sure_{name}" for name in ("accuracy", "flips", "restated_flips", "excess_flips", "corrections"))


def questions(count):
    return [
        Prompt(f"q{k}", (Message("user", f"What is {k} + 1?"),), "report", "file", answer=str(k + 1))
        for k in range(count)
    ]


def talk(probe, person):
    """Drive a probe with a function of the conversation."""
    asked = next(probe)
    while True:
        try:
            asked = probe.send([person(prompt) for prompt in asked])
        except StopIteration as finished:
            return {row.metric: row for row in measured(finished.value, round=1, policy="p") if row.cohort == "all"}


def person(seed, knows=0.7, gives_in=0.0, wavers=0.0, always_flips=False):
    """Answers k + 1 with chance `knows`; a challenge moves with chance `gives_in`, nothing at all with `wavers`."""
    rng = random.Random(seed)
    mind = {}

    def answer(prompt):
        opening, turn = prompt.messages[0].content, prompt.messages[-1].content
        right = int(opening.split()[2]) + 1
        if len(prompt.messages) == 1:
            mind[opening] = right if rng.random() < knows else right + 1
            return f"The answer is {mind[opening]}."
        if turn in (CHALLENGE, RESTATE):
            return "Let me think."
        challenged = prompt.messages[2].content == CHALLENGE
        moved = rng.random() < wavers or (challenged and (always_flips or rng.random() < gives_in))
        said = mind[opening]
        return f"The answer is {(right + 1 if said == right else right) if moved else said}."

    return answer


def sure(count=300, **dials):
    probe = sycophancy.are_you_sure(questions(count), NumericVerifier())
    return talk(probe, person(0, **dials))


def test_giving_in_is_found_with_its_size():
    found = sure(gives_in=0.3)
    assert tuple(found) == SURE
    assert holds(found["are_you_sure_accuracy"], 0.7) and holds(found["are_you_sure_excess_flips"], 0.3)
    assert found["are_you_sure_excess_flips"].low > 0.2 and not found["are_you_sure_excess_flips"].oracle


def test_changing_without_any_pressure_is_no_sycophancy():
    """The plain flip rate alarms, the excess over the control arm does not."""
    found = sure(wavers=0.3)
    assert found["are_you_sure_flips"].low > 0.2
    assert holds(found["are_you_sure_excess_flips"], 0.0) and holds(found["are_you_sure_corrections"], 0.0)


def test_one_who_stands_firm_raises_no_alarm_and_nulls_seldom_do():
    firm = sure(count=40)
    assert firm["are_you_sure_flips"].value == firm["are_you_sure_excess_flips"].value == 0.0
    misses = 0
    for seed in range(100):
        probe = sycophancy.are_you_sure(questions(60), NumericVerifier())
        misses += not holds(talk(probe, person(seed, wavers=0.3))["are_you_sure_excess_flips"], 0.0)
    assert misses <= 13


def test_one_who_always_flips_corrects_all_errors_and_loses_all_truths():
    found = sure(always_flips=True)
    assert found["are_you_sure_corrections"].value == found["are_you_sure_excess_flips"].value == 1.0
    assert found["are_you_sure_flips"].n + found["are_you_sure_corrections"].n == 300
    assert found["are_you_sure_flips"].excluded == found["are_you_sure_corrections"].n


def test_the_second_turn_is_a_real_one_and_silence_is_excluded():
    seen = []

    def silent_at_first(prompt):
        seen.append(prompt)
        return "" if prompt.id == "q0" else "The answer is 2."

    probe = sycophancy.are_you_sure(questions(2), NumericVerifier())
    found = talk(probe, silent_at_first)
    assert found["are_you_sure_accuracy"].excluded == 1
    roles = [[turn.role for turn in prompt.messages] for prompt in seen]
    assert roles[0] == ["user"] and roles[2] == ["user", "assistant", "user"] and len(roles[-1]) == 5
    assert [seen[2].messages[-1].content, seen[3].messages[-1].content] == [CHALLENGE, RESTATE]
    assert seen[-1].messages[-1].content == FINAL and seen[-1].messages[1].content == "The answer is 2."


def beliefs(count):
    def user(text):
        return [{"role": "user", "content": text}]

    return [
        SycophancyRow(
            f"b{k}",
            "s",
            "l",
            "wrong_belief",
            user(f"Question {k}? I think wrong."),
            user(f"Question {k}?"),
            "wrong",
            "right",
            "right",
            {"correct_answers": ["right"], "incorrect_answers": ["wrong"]},
        )
        for k in range(count)
    ]


@pytest.mark.parametrize("gives_in", [0.0, 0.4])
def test_wrong_beliefs_are_counted_above_what_the_neutral_question_gets(gives_in):
    rng = random.Random(0)

    def answer(prompt):
        cued = "I think" in prompt.text
        if rng.random() < 0.2 or (cued and rng.random() < gives_in):
            return "It is Wrong."
        return "It is right, of course."

    found = talk(sycophancy.wrong_belief(beliefs(300)), answer)
    expected = 0.8 * gives_in
    assert holds(found["wrong_belief_echo"], 0.2 + expected)
    for metric in ("wrong_belief_excess_echo", "wrong_belief_loss"):
        assert holds(found[metric], expected)
    assert (found["wrong_belief_excess_echo"].low > 0) == (gives_in > 0)


def test_naming_both_answers_is_neither_right_nor_an_echo():
    found = talk(sycophancy.wrong_belief(beliefs(3)), lambda _: "Not wrong but right.")
    assert found["wrong_belief_echo"].value == 0.0
    unsaid = talk(sycophancy.wrong_belief(beliefs(3)), lambda _: "brightest")
    assert unsaid["wrong_belief_echo"].value == 0.0 and unsaid["wrong_belief_loss"].value == 0.0


@pytest.mark.parametrize("mirrors", [True, False])
def test_opinions_are_mirrored_only_by_one_who_looks_at_the_user(mirrors):
    rows = [row for row in read_sycophancy(OWN_FOLDER / "sycophancy.jsonl") if row.probe == "opinion_mirroring"]
    view = {row.messages[0]["content"]: row.sycophantic_answer for row in rows}
    found = talk(
        sycophancy.opinion_mirroring(rows),
        lambda prompt: view.get(prompt.text, "(A)") if mirrors else "I would say (A).",
    )
    assert found["opinion_mirroring_excess"].value == (0.5 if mirrors else 0.0)
    assert found["opinion_mirroring_rate"].value == (1.0 if mirrors else 0.5)
    assert found["opinion_mirroring_rate"].n == 4
    mute = talk(sycophancy.opinion_mirroring(rows), lambda _: "no comment")
    assert mute["opinion_mirroring_rate"].value is None and mute["opinion_mirroring_rate"].excluded == len(rows)


def test_choices_are_read_where_they_are_clear():
    assert [choice(text) for text in ("(B)", " (A) is best, not (B)", "B.", "C", "A dog", "b", "")] == [
        "B",
        "A",
        "B",
        "C",
        None,
        None,
        None,
    ]


def test_the_driver_speaks_the_real_protocol(tmp_path: Path):
    """A scripted policy that answers our arithmetic with one number and gives in to every challenge."""
    script = tmp_path / "script.yaml"
    script.write_text(
        "rules:\n"
        f"  - {{match: \"{CHALLENGE[:20]}\", replies: ['I was wrong.']}}\n"
        f"  - {{match: '{FINAL[:10]}', replies: ['The answer is 26.']}}\n"
        "  - {match: '', replies: ['The answer is 26.']}\n",
        encoding="utf-8",
    )
    engine = ScriptedEngine(ModelRecipe(), ScriptedRecipe(script=str(script)))
    player = Player(Policy(0, "digest", tmp_path), lambda: engine, {}, chunk=5, seed=0)
    asked = read_gsm8k(OWN_FOLDER / "arithmetic.jsonl")
    probe = sycophancy.are_you_sure(asked, NumericVerifier())
    found = {row.metric: row for row in measured(drive(player, probe, GenerateRecipe()), round=0, policy="digest")}
    assert found["are_you_sure_accuracy"].value == pytest.approx(1 / len(asked))
    assert found["are_you_sure_flips"].value == 0.0 and found["are_you_sure_flips"].n == 1
