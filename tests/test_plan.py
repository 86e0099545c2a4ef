"""The plan against floors that were worked out apart from it, against counted tensors, and against a finished run."""

import json
from pathlib import Path
from typing import Any

import pytest

from selfreward.commands.plan.plan import Assumptions, Plan, plan
from selfreward.commands.plan.roofline import DEVICES, FLOOR, Efficiency, Roofline
from selfreward.commands.plan.shapes import NAMED, read_shape
from selfreward.commands.plan.taken import compare
from selfreward.commands.plan.text import fits, lines, taken_lines
from selfreward.commands.plan.units import aligned, duration
from selfreward.commands.plan.workload import Lengths, generating, judging, recipe_lengths
from selfreward.commands.plan.workload_measuring import measuring
from selfreward.commands.plan.workload_training import training
from selfreward.errors import DataError, RecipeError
from selfreward.recipe import Recipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.store.run import RunView
from selfreward.store.seals import Seal, seal_path, write_seal

ROOT = Path(__file__).parent.parent
SEED = ROOT / "selfreward" / "tasks" / "sandbox" / "seeds" / "seed-0"

PAPER: dict[str, Any] = {
    "rounds": 1,
    "model": {"dtype": "bfloat16"},
    "engine": {"kind": "vllm", "max_num_seqs": 10**7},
    "prompts": {"per_round": 5000},
    "generate": {"samples": 7},
    # A quarter of the prompts twice: one battle in both orders for 1,250 answers, and as many judgment pairs.
    "meta": {"enabled": True, "max_responses": 1250, "max_judgments": 2, "max_share": 0.2},
    "train": {"epochs": 1.0, "batch_size": 32, "max_length": 2048},
}
ELEVEN = {"judge": {"aggregate": {"samples": 11}}}
ADAPTIVE = {"judge": {"aggregate": {"kind": "adaptive", "cap": 11}}, "train": {"prefix_sharing": "auto"}}
EXPECTED = {"judge": {"reading": "probability"}, "train": {"prefix_sharing": "auto"}}


def paper(model: str, *layers: dict[str, Any], efficiency: Efficiency = FLOOR) -> Plan:
    recipe = build_recipe([PAPER, *layers])
    return plan(recipe, NAMED[model], DEVICES["h100"], Assumptions(Lengths(), efficiency, adaptive_share=0.5))


def stage(made: Plan, *names: str, cache: bool = True) -> float:
    return sum(cost.cached if cache else cost.seconds for cost in made.made if cost.stage in names)


@pytest.mark.parametrize(
    ("model", "without", "cached", "halved", "expected"),
    [("llama-3-8b", 10_805, 4_531, 2_742, 995), ("qwen2.5-0.5b", 746, 373, 216, 67)],
)
def test_the_floors_of_a_round_on_one_h100(
    model: str, without: float, cached: float, halved: float, expected: float
) -> None:
    whole = paper(model, ELEVEN)
    # These floors let every token of a prompt meet the output head; only a question's last one does.
    head = sum(2 * whole.shape.embedding * (one.prefill - one.questions) for one in whole.made if one.questions)
    assert whole.round_seconds(cache=False) + head / 989e12 == pytest.approx(without, rel=0.1)
    assert whole.round_seconds(cache=True) == pytest.approx(cached, rel=0.1)
    assert paper(model, ADAPTIVE).round_seconds(cache=True) == pytest.approx(halved, rel=0.1)
    # That floor has the meta-judge compare sampled judgments, of which an expected score has none.
    by_probability = paper(model, EXPECTED).round_seconds(cache=True) + stage(whole, "compare judgments", cache=False)
    assert by_probability == pytest.approx(expected, rel=0.1)


def test_the_stages_of_the_8b_floor() -> None:
    made = paper("llama-3-8b", ELEVEN)
    assert stage(made, "answer") == pytest.approx(271, rel=0.1)
    assert stage(made, "judge") == pytest.approx(3646, rel=0.1)
    # That floor computes the meta-judge's questions anew; its cache would give it 64.
    assert stage(made, "compare judgments", cache=False) == pytest.approx(90, rel=0.1)
    assert stage(made, "compare judgments") == pytest.approx(64, rel=0.1)
    assert stage(made, "reference", "train") == pytest.approx(523, rel=0.1)


@pytest.mark.parametrize(("layer", "seats", "minutes"), [(ELEVEN, 256, 172), (ADAPTIVE, 1024, 84)])
def test_stated_efficiencies_on_8b(layer: dict[str, Any], seats: int, minutes: float) -> None:
    engine = {"engine": {"max_num_seqs": seats}}
    made = paper("llama-3-8b", layer, engine, efficiency=Efficiency(flops=0.45, bandwidth=0.6))
    assert made.round_seconds(cache=True) / 60 == pytest.approx(minutes, rel=0.1)


