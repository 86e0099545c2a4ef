"""What is asked beyond the pools, in the whole loop: a held-out judge, probes every round, and nothing else moves."""

import json
from pathlib import Path

import pytest
from judging_factory import script
from served_factory import says, server

from selfreward.commands.export import resolve_round
from selfreward.commands.plan.workload import recipe_lengths
from selfreward.commands.plan.workload_measuring import measuring
from selfreward.commands.preflight_models import model_directory
from selfreward.commands.run import run
from selfreward.engines.served.engine import served_digest
from selfreward.engines.tensors import weights_digest
from selfreward.errors import RecipeError
from selfreward.measuring.evidence import ProbeReply
from selfreward.progress import Progress
from selfreward.recipe import ModelReference, ServedRecipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Comparison, Judgment, Likelihood, Measurement, Response
from selfreward.roles.cast import Cast
from selfreward.store.results import Store
from selfreward.store.run import RunView
from selfreward.tasks.sandbox.pools import prompt_pool

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SMALL = (
    "rounds=2",
    "meta.enabled=false",
    "prompts.per_round=12",
    "prompts.writer.share=0",
    "measure.report=6",
    "measure.gate=4",
    "measure.selection=4",
    "measure.frozen=12",
    "measure.judge_probes.claims=6",
)
SERVED = ("measure.held_out.model=served:a", "served.a.url=http://h/v1", "served.a.model=m")
OTHER = "measure.held_out.model=sandbox:seed-1"


def go(results: Path, name: str, *overrides: str) -> tuple[RunView, list[str]]:
    said: list[str] = []
    progress = Progress()
    progress.say = said.append  # type: ignore[method-assign]
    store = Store(results, share=False)
    run(load_recipe(SMOKE, [*SMALL, *overrides]), store, name, progress)
    return store.existing(name), said


def policy_of(view: RunView, number: int) -> str:
    seal = view.seal(number, "checkpoint")
    assert seal is not None
    return str(seal.facts["digest"])


