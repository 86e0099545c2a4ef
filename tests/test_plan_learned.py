"""A plan that learns: ranges against runs that were really made, floors below them, devices, headers of recipes."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plan_runs import RUNS, SEED, SMOKE, write_runs

from selfreward.commands.plan.devices import devices_of
from selfreward.commands.plan.finished import Finished, device_named, finished_runs
from selfreward.commands.plan.learned import LEAST, learn, round_span, span
from selfreward.commands.plan.plan import Assumptions, Plan, plan
from selfreward.commands.plan.roofline import DEVICES, FLOOR, Efficiency, Roofline
from selfreward.commands.plan.shapes import NAMED, ModelShape, read_shape
from selfreward.commands.plan.text import lines
from selfreward.commands.plan.workload import Lengths, recipe_lengths
from selfreward.recipe import Recipe
from selfreward.recipe.read import build_recipe, load_recipe

ROOT = Path(__file__).parent.parent
PROMPT = 9.0
"""Mean tokens of a sandbox prompt without its template; floors leave out the judge's instructions."""


def smoke(prompt: float = 25, rubric: float = 40) -> Plan:
    recipe = load_recipe(SMOKE)
    lengths = recipe_lengths(recipe, prompt, rubric)
    return plan(recipe, read_shape(SEED), DEVICES["cpu-core"], Assumptions(lengths))


def learnt_without(runs: list[Finished], left_out: Finished) -> tuple[float, float, float]:
    found = span(left_out.plan, learn([one for one in runs if one is not left_out]))
    return found.low, found.expected, found.high


def check_left_out(runs: list[Finished]) -> None:
    """Each run, planned by the defaults and from the others."""
    for one in runs:
        default = span(one.plan, None)
        assert default.low <= one.seconds <= default.high, (one.name, one.seconds, default)
        low, expected, high = learnt_without(runs, one)
        assert low <= one.seconds <= high, (one.name, one.seconds, low, high)
        assert max(expected / one.seconds, one.seconds / expected) <= 1.25, (one.name, one.seconds, expected)
        assert high / low < default.high / default.low, "learning narrows"


def test_each_run_is_planned_from_the_others(tmp_path: Path) -> None:
    write_runs(tmp_path, RUNS)
    runs = finished_runs(tmp_path, smoke())
    assert [one.name for one in runs] == sorted(told["name"] for told in RUNS) and len(runs) == 6
    check_left_out(runs)


def test_no_measured_stage_is_faster_than_its_floor(tmp_path: Path) -> None:
    write_runs(tmp_path, RUNS)
    points = [(one.name, point) for one in finished_runs(tmp_path, smoke(PROMPT, 0)) for point in one.points]
    assert len(points) > 100
    assert {point.kind for _, point in points} == {"writing", "reading", "training"}
    assert not [(name, point) for name, point in points if not 0 <= point.floor <= point.seconds]
    assert all(point.floor > 0 for _, point in points if point.stage in ("answer", "judge", "train"))


def test_a_machine_that_is_twice_as_slow_is_learnt(tmp_path: Path) -> None:
    """Seconds of every stage and of the whole, doubled: the expectation doubles, what was asked does not change."""
    slower = []
    for told in RUNS:
        seals = [[*seal[:4], 2 * seal[4], *seal[5:]] for seal in told["seals"]]
        slower.append({**told, "wall": 2 * told["wall"], "seals": seals})
    write_runs(tmp_path / "one", RUNS)
    write_runs(tmp_path / "two", slower)
    made = smoke()
    one, two = (learn(finished_runs(tmp_path / name, made)) for name in ("one", "two"))
    assert one and two
    assert span(made, two).expected == pytest.approx(2 * span(made, one).expected, rel=1e-6)
    assert two.kinds["training"].share == pytest.approx(one.kinds["training"].share / 2)
    assert two.error == pytest.approx(one.error)


def test_few_runs_are_trusted_less_and_other_machines_not_at_all(tmp_path: Path) -> None:
    write_runs(tmp_path / "few", RUNS[:2])
    made = smoke()
    few = learn(finished_runs(tmp_path / "few", made))
    assert few and few.error > LEAST
    assert finished_runs(tmp_path / "few", replace(made, device=DEVICES["h100"])) == []
    other = plan(load_recipe(SMOKE, ["engine.threads=2"]), made.shape, made.device, made.assumptions)
    assert finished_runs(tmp_path / "few", other) == []
    larger = replace(made, shape=NAMED["qwen2.5-0.5b"])
    assert finished_runs(tmp_path / "few", larger) == []
    write_runs(tmp_path / "gpu", RUNS[:2], accelerator="NVIDIA H100 80GB HBM3")
    assert finished_runs(tmp_path / "gpu", made) == []
    assert len(finished_runs(tmp_path / "gpu", replace(made, device=DEVICES["h100"]))) == 2
    torn = tmp_path / "few" / RUNS[0]["name"] / "round-02" / "checkpoint.done.json"
    torn.unlink()
    assert [one.name for one in finished_runs(tmp_path / "few", made)] == [RUNS[1]["name"]], "unfinished"


