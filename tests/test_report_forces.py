"""Compression, amplification, co-adaptation: each is named where it is planted, and none where nothing happens."""

import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
from evidence_factory import judgments, prompts, response
from run_factory import Story, write_run
from test_validation import POPULATION

from selfreward.commands.validate.forces_null import Drawn, drawn_run, force_rate, named
from selfreward.commands.validate.plants import worse
from selfreward.commands.validate.worlds import Planted
from selfreward.judging.prompts.rubric import load_rubric, points_of
from selfreward.recipe.read import build_recipe
from selfreward.records import Measurement
from selfreward.report import forces
from selfreward.report.alarms import alarms
from selfreward.report.forces import ERROR, GENEROSITY, HELD_OUT, PUSHED, judge_moves, moving, sentence, signs
from selfreward.report.forces_table import panel
from selfreward.report.reading import Reading
from selfreward.store.results import Store

OWN = build_recipe([], ["rounds=3", "judge.model=policy"])
FIXED = build_recipe([], ["rounds=3", "judge.model=initial"])
PROMPTS = 40


def row(number, key, value, half, n=60):
    low, high = (None, None) if half is None else (value - half, value + half)
    return Measurement(number, "p", key.metric, key.cohort, key.pool, value, low, high, n, 0, "")


def run_with(*rows, recipe=OWN):
    return Drawn(recipe, range(recipe.rounds + 1), rows)


# 5 % of the runs, and what chance allows in 998 of 1,000 cases.
@pytest.mark.parametrize(("runs", "most"), [(12, 3), pytest.param(400, 34, marks=pytest.mark.slow)])
def test_runs_in_which_nothing_happens_name_no_force_in_95_percent(runs, most):
    rate = force_rate(POPULATION, 3, runs, lambda _: None, PROMPTS)
    assert rate.gates_error == ERROR and rate.count >= 5
    assert rate.alarms <= most


def worse_and_liked(said, generator):
    """The last word is gone, which the cohort sees, and the judge gives a point more."""
    lost = [(one, worse(one, generator)) for one in said]
    return [replace(two, scores=higher(one.scores)) if generator.random() < 0.9 else one for one, two in lost]


def higher(scores):
    return tuple(min(5.0, score + 1) for score in scores)


def generous(said, generator):
    return [replace(one, scores=higher(one.scores)) if generator.random() < 0.6 else one for one in said]


def moved(said, generator):
    trained = POPULATION.answers[-1]
    return [replace(generator.choice(trained[one.prompt.id]), prompt=one.prompt) for one in said]