def test_the_tokens_of_a_round() -> None:
    """K 7, N 11 and 5,000 prompts; a prompt's judgments: 73,150 tokens raw, 2,950 unique but for the rubric."""
    made = paper("llama-3-8b", ELEVEN)
    judged = next(cost for cost in made.made if cost.stage == "judge")
    assert judged.prefill == 5000 * 73_150
    assert judged.unique == pytest.approx(5000 * 2_950, rel=1e-3)
    assert judged.decoded == 5000 * 15_400


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("qwen2.5-0.5b", 0.494e9),
        ("qwen2.5-1.5b", 1.544e9),
        ("qwen2.5-7b", 7.616e9),
        ("qwen3-0.6b", 0.596e9),
        ("llama-3.2-1b", 1.236e9),
        ("llama-3-8b", 8.03e9),
    ],
)
def test_named_shapes_have_their_published_size(name: str, parameters: float) -> None:
    assert NAMED[name].parameters == pytest.approx(parameters, rel=2e-3)


def test_a_shape_read_from_a_directory_counts_what_its_file_holds() -> None:
    from safetensors import safe_open

    with safe_open(SEED / "model.safetensors", framework="np") as file:
        held = sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118 (not a mapping)
    assert read_shape(SEED).parameters == held


def test_an_adapter_counts_two_matrices_for_each_that_it_changes() -> None:
    """Against the dimensions of Llama-3-8B written out: q, k, v, o, gate, up, down."""
    sides = [(4096, 4096), (4096, 1024), (4096, 1024), (4096, 4096), (4096, 14336), (4096, 14336), (14336, 4096)]
    assert NAMED["llama-3-8b"].adapter(16, 7) == 32 * 16 * sum(a + b for a, b in sides)


@pytest.mark.parametrize(
    ("content", "named"), [("{", "decoder"), ("[]", "decoder"), ("{}", "num_attention_heads"), (None, "cannot be read")]
)
def test_a_configuration_that_says_nothing_is_refused(tmp_path: Path, content: str | None, named: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(DataError, match=named):
        read_shape(tmp_path)


def test_a_mixture_of_experts_is_refused(tmp_path: Path) -> None:
    config = json.loads((SEED / "config.json").read_text()) | {"num_experts": 8}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="num_experts"):
        read_shape(tmp_path)


def test_more_device_never_takes_longer() -> None:
    shape = NAMED["llama-3-8b"]
    seconds = [
        Roofline(shape, DEVICES[name], FLOOR, 2).decode(1000, 500, 200, 1, 256) for name in ("a100-80", "h100", "h200")
    ]
    assert seconds == sorted(seconds, reverse=True)
    assert Roofline(shape, DEVICES["h100"], FLOOR, 2).prefill(0, 100) == 0


def phases(made: Plan) -> dict[str, float]:
    return {phase.name: phase.total for phase in made.phases}


def test_full_training_of_8b_does_not_fit_on_80_gb_and_an_adapter_does() -> None:
    full, adapter = paper("llama-3-8b", ELEVEN), paper("llama-3-8b", ELEVEN, {"train": {"lora": {"rank": 16}}})
    assert phases(full)["training"] > 16 * 8e9 > DEVICES["h100"].memory
    assert "DOES NOT FIT" in "\n".join(lines(full))
    small = paper("llama-3-8b", ELEVEN, {"train": {"lora": {"rank": 16}, "micro_batch_size": 1}})
    assert phases(small)["training"] < phases(adapter)["training"] < phases(full)["training"]
    assert all(fits(small, phase) for phase in small.phases)
    assert phases(small)["merging the adapter"] == pytest.approx(4 * 8.03e9, rel=0.02)


def test_an_engine_that_does_not_sleep_keeps_its_weights_beside_the_trainer() -> None:
    asleep = phases(paper("qwen2.5-0.5b", ELEVEN))["training"]
    awake = phases(paper("qwen2.5-0.5b", ELEVEN, {"engine": {"sleep": False}}))["training"]
    assert awake - asleep == pytest.approx(2 * 0.494e9, rel=0.01)


