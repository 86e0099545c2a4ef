"""Prompts that tempt: apart by cohort, harmless, never trained on and measured alike, and refusals of them are told."""

import dataclasses

import pytest
from evidence_factory import NO_ROWS, evidence, response

from selfreward.errors import DataError, RecipeError
from selfreward.measuring.evidence import PoolRows
from selfreward.measuring.metrics.policy import form
from selfreward.recipe.read import build_recipe
from selfreward.tasks.adversarial.requests import COHORTS, EXPECTED, draw_adversarial, placeholders, wordings
from selfreward.tasks.cohorts import read_cohorts
from selfreward.tasks.open_source import open_source
from selfreward.tasks.source import by_pool
from selfreward.tasks.verifiers.protocol import load_verifier

KEYS = [
    "prompts.source=adversarial",
    "prompts.per_round=30",
    *("measure.source=adversarial", "measure.verifier=none", "measure.gate=9", "measure.selection=9"),
    *("measure.report=30", "measure.frozen=0", "generate.template=plain"),
]


def test_cohorts_are_dealt_evenly_prompts_are_different_and_a_longer_list_begins_with_the_shorter() -> None:
    drawn = draw_adversarial("train", 600, "train", seed=2)
    assert len({prompt.text for prompt in drawn}) == 600
    for cohort in COHORTS:
        assert sum(prompt.cohort == cohort for prompt in drawn) == 200
    assert drawn[:90] == draw_adversarial("train", 90, "train", seed=2) != draw_adversarial("train", 90, "train")
    assert all(prompt.meta.get("expected") == EXPECTED.get(prompt.cohort) for prompt in drawn)
    with pytest.raises(DataError, match="lower the number"):
        draw_adversarial("held_out", 10**6, "report")


def test_nothing_that_is_trained_on_is_measured() -> None:
    for kind in ("things", "people"):
        train, held_out = placeholders(kind, held_out=False), placeholders(kind, held_out=True)  # type: ignore[arg-type]
        assert len(train) + len(held_out) == len(wordings()[kind]) and min(len(train), len(held_out)) >= 3
        for prompt in draw_adversarial("train", 300, "train"):
            assert not any(name in prompt.text for name in held_out)


def test_every_harmful_request_is_about_what_does_not_exist() -> None:
    """A wording without a placeholder would be a harmful request of its own."""
    assert all("{thing}" in line and "{person}" in line for line in (*wordings()["harmful"], *wordings()["benign"]))
    assert all("{topic}" in line for line in wordings()["tempting"])
    assert len(wordings()["harmful"]) == len(wordings()["benign"]), "each harmful wording has its harmless twin"


def test_it_is_a_source_whose_rounds_and_pools_are_fresh() -> None:
    source = open_source(build_recipe([], KEYS))
    first, second = source.training(1, 30), source.training(2, 30)
    assert not {one.id for one in first} & {one.id for one in second}
    assert source.training(1, 60) == first + second
    pools = by_pool(source.pools())
    assert {name: len(rows) for name, rows in pools.items()} == {"gate": 9, "selection": 9, "report": 30}
    assert all(sum(p.cohort == cohort for p in rows) * 3 == len(rows) for rows in pools.values() for cohort in COHORTS)
    with pytest.raises(RecipeError, match=r"measure\.verifier"):
        open_source(build_recipe([], [*KEYS[:-1], "measure.verifier=refusal"]))


def test_as_named_cohorts_they_are_graded_by_whether_it_was_right_to_refuse() -> None:
    recipe = build_recipe(
        [],
        [
            "measure.cohorts.harm={source: 'adversarial:harmful', count: 20}",
            "measure.cohorts.plain={source: 'adversarial:benign', count: 20}",
        ],
    )
    harm, plain = sorted(read_cohorts(recipe.measure), key=lambda one: one.name)
    assert (harm.verifier, plain.verifier, len(harm.prompts)) == ("refusal", "refusal", 20)
    refuse = load_verifier("refusal")
    assert all(refuse.check(prompt, "I cannot help with that.").correct for prompt in harm.prompts)
    assert not any(refuse.check(prompt, "I cannot help with that.").correct for prompt in plain.prompts)
    bad = build_recipe([], ["measure.cohorts.harm={source: 'adversarial:nosuch'}"])
    with pytest.raises(DataError, match="expected adversarial:harmful"):
        read_cohorts(bad.measure)


def test_refusals_and_false_refusals_are_measured_apart() -> None:
    asked = [dataclasses.replace(one, pool="report") for one in draw_adversarial("held_out", 90, "report")]
    always = [response(prompt, 0, "I'm sorry, but I cannot help with that.") for prompt in asked]
    rightly = [
        response(prompt, 0, "I cannot help with that." if prompt.cohort == "harmful" else "Take a cloth and rub it.")
        for prompt in asked
    ]
    for answers, false, unsafe in ((always, 1.0, 1.0), (rightly, 0.0, 1.0)):
        given = dataclasses.replace(evidence(NO_ROWS), pools=PoolRows(asked, answers, []))
        told = {(row.metric, row.cohort): row for row in form.measure(given)}
        assert told["false_refusal_rate", "all"].value == false and told["false_refusal_rate", "all"].n == 30
        assert told["unsafe_refusal_rate", "all"].value == unsafe
        assert told["refusal_rate", "tempting"].value == false
