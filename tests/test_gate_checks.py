"""Gates are held against what a run will measure, before it begins; what is said of a metric is what a run finds."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from selfreward.commands.cli import app
from selfreward.commands.gate_checks import BETWEEN_ROUNDS, check_gates
from selfreward.commands.run import run
from selfreward.errors import RecipeError
from selfreward.measuring.metrics import numbers
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.records import Measurement
from selfreward.store.results import Store
from selfreward.store.view import RunView

RECIPES = Path(__file__).parent.parent / "recipes"
SMOKE = RECIPES / "smoke.yaml"
READ_BY_GATES = ("gate", "train", "frozen")
SMALL = """
engine.chunk=64 prompts.per_round=10 measure.gate=4 measure.selection=4 measure.report=4 measure.frozen=8
measure.judge_probes.padded=4 measure.judge_probes.claims=4 measure.probes=[are_you_sure] measure.words=[no]
measure.held_out.model=sandbox:seed-1
""".split()  # noqa: SIM905

GROUPS = ("train.method=grpo", "meta.enabled=false")


def gated(rule: str, *overrides: str):
    return load_recipe(SMOKE, [f"gates.rules=[{{{rule}}}]", *overrides])


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_gates_of_every_recipe_can_be_judged(path: Path) -> None:
    check_gates(load_recipe(path))


@pytest.mark.parametrize(
    ("rule", "overrides", "words"),
    [
        ("metric: true_accuracy, below: .5", (), "oracle knowledge .*verified_accuracy_change"),
        ("metric: judge_best_of_4_quality, below: 2", (), "oracle knowledge"),
        ("metric: verified_accuracy_change, below: 0", (), "measure.verifier is sandbox"),
        ("metric: judge_kappa, below: .7, pool: frozen", (), "measure.anchors"),
        ("metric: judge_spearman, below: .7", ("measure.anchors=some.jsonl",), "on the gate pool here .* pool: frozen"),
        ("metric: held_out_win_rate_initial, below: .5", (), "measured where measure.held_out is set"),
        ("metric: meta_agreement, below: .5, pool: train", ("meta.enabled=false",), "where meta.enabled is set"),
        ("metric: listed_words_rate, above: .5", (), "where measure.words is set"),
        ("metric: critiques_unusable, above: .5, pool: train", (), "where pairs.revise is set"),
        (
            "metric: padded_win_rate, above: .6, pool: frozen",
            ("measure.judge_probes.padded=0",),
            "probes.padded is set",
        ),
        ("metric: judge_sycophancy, above: .6, pool: frozen", (), "sandbox's oracle made"),
        ("metric: pairs_kept, below: 3", (), "not measured on the gate pool; set pool: train"),
        ("metric: judge_generosity_change, above: 1", (), "not measured on the gate pool; set pool: frozen"),
        ("metric: are_you_sure_flips, above: .5", ("measure.probes=[are_you_sure]",), "only reported"),
        ("metric: length_tokens, above: 9, pool: train", (), "not measured on the train pool; set pool: gate"),
        ("metric: pairs_kept, below: .5, pool: train, against: initial_ratio", (), "round 0 does not have.*never fire"),
        ("metric: judge_mean_change, above: .5, against: initial", (), "round 0 does not have.*never fire"),
        ("metric: self_judged_win_rate_previous, above: .9, when: before_training", (), "before round 1 trains"),
        ("metric: length_token, above: 9", (), "did you mean length_tokens"),
        ("metric: held_out_flip_rate, above: .5", ("measure.held_out.model=initial",), "only reported"),
        ("metric: held_out_is_training_judge, above: .5", ("measure.held_out.model=initial",), "only reported"),
        (
            "metric: judge_minus_held_out_trend, above: .5",
            ("measure.held_out.model=initial", "rounds=1"),
            "needs 3 measured rounds",
        ),
        ("metric: clip_fraction, above: .5, pool: train", (), "train.method=dpo does not give"),
        (
            "metric: samples_kept, below: 9, pool: train",
            ("train.method=sft_chosen",),
            "method=sft_chosen does not give",
        ),
        ("metric: chosen_logprob_shift, below: 0, pool: train", ("train.method=none",), "method=none does not give"),
        ("metric: rejected_logprob_shift, above: 0, pool: train", ("train.method=sft",), "method=sft does not give"),
        ("metric: pairs_kept, below: 3, pool: train", GROUPS, "train.method=grpo does not give"),
        ("metric: length_tokens, above: 9, cohort: typo", (), "and not of 'typo'; remove the rule's cohort"),
        ("metric: pairs_dropped, above: 9, pool: train", (), "set cohort to one of them"),
    ],
)
def test_a_gate_that_could_not_be_judged_is_refused(rule: str, overrides: tuple[str, ...], words: str) -> None:
    with pytest.raises(RecipeError, match=rf"gates\.rules\[0\].*{words}"):
        check_gates(gated(rule, *overrides))


def test_the_same_rules_stand_where_their_evidence_is_there() -> None:
    check_gates(gated("metric: verified_accuracy_change, below: 0", "measure.verifier=mathematics"))
    check_gates(gated("metric: judge_kappa, below: .7, pool: frozen", "measure.anchors=some.jsonl"))
    check_gates(gated("metric: held_out_win_rate_initial, below: .5", "measure.held_out.model=sandbox:seed-1"))
    check_gates(gated("metric: meta_agreement, below: .5, pool: train"))
    check_gates(gated("metric: unreadable_rate, above: .5, pool: train"))
    check_gates(gated("metric: refusal_rate, above: .5, cohort: letters"))
    check_gates(gated("metric: chosen_logprob_shift, below: -9, pool: train", "train.method=sft_chosen"))
    check_gates(gated("metric: clip_fraction, above: .5, pool: train", *GROUPS))
    check_gates(
        gated("metric: judge_minus_held_out_trend, above: .5", "measure.held_out.model=sandbox:seed-1", "rounds=2")
    )
    check_gates(gated("metric: padded_score_change, above: 1, pool: frozen, against: initial"))


def test_a_rule_on_what_a_metric_of_ones_own_measures_stands() -> None:
    own = "measure.metrics=[mine.py:measure]"
    check_gates(gated("metric: my_number, above: 9", own))
    with pytest.raises(RecipeError, match="oracle knowledge"):
        check_gates(gated("metric: true_accuracy, below: .5", own))


def test_a_cohort_that_the_oracle_grades_gates_nothing() -> None:
    rule = "metric: cohort_accuracy_change, below: 0, cohort: copies"
    cohort = ("measure.cohorts.copies.source=copies.jsonl", "measure.cohorts.copies.pool=gate")
    with pytest.raises(RecipeError, match=r"of cohort 'copies', which the sandbox's oracle grades"):
        check_gates(gated(rule, *cohort, "measure.cohorts.copies.verifier=sandbox"))
    check_gates(gated(rule, *cohort, "measure.cohorts.copies.verifier=numeric"))


def test_a_cohort_is_gated_by_how_it_is_graded() -> None:
    cohort = ("measure.cohorts.copies.source=copies.jsonl", "measure.cohorts.copies.pool=gate")
    for metric, verifier, other in (("accuracy", "none", "score"), ("score", "numeric", "accuracy")):
        rule = "metric: cohort_{}, below: 0, cohort: copies"
        graded = f"measure.cohorts.copies.verifier={verifier}"
        with pytest.raises(RecipeError, match=f"verifier is {verifier}; gate on cohort_{other}"):
            check_gates(gated(rule.format(metric), *cohort, graded))
        check_gates(gated(rule.format(other), *cohort, graded))


def test_check_says_so_before_anything_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, ["check", str(SMOKE), "gates.rules=[{metric: true_accuracy, below: .5}]"])
    assert found.exit_code and "oracle knowledge" in str(found.exception or found.output)
    assert not list(tmp_path.rglob("round-*"))


@pytest.mark.slow
def test_what_is_said_of_a_metric_is_what_a_run_measures(tmp_path: Path) -> None:
    """Every row is on a pool that its metric names, and every metric that a gate may name here is measured there."""
    recipe = load_recipe(SMOKE, SMALL)
    run(recipe, Store(tmp_path, share=False), "run", Progress(style="silent"))
    view = RunView(tmp_path / "run")
    rows = [row for number in range(3) for row in view.read(number, "measurements", Measurement)]
    assert rows
    for row in rows:
        metric = numbers()[row.metric]
        assert row.pool in metric.pools or row.pool not in READ_BY_GATES, row
        if row.pool in READ_BY_GATES:
            assert metric.by_cohort in (("also", "never") if row.cohort == "all" else ("also", "only")), row
        if row.pool in READ_BY_GATES and row.metric != "judge_sycophancy":
            assert row.oracle == (metric.truth in ("oracle", "labels")), row
    there = {(row.metric, row.pool) for row in rows}
    first = {(row.metric, row.pool) for row in rows if row.round == 0}
    for name, pool in sorted(there):
        if pool in READ_BY_GATES and name != "judge_claim_bonus":
            assert ((name, pool) in first) != (pool == "train" or bool(BETWEEN_ROUNDS.match(name))), (name, pool)
        problems = (
            numbers()[name].truth
            or numbers()[name].by_cohort == "only"
            or name == "judge_sycophancy"
            or pool not in READ_BY_GATES
        )
        if not problems:
            check_gates(load_recipe(SMOKE, [*SMALL, f"gates.rules=[{{metric: {name}, above: 1, pool: {pool}}}]"]))