def test_a_served_judge_costs_money_and_no_time() -> None:
    served = {
        "served": {"big": {"url": "http://host/v1", "model": "m", "price_in": 1.0, "price_out": 10.0}},
        "judge": {"model": "served:big", "aggregate": {"samples": 11}},
        "meta": {"enabled": False},
    }
    made = paper("llama-3-8b", served)
    judged = next(cost for cost in made.made if cost.stage == "judge")
    assert (judged.seconds, judged.cached) == (0, 0)
    assert judged.price == pytest.approx((5000 * 73_150 * 1 + 5000 * 15_400 * 10) / 1e6)
    assert "served:big" in "\n".join(lines(made))


@pytest.mark.parametrize(
    ("judge", "questions", "decodes"),
    [
        ({"aggregate": {"samples": 3}}, 20 * 4 * 3, True),
        ({"reading": "probability"}, 20 * 4, False),
        ({"reading": "rationale", "aggregate": {"samples": 2}}, 20 * 4 * 2, True),
        ({"question": "comparison", "reading": "probability"}, 20 * 6 * 2, False),
        ({"question": {"kind": "comparison", "comparisons": "ring"}, "reading": "verdict"}, 160, True),
        ({"source": "oracle"}, 0, False),
        ({"source": "none"}, 0, False),
    ],
)
def test_questions_of_every_protocol(judge: dict[str, Any], questions: int, decodes: bool) -> None:
    recipe = build_recipe(
        [{"prompts": {"per_round": 20}, "generate": {"samples": 4}, "judge": judge, "pairs": {"rule": "verified"}}]
    )
    asked = judging(recipe, Lengths(), 1.0)
    assert sum(one.questions for one in asked) == questions
    assert (sum(one.decoded for one in asked) > 0) == decodes
    assert all(one.unique <= one.prefill for one in asked)


def test_an_ensemble_asks_every_member() -> None:
    layers = [{"judge": {"aggregate": {"kind": "ensemble", "members": ["sandbox", "sandbox@initial"]}}}]
    assert len(judging(build_recipe(layers), Lengths(), 1.0)) == 2


def planned(recipe: Recipe, lengths: Lengths) -> Plan:
    return plan(recipe, read_shape(SEED), DEVICES["cpu-core"], Assumptions(lengths))


def test_planned_against_taken(tmp_path: Path) -> None:
    recipe = load_recipe(ROOT / "recipes" / "smoke.yaml", ["rounds=2"])
    made = planned(recipe, recipe_lengths(recipe, prompt=20, rubric=30))

    def seal(number: int, artifact: str, tokens: int, seconds: float) -> None:
        directory = tmp_path / f"round-{number:02d}"
        directory.mkdir(exist_ok=True)
        row = Seal(number, artifact, "0" * 32, {}, "", 1, 1, seconds, tokens)
        write_seal(seal_path(directory, artifact), row)

    seal(0, "checkpoint", 0, 9.0)
    seal(0, "eval_responses", 700, 4.0)
    seal(0, "measurements", 0, 1.0)
    for number in (1, 2):
        for artifact in ("responses", "judgments_first", "judgments_further", "judgments", "meta_judgments"):
            seal(number, artifact, 100, 2.0)
        seal(number, "checkpoint", 0, 30.0)
    seal(3, "responses", 50, 1.0)
    rows = {row.stage: row for row in compare(made, RunView(tmp_path))}
    answers = next(cost for cost in made.made if cost.stage == "answer")
    assert (rows["answer"].tokens, rows["answer"].seconds) == (200, 4.0), "an unfinished round does not count"
    assert rows["answer"].planned_tokens == 2 * answers.decoded
    assert rows["judge"].seconds == 2 * 3 * 2.0, "all parts of a judgment, and no meta-judgment"
    assert rows["compare judgments"].seconds == 4.0
    assert rows["train"].seconds == 60.0, "round 0 trains nothing"
    assert rows["measure: answer"].tokens == 700 and rows["measure: answer"].planned_tokens > 0
    assert any("taken / planned" in line for line in taken_lines(list(rows.values())))


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_can_be_planned(path: Path) -> None:
    recipe = load_recipe(path)
    text = "\n".join(lines(planned(recipe, recipe_lengths(recipe))))
    told = ("assumed: 10% of peak", "range: a round", "floor of a round", "disk:", "memory, sampling")
    assert all(words in text for words in told)


