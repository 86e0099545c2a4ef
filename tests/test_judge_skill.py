"""Can this judge tell right from wrong? Planted judges: a skilled one is left alone, a guessing one is not."""

import dataclasses
import random
from pathlib import Path
from types import SimpleNamespace

import pytest
from evidence_factory import evidence, guessing, held_out, judgments, noisy, renamed, rows, varied

from selfreward.measuring.metrics.judge import anchor as judge_anchor
from selfreward.measuring.metrics.judge import belief, judge
from selfreward.measuring.metrics.judge import health as judge_health
from selfreward.recipe import Recipe
from selfreward.recipe.read import load_recipe
from selfreward.records import Labelled, Measurement
from selfreward.report.alarms import alarms
from selfreward.report.catalogue import by_metric
from selfreward.report.judge_skill import SOURCES, judge_skill
from selfreward.report.reading import Key

FLAT = "judge:"
SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"


def constant(*_):
    return [3.0]


def narrow(seed):
    """A real judge's expected scores: all between 2.1 and 2.2, and about nothing."""
    rng = random.Random(seed)
    return lambda *_: [2.1 + rng.random() / 10]


def given(score, count=60, seed=0, frozen=True):
    """One round whose judge scores its own answers, and 30 labelled ones, by `score`."""
    found = evidence(rows(varied(count, seed), score), number=0)
    if not frozen:
        return dataclasses.replace(found, frozen=(), frozen_judgments=())
    labelled = rows(varied(30, seed + 1, "frozen"))
    qualities = [float(level) for levels in varied(30, seed + 1, "frozen").values() for level in levels]
    by_prompt = {prompt.id: prompt for prompt in labelled.prompts}
    answers = list(zip(labelled.responses, qualities, strict=True))
    return dataclasses.replace(
        found,
        frozen=[Labelled(by_prompt[one.prompt_id], one, label, "human") for one, label in answers],
        frozen_judgments=[said for one, label in answers for said in judgments(one, score(one, label))],
    )


def reading(*found, recipe=None):
    """What the report reads, from the real metrics."""
    by_key: dict[Key, dict[int, Measurement]] = {}
    for one in found:
        for metric in (belief, judge, judge_anchor, judge_health):
            for row in metric.measure(one):
                by_key.setdefault(Key(row.metric, row.pool, row.cohort), {})[row.round] = row
    rounds = sorted({one.round for one in found})
    return SimpleNamespace(rounds=rounds, by_key=by_key, measurements=[], recipe=recipe or Recipe())


def test_a_skilled_judge_is_left_alone_in_all_of_60_runs_even_with_few_prompts():
    fired = sum(bool(list(judge_skill(reading(given(noisy(seed, 2), 16, seed))))) for seed in range(60))
    assert fired == 0


def test_a_guessing_judge_is_called_out_in_almost_all_runs_and_first():
    found = [list(judge_skill(reading(given(guessing(seed), 40, seed)))) for seed in range(60)]
    told = [alarms for alarms in found if alarms]
    # Two sources, each resolved by luck in one of forty.
    assert len(told) >= 53
    (alarm,) = told[0]
    assert alarm.name == FLAT and "does not tell right from wrong (round 0: ρ with labelled answers" in alarm.evidence
    assert "ρ with the verifier" in alarm.evidence
    (first, *_) = alarms(reading(given(guessing(0), 40)))
    assert first.name == FLAT


def test_a_judge_that_is_worse_than_chance_on_one_source_is_called_out():
    backwards = given(lambda _, quality: [5.0 - quality])
    skilled = given(noisy(0))
    mixed = dataclasses.replace(skilled, frozen_judgments=backwards.frozen_judgments, frozen=backwards.frozen)
    assert any("does not tell" in alarm.evidence for alarm in judge_skill(reading(mixed)))


def test_a_constant_judge_tells_nothing_and_uses_no_scale():
    skill, scale = judge_skill(reading(given(constant)))
    assert "does not exist, one of the two never varies" in skill.evidence
    assert "nine tenths of the scores lie within less than 0.5 points" in scale.evidence


def test_a_real_judge_whose_scores_all_lie_between_2_1_and_2_2():
    names = [alarm.evidence for alarm in judge_skill(reading(given(narrow(1))))]
    assert len(names) == 2 and "does not tell right from wrong" in names[0] and "to choose by" in names[1]
    wide = list(judge_skill(reading(given(noisy(1)))))
    assert wide == []


def test_without_any_source_it_cannot_be_known():
    blind = dataclasses.replace(given(noisy(0), frozen=False), verifier=None)
    (alarm,) = judge_skill(reading(blind))
    assert "cannot be known" in alarm.evidence and "measure.anchors" in alarm.evidence


def test_unreadable_scores_beside_a_verifier_are_not_a_missing_verifier():
    mute = given(lambda *_: [None], frozen=False)
    (alarm,) = judge_skill(reading(mute))
    assert "cannot be known" in alarm.evidence and "beside the verifier" in alarm.evidence
    assert "measure.verifier" not in alarm.evidence


@pytest.mark.parametrize(("score", "fires"), [(noisy(0), False), (guessing(0), True)])
def test_a_held_out_judge_knows_too(score, fires):
    sides = rows(varied(60), score)
    truth = {
        answer.id: float(level)
        for answer, level in zip(sides.responses, [v for levels in varied(60).values() for v in levels], strict=True)
    }
    other = held_out(sides, score=lambda answer: [truth[answer.id]])
    found = dataclasses.replace(evidence(sides), verifier=None, frozen=(), frozen_judgments=(), held_out=other)
    told = list(judge_skill(reading(found)))
    assert bool(told) == fires
    assert all("ρ with the held-out judge" in alarm.evidence for alarm in told)


def test_a_run_without_a_judge_is_not_asked_about():
    assert list(judge_skill(reading(evidence(rows(varied(20)))))) == []


def test_people_have_words_for_every_source():
    assert {key.metric for key, _ in SOURCES} <= by_metric().keys() and "score_band" in by_metric()


def test_rounds_are_named():
    later = renamed(rows(varied(60, 3), guessing(3)), "later")
    second = evidence(later, initial=rows(varied(60), noisy(0)), number=1)
    found = reading(given(noisy(0), frozen=False), dataclasses.replace(second, frozen=(), frozen_judgments=()))
    (alarm,) = judge_skill(found)
    assert "round 1: ρ with the verifier" in alarm.evidence and "round 0" not in alarm.evidence


def test_what_already_stands_in_the_recipe_is_no_remedy():
    def offered(*overrides):
        told = alarms(reading(given(narrow(1)), recipe=load_recipe(SMOKE, overrides)))
        return {remedy.key for alarm in told for remedy in alarm.remedies}

    asked = {"gates.canary", "judge.reading.kind"}
    assert asked | {"judge.model"} <= offered()
    assert offered("gates.canary=require", "judge.reading=probability") == offered() - asked