def test_the_command_names_the_runs_that_it_learnt_from(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from selfreward.commands.cli import app

    write_runs(tmp_path, RUNS[:3])
    asked = ["plan", str(SMOKE), "--device", "cpu-core", "--results"]
    told = CliRunner().invoke(app, [*asked, str(tmp_path)]).output
    assert "learnt from 3 finished runs" in told and all(one["name"] in told for one in RUNS[:3])
    assert "reached of the peaks: reading" in told
    assert "by the defaults" in CliRunner().invoke(app, [*asked, str(tmp_path / "none")]).output


@pytest.mark.parametrize(
    ("name", "key"),
    [("NVIDIA GeForce RTX 4090", "4090"), ("NVIDIA A100-SXM4-80GB", "a100-80"), ("NVIDIA L40S", "l40s")],
)
def test_devices_are_known_by_their_drivers_names(name: str, key: str) -> None:
    assert device_named(name) is DEVICES[key]
    assert device_named("NVIDIA T4") is None and device_named(None) is DEVICES["cpu-core"]


LLAMA: dict[str, Any] = {"model": {"dtype": "bfloat16"}, "meta": {"enabled": False}, "train": {"batch_size": 32}}


def on(**keys: Any) -> Plan:
    recipe = build_recipe([LLAMA, keys])
    return plan(recipe, NAMED["llama-3-8b"], DEVICES["h100"], Assumptions(Lengths()))


def seconds(made: Plan, stage: str) -> float:
    return sum(cost.seconds for cost in made.made if cost.stage == stage)


def test_devices_share_the_work_and_not_the_tokens() -> None:
    one, four = on(prompts={"per_round": 5000}), on(prompts={"per_round": 5000}, engine={"replicas": 4})
    assert seconds(four, "judge") == pytest.approx(seconds(one, "judge") / 4, rel=0.02)
    assert seconds(four, "train") == seconds(one, "train"), "replicas do not train"
    assert [cost.decoded for cost in four.made] == [cost.decoded for cost in one.made]
    ranks = on(prompts={"per_round": 5000}, train={"processes": 4, "launch": "accelerate"})
    assert seconds(one, "train") / 4 < seconds(ranks, "train") < seconds(one, "train") / 2
    assert seconds(ranks, "judge") == seconds(one, "judge")
    assert "4 such devices: engines that sample 4, 1 trains" in lines(four)[0]
    assert "4 train, the whole policy each" in lines(ranks)[0] and "such devices" not in lines(one)[0]


def test_a_split_model_shares_memory_and_bandwidth() -> None:
    one, two = (on(engine={"kind": "vllm", "tensor_parallel_size": split}) for split in (1, 2))
    held = [next(phase for phase in made.phases if "sampling" in phase.name).parts["weights"] for made in (one, two)]
    assert held[0] == pytest.approx(2 * held[1])
    assert seconds(two, "judge") < seconds(one, "judge") and seconds(two, "train") == seconds(one, "train")


def test_processes_that_share_a_policy_hold_their_part(tmp_path: Path) -> None:
    file = tmp_path / "fsdp.yaml"
    file.write_text("distributed_type: FSDP\nnum_processes: 4\nfsdp_config: {fsdp_version: 2}\n")
    keys = {"processes": 4, "launch": "accelerate"}
    whole, shared = on(train=keys), on(train={**keys, "accelerate_config": str(file)})
    assert not devices_of(whole.recipe).sharded and devices_of(shared.recipe).shares == 4
    parts = [next(phase for phase in made.phases if phase.name == "training").parts for made in (whole, shared)]
    for name in ("weights", "gradients", "optimizer"):
        assert parts[0][name] == pytest.approx(4 * parts[1][name])
    assert parts[0]["activations"] == parts[1]["activations"]


def test_only_the_last_token_of_a_question_meets_the_head() -> None:
    """In a model whose head is most of it: by the FLOPs of its block and head written out."""
    shape = ModelShape("head", 1, 64, 4, 4, 16, 128, 100_000, True)
    line = Roofline(shape, DEVICES["h100"], FLOOR, 2)
    block = 64 * 16 * 2 * 8 + 3 * 64 * 128 + 2 * 64
    attention = 4 * 1 * 4 * 16
    expected = 2 * ((block + 64) * 1e9 + 6_400_000 * 1e6) + attention * 1e9 * 1000 / 2
    assert line.prefilling(1e9, 1000, 1e6).flops == pytest.approx(expected, rel=1e-9)


def test_a_floor_lets_reading_and_writing_overlap() -> None:
    """Reading is bound by FLOPs, writing by bytes: side by side they take the longer of both and never their sum."""
    line = Roofline(NAMED["llama-3-8b"], DEVICES["h100"], FLOOR, 2)
    read, written = line.prefilling(4e6, 1000, 4000), line.decoding(4000, 1000, 200, 1, 256)
    apart = line.seconds(read), line.seconds(written)
    assert max(apart) <= line.seconds(read.beside(written)) < 0.95 * sum(apart)
    made = on(engine={"kind": "vllm"})
    assert all(0 < cost.floor < cost.cached for cost in made.made if cost.prefill)


def test_the_host_takes_its_time_for_every_step_but_not_in_a_floor() -> None:
    tiny = read_shape(SEED)
    hosted = Roofline(tiny, DEVICES["h100"], Efficiency(host=1e-3), 4)
    assert hosted.decode(8, 20, 11, 1, 8) == pytest.approx(10 * tiny.layers * 1e-3)
    assert Roofline(tiny, DEVICES["h100"], FLOOR, 4).decode(8, 20, 11, 1, 8) < 1e-4


def test_the_range_holds_published_decode_rates() -> None:
    """They are 1.25 to 2 times slower than the roofline at .45 and .6 (vLLM's figures for 8B and .5B)."""
    for name in ("llama-3-8b", "qwen2.5-0.5b"):
        recipe = build_recipe([LLAMA, {"engine": {"kind": "vllm"}, "prompts": {"per_round": 5000}}])
        made = plan(recipe, NAMED[name], DEVICES["h100"], Assumptions(Lengths(), Efficiency()))
        whole = span(made, None)
        assert whole.low < 1.25 * made.seconds(True) < 2 * made.seconds(True) <= whole.high


def shape_of(recipe: Recipe) -> tuple[ModelShape, str]:
    path = recipe.model.path
    if "sandbox" in path:
        return read_shape(SEED), "cpu-core"
    if "SmolLM2" in path:
        return ModelShape("SmolLM2-135M", 30, 576, 9, 3, 64, 1536, 49_152, True), "cpu-core"
    return (NAMED["llama-3-8b"], "h100") if "Llama" in path else (NAMED["qwen2.5-0.5b"], "4090")


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_minutes_of_a_recipes_header_are_in_the_range(path: Path) -> None:
    told = re.search(r"^# Minutes: (?:about |under )?(\d+)(?: to (\d+))?( a round)?", path.read_text(), re.MULTILINE)
    assert told, "a header names its minutes"
    recipe = load_recipe(path)
    shape, device = shape_of(recipe)
    sandbox = "sandbox" in recipe.model.path
    lengths = recipe_lengths(recipe, 25, 40) if sandbox else recipe_lengths(recipe)
    made = plan(recipe, shape, DEVICES[device], Assumptions(lengths))
    allowed = round_span(made, None) if told[3] else span(made, None)
    for minutes in (told[1], told[2] or told[1]):
        # Headers are rounded to a minute.
        assert allowed.low / 60 - 0.5 <= float(minutes) <= allowed.high / 60 + 0.5, allowed


@pytest.mark.slow  # two minutes: runs that are made here
def test_runs_of_different_sizes_made_now(tmp_path: Path) -> None:
    from selfreward.commands.run import run
    from selfreward.progress import Progress
    from selfreward.store.results import Store

    for number, prompts in enumerate((60, 120, 180, 240, 300)):
        recipe = load_recipe(SMOKE, [f"prompts.per_round={prompts}", f"seed={number}"])
        run(recipe, Store(tmp_path), f"r{prompts}", Progress())
    runs = finished_runs(tmp_path, smoke())
    assert len(runs) == 5
    for one in runs:
        low, _, high = learnt_without(runs, one)
        assert low <= one.seconds <= high, (one.name, one.seconds, low, high)