def rows_of(view: RunView, number: int) -> dict[tuple[str, str], Measurement]:
    rows = view.read(number, "measurements", Measurement)
    return {(row.metric, row.pool): row for row in rows if row.cohort == "all"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def held_out(results: Path) -> RunView:
    view, said = go(results, "held-out", OTHER)
    assert not any("warning" in line for line in said)
    return view


def test_the_held_out_judge_is_the_same_other_model_in_every_round(held_out: RunView) -> None:
    digest = weights_digest(model_directory("sandbox:seed-1"))
    for number in range(3):
        judged = held_out.read(number, "held_out_report", Judgment)
        assert {row.judge for row in judged} == {digest} and digest != policy_of(held_out, number)
        assert rows_of(held_out, number)["held_out_is_training_judge", "report"].value == 0.0
        assert held_out.seal(number, "held_out_gate") is None, "no gate asks for it"
    found = rows_of(held_out, 2)
    for metric in ("held_out_win_rate_previous", "held_out_win_rate_initial", "self_minus_held_out_win_rate_initial"):
        row = found[metric, "report"]
        assert row.value is not None and row.n == 6 and not row.oracle
    assert ("judge_minus_held_out_trend", "report") in found


def test_every_rounds_judge_scores_the_same_probes_and_round_0s_answers(held_out: RunView) -> None:
    probes = held_out.read(0, "judge_probes", ProbeReply)
    assert {row.question for row in probes} == {"padded", "claims"}
    old = {row.response_id for row in held_out.read(1, "text_likelihoods", Likelihood)}
    assert len(old) == 6
    for number in range(3):
        judged = held_out.read(number, "probe_judgments", Judgment)
        assert {row.response_id for row in judged} == {row.id for row in probes}
        assert {row.judge for row in judged} == {policy_of(held_out, number)}
        likely = held_out.read(number, "text_likelihoods", Likelihood)
        assert {row.policy for row in likely} == {policy_of(held_out, number)}
        if number:
            again = held_out.read(number, "initial_judgments", Judgment)
            assert {row.response_id for row in again} == old
            assert {row.judge for row in again} == {policy_of(held_out, number)}
    assert held_out.seal(0, "initial_judgments") is None
    found = rows_of(held_out, 2)
    for key in (
        ("padded_win_rate", "frozen"),
        ("judge_sycophancy", "frozen"),
        ("judge_generosity_change", "report"),
        ("self_preference_initial", "report"),
        ("logprob_drift_token", "report"),
    ):
        assert found[key].value is not None, key


def test_what_is_asked_afterwards_moves_nothing_else(results: Path, held_out: RunView) -> None:
    """Pools, answers, pairs and weights of a run are the same with and without it, down to the fingerprint."""
    plain, _ = go(results, "plain", "rounds=1", *(f"measure.judge_probes.{key}=0" for key in ("padded", "claims")))
    for number, artifact in (
        *((0, name) for name in ("pools", "frozen", "eval_responses", "eval_judgments")),
        *((1, name) for name in ("responses", "judgments", "pairs", "checkpoint", "likelihoods_initial")),
    ):
        with_it, without = held_out.seal(number, artifact), plain.seal(number, artifact)
        assert with_it is not None and without is not None
        assert (with_it.fingerprint, with_it.digest) == (without.fingerprint, without.digest), artifact
    assert plain.seal(0, "probe_judgments") is None and plain.seal(0, "held_out_report") is None


def test_a_finished_run_asks_nothing_again(results: Path, held_out: RunView) -> None:
    before = {path: path.stat().st_mtime_ns for path in held_out.path.glob("round-*/*.jsonl")}
    go(results, "held-out", OTHER)
    assert before == {path: path.stat().st_mtime_ns for path in held_out.path.glob("round-*/*.jsonl")}


@pytest.mark.slow
def test_a_training_judge_in_the_role_is_warned_about_once(results: Path) -> None:
    view, said = go(results, "own", "measure.held_out.model=policy", "measure.held_out.samples=1")
    assert sum("measure.held_out.model=policy" in line and "warning" in line for line in said) == 1
    assert all(rows_of(view, number)["held_out_is_training_judge", "report"].value == 1.0 for number in range(3))
    for side in ("held_out_report", "held_out_report_of_round_1", "held_out_report_of_round_0"):
        judged = view.read(2, side, Judgment)
        assert {row.judge for row in judged} == {policy_of(view, 2)}, "all sides by the same judge"
    first, said = go(results, "first", "measure.held_out.model=initial", "rounds=1", "train.method=none")
    assert sum("warning" in line for line in said) == 1, "round 0's policy judges in round 1"
    assert rows_of(first, 0)["held_out_is_training_judge", "report"].value == 1.0
    trained, _ = go(results, "trained", "judge.model=initial", "measure.held_out.model=policy", "rounds=1")
    assert rows_of(trained, 1)["held_out_is_training_judge", "report"].value == 1.0, "the policy judges itself"


def test_a_judge_that_stays_is_not_asked_about_old_answers_again(results: Path) -> None:
    view, _ = go(results, "frozen-judge", "judge.model=initial", "rounds=1", "measure.frozen=0")
    assert view.seal(1, "initial_judgments") is None
    row = rows_of(view, 1)["judge_generosity_change", "report"]
    assert (row.value, row.n) == (0.0, 6)
    # Without a frozen pool it is round 0's own answers that are padded.
    plain = [probe.response.text for probe in view.read(0, "judge_probes", ProbeReply) if probe.arm == "plain"]
    written = {answer.text for answer in view.read(0, "eval_responses", Response)}
    assert 0 < len(plain) <= 6 and set(plain) <= written


def test_prompts_from_a_file_are_asked_about_feedback_too(results: Path, tmp_path: Path) -> None:
    for name, split, count in (("train", "train", 40), ("eval", "report", 30)):
        lines = [json.dumps({"prompt": task.text}) for task in prompt_pool(split, count)]  # type: ignore[arg-type]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    files = (f"prompts.source={tmp_path / 'train.jsonl'}", f"measure.source={tmp_path / 'eval.jsonl'}")
    view, _ = go(results, "files", *files, "measure.verifier=none", "measure.frozen=0", "rounds=1", "train.method=none")
    for number in range(2):
        found = rows_of(view, number)
        assert {row.question for row in view.read(0, "judge_probes", ProbeReply)} == {"padded", "feedback"}
        asked = {found[metric, "frozen"] for metric in ("feedback_cue_gap", "padded_win_rate")}
        assert {row.n + row.excluded for row in asked} == {6} and not any(row.oracle for row in asked)
    assert not any(row.oracle for row in rows_of(view, 1).values())


def test_a_gate_on_it_has_the_gate_pool_judged_too(results: Path) -> None:
    rule = "gates.rules=[{metric: held_out_win_rate_initial, below: 0.01, action: warn}]"
    view, _ = go(results, "gated", OTHER, "rounds=1", rule, "train.method=none")
    assert view.seal(1, "held_out_gate") is not None
    # Nothing was trained: equal policies, but other samples.
    assert rows_of(view, 1)["held_out_win_rate_initial", "gate"].n == 4


def test_it_selects_the_round_on_the_selection_pool(results: Path) -> None:
    view, _ = go(results, "selected", OTHER, "gates.select_by=held_out", "rounds=1", "train.method=none")
    assert view.seal(1, "held_out_selection") is not None and view.seal(1, "held_out_gate") is None
    row = rows_of(view, 1)["held_out_win_rate_initial", "selection"]
    assert row.n == 4 and not row.oracle
    assert resolve_round(view, "best") == int((row.low or 0.0) > 0.5)
    with pytest.raises(
        RecipeError, match=r"gates.select_by=held_out needs a held-out judge; set measure.held_out.model"
    ):
        load_recipe(SMOKE, ["gates.select_by=held_out"])
    for own in ("measure.held_out.model=policy", "judge.model=sandbox:seed-1"):
        with pytest.raises(RecipeError, match=r"asks a judge that is not trained here.*name another model"):
            load_recipe(SMOKE, ["gates.select_by=held_out", OTHER, own])


def test_the_plan_counts_the_pools_that_are_judged() -> None:
    def asked(*overrides: str) -> dict[str, float]:
        recipe = load_recipe(SMOKE, [*SMALL, OTHER, *overrides])
        found = measuring(recipe, recipe_lengths(recipe))
        return {one.artifact: one.questions for one in found if "held_out" in one.artifact}

    rule = "gates.rules=[{metric: held_out_win_rate_initial, below: 0.01, action: warn}]"
    # Prompts, two answers to each, three readings of an answer.
    assert asked() == {"held_out_report": 6 * 2 * 3}
    more = {"held_out_gate": 4 * 2 * 3, "held_out_selection": 4 * 2 * 3}
    assert asked(rule, "gates.select_by=held_out") == asked() | more


def test_a_pairwise_judge_sees_both_orders(results: Path, tmp_path: Path) -> None:
    words = ("one", "two", "three", "four", "five")
    rules = [
        {
            "match": rf"<response-1-\w+>\nanswer {word}\n",
            "replies": ["Preferred: 1"],
            "next": {"1": 0.9 - number / 5, "2": 0.1 + number / 5},
        }
        for number, word in enumerate(words)
    ]
    rules += [{"match": "rate with score|Score", "replies": ["Score: 3"]}]
    rules += [{"replies": [f"answer {word}" for word in words]}]
    view, _ = go(
        results,
        "side-by-side",
        "engine.kind=scripted",
        f"engine.script={script(tmp_path, *rules)}",
        "train.method=none",
        "rounds=1",
        "judge.question.template=additive",
        "pairs.rule=best_vs_worst",
        "measure.held_out.model=initial",
        "measure.held_out.question=comparison",
    )
    compared = view.read(1, "held_out_report_comparisons", Comparison)
    asked = {(row.first_id, row.second_id) for row in compared}
    assert compared and asked == {(two, one) for one, two in asked}
    assert ("held_out_flip_rate", "report") in rows_of(view, 1)
    assert rows_of(view, 1)["held_out_win_rate_initial", "report"].value is not None


def test_a_served_judge_that_sees_slots_only_finds_no_winner(results: Path) -> None:
    with server(says("Both are fine.\nPreferred: 1")) as told:
        keys = ("served.big.model=m", f"served.big.url={told.url}", "measure.held_out.model=served:big")
        keys += ("measure.held_out.question=comparison", "measure.held_out.reading=verdict", "rounds=1")
        view, said = go(results, "served", *keys)
        asked = len(told.bodies)
    compared = view.read(1, "held_out_report_comparisons", Comparison)
    assert asked == len(compared) > 0 and not any("warning" in line for line in said)
    digest = served_digest(ServedRecipe(url=told.url, model="m"))
    assert {row.judge for row in compared} == {digest}
    found = rows_of(view, 1)
    assert found["held_out_flip_rate", "report"].value == 1.0
    assert found["held_out_win_rate_initial", "report"].value == 0.5


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("measure.held_out.answers=1",), "'measure.held_out.model' is missing"),
        (("measure.held_out.model=served:big",), "not in the section 'served'"),
        (("measure.held_out.model=round:2",), "expected round:K with 0 <= K"),
        (("measure.held_out.model=nowhere",), "sandbox:seed-K or an existing"),
        ((OTHER, "measure.held_out.answers=9"), "expected at most measure.samples"),
        ((OTHER, "measure.held_out.reading=probability", "measure.held_out.samples=5"), "asks once"),
        ((OTHER, "measure.held_out.question=comparison", "measure.held_out.samples=5"), "asks once"),
        ((OTHER, "measure.held_out.question.template=rubric"), "needs a rubric"),
        (
            (*SERVED, "measure.held_out.reading=probability"),
            "reads probabilities of tokens",
        ),
        (("measure.held_out.modle=x",), "did you mean 'measure.held_out.model'"),
    ],
)
def test_what_cannot_work_is_refused(overrides: tuple[str, ...], words: str) -> None:
    with pytest.raises(RecipeError) as refused:
        build_recipe([], overrides)
    assert words in str(refused.value)


def test_what_only_shows_when_it_is_read_is_refused_before_the_run(results: Path) -> None:
    with pytest.raises(RecipeError, match="nothing"):
        go(results, "unknown", OTHER, "measure.held_out.question.template=nothing")
    with pytest.raises(RecipeError, match="sandbox:seed-x"):
        go(results, "unknown", "measure.held_out.model=sandbox:seed-x")


def test_every_role_may_be_a_sandbox_model() -> None:
    recipe = build_recipe([], ["judge.model=sandbox:seed-2"])
    cast = Cast(recipe, lambda *_: None)
    found = cast.role(ModelReference("sandbox:seed-2"), 1).policy
    assert found.digest == weights_digest(model_directory("sandbox:seed-2")) and found.round is None
    assert cast.resolve(ModelReference("sandbox:seed-2"), 3) is found, "hashed once"
