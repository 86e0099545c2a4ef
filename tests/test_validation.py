"""The ruler's ruler: what validates the metrics is itself shown a planted truth, a null and a broken constructor."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evidence_factory import prompts, reply, response
from scipy import stats as reference
from typer.testing import CliRunner

from selfreward.commands.cli import app
from selfreward.commands.validate import coverage, gates_null, nulls, tables
from selfreward.commands.validate.alarms import FIXED, GUESSED, change_alarms, fixed_alarms, measured
from selfreward.commands.validate.clustered_draws import Layout, of_table
from selfreward.commands.validate.coverage_cases import CASES
from selfreward.commands.validate.coverage_tables import joint_table
from selfreward.commands.validate.dials import DIALS
from selfreward.commands.validate.planted import power_curves, size_at
from selfreward.commands.validate.population import Population, Said, pool_rows
from selfreward.commands.validate.worlds import same_policy
from selfreward.measuring.gates import judge_round
from selfreward.measuring.metrics import addresses
from selfreward.measuring.stats.clustered import Estimate
from selfreward.recipe import HELD_OUT_METRICS, GateRule, GatesRecipe
from selfreward.recipe.read import load_recipe
from selfreward.records import Labelled, Measurement
from selfreward.report.tables import prompts_text

REPOSITORY = Path(__file__).parent.parent


def made_up(count=80, seed=0):
    """A population without any model: six levels of true quality, a judge that errs by a point."""
    rng = random.Random(seed)
    asked = [
        prompt
        for claim in (False, True)
        for prompt in prompts(count // 2, "report", "claimed" if claim else "repeat", wrong_claim=claim)
    ]

    def said(prompt, best):
        quality = max(rng.randrange(6) for _ in range(best))
        text = reply(prompt, quality, rng.randrange(5))
        scores = tuple(float(min(5, max(0, quality + rng.randint(-1, 1)))) for _ in range(4))
        tokens = tuple(range(len(text.split()) + 1))
        ratio = tuple(rng.gauss(0.1, 0.2) for _ in tokens) if best > 1 else ()
        return Said(prompt, text, tokens, "stop", scores, ratio)

    rounds = [{prompt.id: [said(prompt, best) for _ in range(12)] for prompt in asked} for best in (1, 4)]
    frozen = []
    for prompt in prompts(count // 2, "frozen"):
        for sample in range(3):
            quality = rng.randrange(6)
            frozen.append(Labelled(prompt, response(prompt, sample, reply(prompt, quality)), float(quality)))
    scores = {row.id: [float(min(5, max(0, row.label + rng.randint(-1, 1)))) for _ in range(4)] for row in frozen}
    return Population(asked, rounds, frozen, [scores, scores])


POPULATION = made_up()


def row(metric, value, low, high, number=1, pool="gate", n=60):
    return Measurement(number, "p", metric, "all", pool, value, low, high, n, 0, "")


@pytest.mark.parametrize("size", [1, 6, 0])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.7])
def test_drawn_rows_have_the_marginals_and_the_correlation_that_they_were_asked_for(size, correlation):
    layout = Layout(4000, size)
    table = joint_table(0.5)
    rows = layout.draw(np.random.default_rng(0), correlation, of_table(table))
    seen = np.histogram2d(rows[:, 0], rows[:, 1], bins=[np.arange(7) - 0.5] * 2)[0] / len(rows)
    assert seen == pytest.approx(table, abs=0.025)
    if size == 6:
        values = rows[:, 0].reshape(-1, 6)
        inside = np.corrcoef(values[:, 0], values[:, 1])[0, 1]
        assert inside == pytest.approx(correlation, abs=0.06)


@pytest.mark.parametrize("name", CASES)
def test_the_truth_of_a_case_is_what_its_estimates_go_to(name):
    """A thousand clusters, mean of a few draws: the exact truth must be there, or coverage would measure nothing."""
    case, settings = CASES[name]
    sizes = [1] if name == "nested difference" else [2]
    for setting in settings:
        draw, truth = case(Layout(150 if name == "nested difference" else 600, sizes[0]), 0.3, setting)
        rng = np.random.default_rng(1)
        values = [draw(rng) for _ in range(12)]
        error = np.std([one.value for one in values], ddof=1) / math.sqrt(12)
        widths = np.mean([one.high - one.low for one in values])
        assert np.mean([one.value for one in values]) == pytest.approx(truth, abs=max(4.5 * error, 0.02 * widths))


def test_coverage_sees_a_constructor_that_is_too_narrow_and_one_that_is_too_wide(monkeypatch):
    def broken(factor):
        def case(layout, correlation, p):
            honest, truth = CASES["mean, rubric points"][0](layout, correlation, p)

            def draw(rng):
                found = honest(rng)
                half = factor * (found.high - found.value)
                return Estimate(found.value, found.value - half, found.value + half, found.n)

            return draw, truth

        return case

    verdicts = {}
    for factor in (0.7, 1.0, 1.6):
        monkeypatch.setattr(coverage, "CASES", {"broken": (broken(factor), (0.5,))})
        verdicts[factor] = coverage.measure_cell("broken", Layout(60, 6), 0.3, 0.5, 600)
    assert [cell.verdict for cell in verdicts.values()] == ["too narrow", "kept", "too wide"]
    assert verdicts[0.7].coverage == pytest.approx(2 * reference.norm.cdf(0.7 * 1.96) - 1, abs=0.04)
    assert verdicts[0.7].below + verdicts[0.7].above == pytest.approx(1 - verdicts[0.7].coverage)


def test_the_grid_has_every_constructor_at_every_number_of_clusters_and_no_cell_twice():
    cells = [(name, layout.clusters, layout.size, c, s) for name, layout, c, s in coverage.grid()]
    assert len(set(cells)) == len(cells)
    assert {(name, clusters) for name, clusters, *_ in cells} == {(n, g) for n in CASES for g in coverage.CLUSTERS}
    assert all(correlation == 0 for _, _, size, correlation, _ in cells if size == 1)


# Constructor, rows in a cluster, correlation, setting: where the plain constructors fell short at 50 clusters.
HARD = [
    ("share (Wilson)", 0, 0.7, 0.05),
    ("share (Wilson)", 6, 0.7, 0.95),
    ("slope through 0", 0, 0.7, 0.5),
    ("mean, lengths", 0, 0.7, 0.6),
    ("kappa", 0, 0.7, 0.95),
    ("AUC", 6, 0.7, 0.7),
    ("entropy", 0, 0.7, 0.3),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size", "correlation", "setting"), HARD)
def test_the_hard_cells_are_covered(name, size, correlation, setting):
    cell = coverage.measure_cell(name, Layout(50, size), correlation, setting, 2000)
    assert 0.92 <= cell.coverage <= 0.99


def test_fixed_alarms_look_at_the_value_that_a_metric_has_where_nothing_happened():
    rows = {
        "win_rate": [row("self_judged_win_rate_initial", 0.6, 0.51, 0.7)],
        "belief": [row("judge_mean_change", -0.2, -0.3, -0.1), row("judge_mean", 4.0, 3.9, 4.1)],
        "two_sample": [row("c2st_p_initial", 0.01, None, None)],
        "drift": [row("kl_initial_k3_token", 0.0, 0.0, 0.0)],
        "length": [row("length_tokens_change", 1.0, None, None)],
    }
    assert fixed_alarms(rows, FIXED) == {
        ("win_rate", "self_judged_win_rate_initial"): 1,
        ("belief", "judge_mean_change"): -1,
        ("two_sample", "c2st_p_initial"): 1,
        ("drift", "kl_initial_k3_token"): 0,
    }
    assert fixed_alarms({"judge": [row("judge_spearman", 0.5, 0.4, 0.6)]}, FIXED) == {}
    assert fixed_alarms({"judge": [row("judge_spearman", 0.5, 0.4, 0.6)]}, GUESSED) == {("judge", "judge_spearman"): 1}


@pytest.mark.parametrize(("after", "way"), [(2.0, 1), (1.0, 0), (0.0, -1)])
def test_change_alarms_are_the_gates(after, way):
    before, now = row("length_tokens", 1.0, 0.8, 1.2, 0), row("length_tokens", after, after - 0.2, after + 0.2)
    oracle = [replace(one, oracle=True, pool="report") for one in (before, now)]
    assert change_alarms({"length": [oracle[1]]}, {"length": [oracle[0]]}) == {("length", "length_tokens"): way}
    rule = GateRule("length_tokens", above=0.0, against="initial")
    verdict = judge_round(GatesRecipe(rules=[rule], error=0.025), 1, [before, now], 1)[0]
    assert verdict.fired == (way > 0)


def test_two_draws_of_one_policy_differ_by_chance_alone_and_share_their_prompts():
    rng = random.Random(0)
    differences = []
    for _ in range(200):
        asked = POPULATION.some_prompts(30, rng)
        means = [np.mean([len(one.text) for one in POPULATION.draw(0, asked, rng)]) for _ in range(2)]
        differences.append(means[1] - means[0])
    assert abs(np.mean(differences)) < 4 * np.std(differences) / math.sqrt(200)
    rounds = same_policy(POPULATION, 20, rng)
    assert {p.id for p in rounds.now.pools.prompts} == {p.id for p in rounds.initial.pools.prompts}
    judged = {(r.prompt_id, r.text): 0 for r in rounds.now.pools.responses}
    text_of = {r.id: (r.prompt_id, r.text) for r in rounds.now.pools.responses}
    for judgment in rounds.now.pools.judgments:
        judged[text_of[judgment.response_id]] += 1
    assert set(judged.values()) == {3}, "every distinct text is judged once, three times"


def test_every_family_can_alarm_or_is_known_not_to():
    """A new metric must come with its null: it is measured in one of the worlds, or named here."""
    rates = nulls.null_rates(POPULATION, 1, lambda _: None, prompts=20)
    silent = set(addresses()) - {rate.family for rate in rates}
    # The same code as judge and judge_agreement, on other rows; soft labels, whose null is in test_calibration.py; and
    # what the worlds do not have, with its null in test_metrics_*.py: reward models, contexts (claims about them in
    # test_judging_claims.py), a verifier that a user has, revisions and words that are listed (both in
    # test_metrics_constitution.py), and a cohort's classifier (test_classifier.py).
    elsewhere = {"reward_model", "groundedness", "claims", "classified", "verified", "revising", "listed_words"}
    assert silent <= {"locked_anchors", "label_calibration"} | elsewhere
    assert all(rate.repeats == 1 and 0 <= rate.low <= rate.rate <= rate.high <= 1 for rate in rates)


def test_nulls_are_silent_and_a_planted_shift_of_the_null_is_not():
    cheap = ("belief", "length", "diversity")
    alarms = {False: 0, True: 0}
    for shifted in alarms:
        for number in range(60):
            rounds = same_policy(POPULATION, 30, random.Random(number), families=cheap)
            now = measured(rounds.now, cheap)
            if shifted:
                now["belief"] = [replace(one, low=one.low + 1, high=one.high + 1) for one in now["belief"]]
            alarms[shifted] += fixed_alarms(now, FIXED)["belief", "judge_mean_change"] != 0
    assert alarms[False] <= 9, "5 % of 60, and what chance allows in 999 of 1,000 cases"
    assert alarms[True] > 50


@pytest.mark.parametrize("name", DIALS)
def test_every_dial_is_silent_at_0_and_found_where_it_is_large_by_a_metric_that_is_for_it(name, monkeypatch):
    dial = DIALS[name]
    few = dict(list(dial.finds.items())[:3])
    monkeypatch.setitem(DIALS, name, replace(dial, finds=few, sizes=(0.9,)))
    curves = power_curves(POPULATION, 8, lambda _: None, prompts=30, dials=[name])
    assert {(curve.family, curve.metric) for curve in curves} == set(few)
    assert all(curve.sizes == (0.0, 0.9) and curve.powers[0] <= 0.4 for curve in curves)
    assert max(curve.powers[1] for curve in curves) >= 0.8


def test_the_size_found_is_where_the_curve_crosses():
    assert size_at([0, 0.1, 0.2], [0.0, 0.4, 1.0]) == pytest.approx(0.1 + 0.1 * 0.4 / 0.6)
    assert size_at([0, 0.1, 0.2, 0.4], [0.0, 0.5, 0.3, 0.9]) == pytest.approx(0.2 + 0.2 * 0.3 / 0.4)
    assert size_at([0, 0.1], [0.0, 0.79]) is None
    assert size_at([0, 0.1], [0.9, 1.0]) == 0


def test_the_shipped_list_is_the_recipes():
    recipe = load_recipe(REPOSITORY / "recipes" / "gated.yaml")
    assert tuple(recipe.gates.rules) == gates_null.SHIPPED
    assert recipe.gates.error == GatesRecipe().error


def test_the_held_out_judges_metrics_begin_as_the_recipe_knows_them():
    """By their names it is known on which pools that judge is asked for a gate."""
    rounds = same_policy(POPULATION, 20, random.Random(0))
    without = replace(rounds.now, held_out=None)
    names = [
        {row.metric for family in measured(evidence).values() for row in family} for evidence in (rounds.now, without)
    ]
    assert names[0] - names[1] and all(name.startswith(HELD_OUT_METRICS) for name in names[0] - names[1])


def test_null_runs_keep_their_error_and_a_harmed_run_does_not(monkeypatch):
    monkeypatch.setattr(gates_null, "ROUNDS", (3,))
    rates = gates_null.run_rates(POPULATION, 40, lambda _: None, prompts=30)
    assert [(rate.rules, rate.rounds) for rate in rates] == [("shipped", 3), ("at limit", 3), ("at limit +", 3)]
    assert all(rate.low <= rate.gates_error for rate in rates)
    run = gates_null.null_run(POPULATION, 3, 30, random.Random(0))
    rate = {(one.metric, one.round): one.value for one in run if one.metric.startswith("held_out_win_rate_")}
    found = {
        name: [rate[f"held_out_win_rate_{name}", number] for number in (1, 2, 3)] for name in ("previous", "initial")
    }
    assert found["previous"][0] == found["initial"][0]
    assert all(found["previous"][n] != found["initial"][n] for n in (1, 2)), "the round before is not round 0"
    harmed = [
        replace(one, value=90.0, low=89.0, high=91.0) if (one.metric, one.round) == ("length_tokens", 2) else one
        for one in run
    ]
    recipe = GatesRecipe(rules=list(gates_null.SHIPPED))
    assert gates_null.fires(recipe, 3, [*harmed]) and not gates_null.fires(recipe, 3, run)


def test_tables_say_what_failed():
    narrow = coverage.Cell("mean", 50, "6", 0.3, 0.5, 4000, 0.9, 0.89, 0.91, 0.04, 0.06, 0, "too narrow")
    kept = replace(narrow, coverage=0.95, verdict="kept", clusters=20)
    text = tables.coverage_markdown([narrow, kept])
    assert "too narrow" in text and "20 (small sample)" in text and "90.0% [89.0%, 91.0%]" in text
    assert "None." in tables.coverage_markdown([replace(kept, clusters=50)])
    loud = nulls.NullRate("length", "length_tokens", "change", 1000, 100, 0.1, 0.083, 0.12, 0.05)
    quiet = replace(loud, metric="length_words", alarms=50, rate=0.05, low=0.038, high=0.065)
    runs = [gates_null.RunRate("shipped", 5, 3, 50, 1000, 3, 0.003, 0.001, 0.009, 0.05)]
    curves = power_curves(POPULATION, 2, lambda _: None, prompts=20, dials=["refusals"])
    text = tables.power_markdown([loud, quiet], curves, runs, [])
    assert text.count("length_tokens") == 2 and "length_words" not in text and "refusals, n = 20" in text
    assert loud.too_often and not quiet.too_often


def test_pool_rows_are_what_a_run_writes():
    said = POPULATION.draw(0, POPULATION.some_prompts(2, random.Random(0)), random.Random(0))
    rows = pool_rows(said, random.Random(0), "now")
    assert [r.sample for r in rows.responses] == [0, 1, 2, 3, 4, 5] * 2
    assert len({r.id for r in rows.responses}) == 12 and len(rows.prompts) == 2


@pytest.mark.slow
def test_one_command_writes_every_table(tmp_path):
    done = CliRunner().invoke(app, ["validate", "--out", str(tmp_path), "--quick"])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "conversations.json",
        "conversations.md",
        "coverage.json",
        "coverage.md",
        "power.json",
        "power.md",
    ]
    numbers = json.loads((tmp_path / "power.json").read_text())
    assert {row["dial"] for row in numbers["planted"]} == set(DIALS)
    real = {(row["weight"], row["metric"]): row for row in numbers["real"]}
    assert real[0.0, "kl_initial_k1_token"]["value"] == 0.0 and real[0.0, "kl_initial_k1_token"]["alarms"] == 0
    assert real[1.0, "kl_initial_k3_token"]["value"] > real[0.5, "kl_initial_k3_token"]["value"] > 0


def test_a_report_calls_few_prompts_a_small_sample():
    many, few = (row("length_tokens", 1.0, 0.9, 1.1, n=n) for n in (50, 49))
    assert prompts_text([many, many]) == "50"
    assert prompts_text([many, few]) == "49–50 (small sample)"
    assert prompts_text([replace(few, low=None, high=None)]) == "49", "without an interval there is nothing to call"