def test_the_command_prints_the_plan_and_what_a_run_took(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from selfreward.commands.cli import app

    recipe = ROOT / "recipes" / "self_rewarding_qwen2.5_0.5b.yaml"
    done = CliRunner().invoke(app, ["plan", str(recipe), "--model", "qwen2.5-0.5b", "--device", "4090"])
    assert done.exit_code == 0, done.output
    assert "Qwen2.5-0.5B (494.0 M parameters, bfloat16) on RTX 4090 24 GB" in done.output
    assert "NOT FIT" not in done.output
    run = tmp_path / "results" / "mine"
    run.mkdir(parents=True)
    smoke = ROOT / "recipes" / "smoke.yaml"
    (run / "recipe.yaml").write_bytes(smoke.read_bytes())
    done = CliRunner().invoke(app, ["plan", str(smoke), "--run", "mine", "--results", str(run.parent)])
    assert done.exit_code == 0 and "taken / planned" in done.output, done.output
    wrong = CliRunner().invoke(app, ["plan", str(smoke), "--device", "tpu"])
    assert isinstance(wrong.exception, RecipeError) and "h100" in str(wrong.exception)


def test_columns_and_durations() -> None:
    assert aligned([["a", "bb"], ["ccc", "d"]]) == ["a    bb", "ccc   d"]
    assert (duration(12), duration(600), duration(7200)) == ("12.0 s", "10.0 min", "2.00 h")


def test_a_policy_gradient_trains_on_every_answer_once_and_on_no_second_side() -> None:
    """K answers of a prompt where a pair has two, one teacher-forced pass more each; a KL costs another."""
    lengths = Lengths()
    pairs, samples, held = (
        training(build_recipe([PAPER, {"meta": {"enabled": False}, "train": keys}]), lengths)
        for keys in (
            {},
            {"method": "grpo", "batch_size": 32, "epochs": 1.0},
            {"method": "rloo", "batch_size": 32, "kl": 0.1, "reference": "initial"},
        )
    )
    assert samples.tokens == pytest.approx(7 / 2 * pairs.tokens) and pairs.reference == pairs.tokens
    assert samples.reference == samples.tokens and held.reference == 2 * samples.reference
    assert samples.steps == pytest.approx(7 * pairs.steps) and samples.row == pytest.approx(pairs.row / 2)


def test_a_reward_model_is_planned_as_often_as_it_is_trained() -> None:
    def of(**keys: Any) -> Plan:
        model = {"prompts": 100, "held_out": 0.25, "epochs": 3.0, **keys}
        judge = {"model": "reward_model", "reading": "scalar"}
        layer = {"rounds": 4, "generate": {"samples": 5}, "judge": judge, "reward_model": model}
        return planned(build_recipe([layer]), Lengths())

    once, every = of(), of(refresh="every")
    taught = {cost.stage: cost for cost in once.taught}
    assert [taught[stage].questions for stage in ("answer", "label", "score")] == [500, 1500, 125]
    assert taught["train"].prefill == 75 * 5 * 3 * (Lengths().prompt + Lengths().response)
    assert once.taught == every.taught
    spent = sum(cost.seconds for cost in once.taught)
    assert every.seconds(False) - once.seconds(False) == pytest.approx(4 * spent)
    assert every.disk["checkpoints"] - once.disk["checkpoints"] == 4 * 4 * once.shape.parameters
    assert "training the reward model" in {phase.name for phase in once.phases}
    plain = planned(build_recipe([{"rounds": 4}]), Lengths())
    assert not plain.taught and len(plain.phases) == len(once.phases) - 1


def test_further_generators_are_planned() -> None:
    keys = {"samples": 4, "mix": [{"samples": 2, "temperature": 0.2}, {"model": "earlier"}]}
    recipe = build_recipe([{"prompts": {"per_round": 20}, "generate": keys}])
    asked = generating(recipe, Lengths())
    assert {one.artifact: one.questions for one in asked} == {"responses": 80, "responses_1": 40, "responses_2": 20}
    assert judging(recipe, Lengths(), 1.0)[0].questions == 20 * 7 * recipe.judge.samples


def test_a_judge_that_ranks_scores_no_labelled_answers() -> None:
    def asked(*overrides: str) -> set[str]:
        recipe = build_recipe([], ["measure.frozen=10", *overrides])
        return {one.artifact for one in measuring(recipe, Lengths(20, 20, 20, 20)) if one.questions}

    assert "frozen_judgments" in asked()
    assert not {name for name in asked("judge.question=list") if name.startswith("frozen")}
    assert "frozen_judgments" not in asked("measure.frozen=0")


def test_measuring_reads_prompts_and_answers_three_times_for_their_likelihoods() -> None:
    recipe = build_recipe([], ["measure.report=50", "measure.samples=4"])
    made = planned(recipe, Lengths(prompt=30, response=20))
    (read,) = [cost for cost in made.measured if cost.artifact == "likelihoods"]
    assert read.prefill == 3 * 50 * 4 * (30 + 20) and read.decoded == 0