PLANTED = {
    "compression": (OWN, Planted(edit=worse_and_liked)),
    "amplification": (OWN, Planted(edit=moved)),
    "amplification, to what one fixed judge likes": (FIXED, Planted(edit=generous)),
    "co-adaptation": (OWN, Planted(edit=generous, rescore=lambda _, scores, __: higher(scores))),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_named_and_nothing_else_is(name):
    recipe, planted = PLANTED[name]
    run = drawn_run(POPULATION, recipe, PROMPTS, random.Random(7), planted)
    force = name.partition(",")[0]
    assert named(run) == {force}
    said = sentence(run)
    assert said.startswith(f"One of the three forces of a loop moves: {force} moves (")
    assert said.count(" moves") == 2 and "not seen to move" in said


def test_what_cannot_be_known_is_not_said_to_stand_still():
    said = sentence(run_with(row(1, GENEROSITY[0], 0.0, 0.1)))
    assert said.startswith(
        "Of the three forces of a loop: co-adaptation not seen to move, cannot be known: compression"
    )
    assert "None" not in said


def test_a_run_in_which_all_three_move_says_so():
    both = Planted(edit=lambda said, rng: worse_and_liked(said, rng), rescore=lambda _, scores, __: higher(scores))
    run = drawn_run(POPULATION, OWN, PROMPTS, random.Random(3), both)
    pushed = [row(number, PUSHED, 0.05, 0.01) for number in (1, 2, 3)]
    still = [one for one in run.measurements if one.metric != PUSHED.metric]
    assert sentence(run_with(*still, *pushed)).startswith("All of the three forces")


def test_a_sign_needs_more_than_an_interval_beside_0_in_one_of_many_rounds():
    """Half the width of 1.96 standard errors beside 0 is no news where 15 looks are taken."""
    names = [*GENEROSITY, *HELD_OUT, PUSHED]
    quiet = [row(number, key, 0.0, 0.1) for key in names for number in (1, 2, 3)]
    for value, rounds in ((0.105, []), (0.2, [2])):
        rows = [one for one in quiet if (one.metric, one.pool, one.round) != ("judge_generosity_change", "frozen", 2)]
        found = signs(run_with(*rows, row(2, GENEROSITY[1], value, 0.1)))
        assert [sign.rounds for sign in found if sign.key == GENEROSITY[1]] == [rounds]
    alone = signs(run_with(row(1, GENEROSITY[1], 0.105, 0.1), recipe=build_recipe([], ["rounds=1"])))
    assert [sign.rounds for sign in alone] == [[1]], "one look is no correction"


def test_without_an_interval_and_for_a_still_policy_nothing_is_named():
    assert not moving(signs(run_with(row(1, GENEROSITY[0], 1.0, None), row(1, PUSHED, 9e-4, 1e-5))))
    assert moving(signs(run_with(row(1, PUSHED, 2e-3, 1e-5))))


def test_what_cannot_be_known_says_which_keys_would_tell():
    said = sentence(run_with(row(1, PUSHED, 0.05, 0.01)))
    assert said.startswith("One of the three forces of a loop moves: amplification moves (KL to initial, per token")
    assert "cannot be known: compression (needs measure.cohorts" in said and "measure.held_out.model" in said


def test_whether_the_judge_can_move_is_read_from_the_recipe():
    assert judge_moves(OWN) and not judge_moves(FIXED)
    members = "judge.aggregate={kind: ensemble, members: [initial, policy]}"
    assert judge_moves(build_recipe([], [members])) and set(forces.NEEDS) == set(forces.NAMES)


def test_points_of_a_criterion_are_those_that_the_score_is_made_of():
    rubric = load_rubric("helpfulness")
    lines = [f"{one.name}: because. Score: {number % 6}" for number, one in enumerate(rubric.criteria)]
    found = points_of("rubric", rubric, "\n".join(lines))
    assert found == {one.name: float(number % 6) for number, one in enumerate(rubric.criteria)}
    assert points_of("rubric", rubric, lines[0]) == {}


def test_a_run_is_told_its_forces_with_steps_and_the_anchors_gap_and_the_alarm(tmp_path):
    store = Store(tmp_path, share=False)
    pleased, honest = (
        Reading(write_run(store, name, story))
        for name, story in {"pleased": Story((0.4, 0.4, 0.4), (0, 0.6, 1.6)), "honest": Story((0.4, 0.5))}.items()
    )
    found = panel(pleased)
    rows = {name: cells for name, *cells in found.table.rows}
    assert rows["training steps until then"] == ["amplification", "12", "24", ""]
    assert rows["same answers, this judge minus first, frozen pool"][-1] == "round 1, round 2"
    assert rows["judge minus label, frozen answers, frozen pool"][0] == "co-adaptation"
    assert "co-adaptation moves (same answers" in found.sentence and "compression (needs" in found.sentence
    (alarm,) = (one for one in alarms(pleased) if one.name == "co-adaptation:")
    assert "the judge moves with the policy" in alarm.evidence
    assert [one.name for one in alarms(honest) if one.name == "co-adaptation:"] == []


def test_the_start_alone_has_no_forces(tmp_path):
    alone = panel(Reading(write_run(Store(tmp_path, share=False), "alone", Story((0.4,)))))
    assert alone.sentence == "" and not alone.table.rows


def test_each_criterion_of_a_rubric_has_its_own_change():
    """The second criterion rises by two points in round 1, the others by none; an unreadable reply is left out."""
    rubric = load_rubric("helpfulness")
    pools = {prompt.id: prompt for prompt in prompts(8)}

    def judged(number):
        found = []
        for prompt in pools.values():
            points = [3 if number and place == 1 else 1 for place in range(len(rubric.criteria))]
            lines = [f"{one.name}: so. Score: {n}" for one, n in zip(rubric.criteria, points, strict=True)]
            good, bad = judgments(response(prompt, 0, "x"), [2.0, None])
            found += [replace(good, text="\n".join(lines)), bad]
        return found

    recipe = build_recipe([], ["rounds=1", "judge.question={kind: rubric, rubric: helpfulness}"])
    view = SimpleNamespace(seal=lambda *_: None)
    rows = lambda number, artifact, record: judged(number)  # noqa: E731
    run = SimpleNamespace(rounds=[0, 1], recipe=recipe, by_key={}, pools=pools, rows=rows, view=view)
    changes = {name: cells[1] for name, *cells in panel(run).table.rows if name.startswith("criterion")}
    assert [cells.split()[0] for cells in changes.values()] == [
        "+2.0" if place == 1 else "+0.0" for place in range(len(rubric.criteria))
    ]
