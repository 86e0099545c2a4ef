"""Plans of several devices, and what finished runs say: planted factors come back, and the range is one."""

import dataclasses
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from selfreward.commands.plan.command import learnt_lines
from selfreward.commands.plan.learnt import LEAST, Finished, expected, factors, finished_like
from selfreward.commands.plan.plan import Assumptions, Plan, plan
from selfreward.commands.plan.roofline import DEVICES
from selfreward.commands.plan.shapes import NAMED, read_shape
from selfreward.commands.plan.taken import Taken
from selfreward.commands.plan.text import lines
from selfreward.commands.plan.workload import Lengths, recipe_lengths
from selfreward.recipe import Recipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.store.run import RunView
from selfreward.store.seals import Seal, seal_path, write_seal

ROOT = Path(__file__).parent.parent
SHAPE = read_shape(ROOT / "selfreward" / "tasks" / "sandbox" / "seeds" / "seed-0")
CORE = DEVICES["cpu-core"]
PLANTED = {"answer": 4.0, "judge": 0.5, "train": 20.0, "reference": 1.5}
SEALED = {"answer": "responses", "judge": "judgments", "reference": "pairs", "train": "checkpoint"}


def made(recipe: Recipe) -> Plan:
    return plan(recipe, SHAPE, CORE, Assumptions(recipe_lengths(recipe)))


def smoke(*overrides: str) -> Recipe:
    return load_recipe(ROOT / "recipes" / "smoke.yaml", ["meta.enabled=false", "prompts.writer.share=0", *overrides])


def finished(root: Path, name: str, keys: Sequence[str], times: Mapping[str, float], *, ended: bool = True) -> RunView:
    """A run whose stages took `times` what the plan says."""
    recipe = smoke(*keys)
    text = OmegaConf.to_container(OmegaConf.load(ROOT / "recipes" / "smoke.yaml"))
    layers = OmegaConf.merge(text, {"meta": {"enabled": False}, "prompts": {"writer": {"share": 0}}})
    for key in keys:
        path, value = key.split("=")
        OmegaConf.update(layers, path, OmegaConf.create({"value": value}).value)
    run = root / name
    run.mkdir(parents=True)
    OmegaConf.save(layers, run / "recipe.yaml")
    planned = made(recipe)
    for number in range(recipe.rounds + 1):
        directory = run / f"round-{number:02d}"
        directory.mkdir()
        costs = [cost for cost in planned.made if number and cost.stage in SEALED]
        for cost in costs:
            seconds = cost.seconds * times[cost.stage]
            row = Seal(number, SEALED[cost.stage], "0" * 32, {}, "", 1, 1, seconds, 0)
            write_seal(seal_path(directory, SEALED[cost.stage]), row)
        if ended or number < recipe.rounds:
            write_seal(
                seal_path(directory, "measurements"), Seal(number, "measurements", "0" * 32, {}, "", 1, 1, 0.0, 0)
            )
    return RunView(run)


def test_planted_factors_come_back_and_a_larger_run_is_expected_by_them(tmp_path: Path) -> None:
    sizes = (
        ["rounds=1", "prompts.per_round=20"],
        ["rounds=2", "prompts.per_round=40"],
        ["rounds=1", "generate.samples=3"],
    )
    views = [finished(tmp_path, f"run-{place}", keys, PLANTED) for place, keys in enumerate(sizes)]
    large = smoke("rounds=5", "prompts.per_round=300")
    runs = finished_like(large, SHAPE, CORE, views)
    assert [run.name for run in runs] == ["run-0", "run-1", "run-2"]
    found = factors(runs)
    assert {name: found[name] for name in PLANTED} == pytest.approx(PLANTED)
    planned = made(large)
    training = sum(cost.seconds * PLANTED[cost.stage] for cost in planned.made)
    measuring = sum(cost.seconds for cost in planned.measured) * 6 * found["measure: answer"]
    outcome = expected(planned, runs)
    assert outcome is not None and outcome.seconds == pytest.approx(5 * training + measuring)
    assert outcome.low == pytest.approx(outcome.seconds) == outcome.high, "equal factors leave nothing unexplained"
    assert "taken / planned: answer 4, judge 0.5" in "\n".join(learnt_lines(planned, runs))


def drawn(generator: random.Random, spread: float) -> Finished:
    size = 10 * generator.lognormvariate(0, 1)
    whole = generator.lognormvariate(0, spread)
    stages = {name: Taken(name, 0, 0, size * part, size * part * whole * 3) for name, part in (("a", 1.0), ("b", 4.0))}
    return Finished("drawn", stages)


def test_the_range_holds_one_more_run_in_nineteen_of_twenty() -> None:
    generator, held, blank = random.Random(0), 0, made(smoke())
    for _ in range(300):
        runs = [drawn(generator, 0.3) for _ in range(6)]
        outcome = expected(blank, runs[1:])
        assert outcome is not None and outcome.low is not None and outcome.high is not None
        # What is off is relative: hold the run that was left out against the ratio that the range allows.
        told = runs[0].seconds / sum(3 * row.planned_seconds for row in runs[0].stages.values())
        centre = factors(runs[1:])["a"] / 3
        held += outcome.low / outcome.seconds <= told / centre <= outcome.high / outcome.seconds
    assert 0.91 <= held / 300 <= 0.99


def test_what_is_not_like_the_recipe_says_nothing(tmp_path: Path) -> None:
    views = [
        finished(tmp_path, "unfinished", ["rounds=1"], PLANTED, ended=False),
        finished(tmp_path, "threads", ["rounds=1", "engine.threads=2"], PLANTED),
        finished(tmp_path, "dtype", ["rounds=1", "model.dtype=bfloat16"], PLANTED),
    ]
    assert finished_like(smoke(), SHAPE, CORE, views) == []
    larger = dataclasses.replace(SHAPE, layers=3 * SHAPE.layers)
    alike = finished(tmp_path, "alike", ["rounds=1"], PLANTED)
    assert len(finished_like(smoke(), SHAPE, CORE, [alike])) == 1
    if larger.parameters > 2 * SHAPE.parameters:
        assert finished_like(smoke(), larger, CORE, [alike]) == []
    assert expected(made(smoke()), []) is None
    few = finished_like(smoke(), SHAPE, CORE, [alike] * (LEAST - 1))
    outcome = expected(made(smoke()), few)
    assert outcome is not None and outcome.low is None and outcome.high is None
    assert "3 runs are needed" in learnt_lines(made(smoke()), few)[0]


LARGE = {
    "model": {"dtype": "bfloat16"},
    "engine": {"kind": "vllm", "max_num_seqs": 64},
    "prompts": {"per_round": 5000},
    "train": {"batch_size": 32, "launch": "accelerate"},
}


def costs_of(*layers: dict[str, object]) -> tuple[Plan, dict[str, float]]:
    planned = plan(build_recipe([LARGE, *layers]), NAMED["llama-3-8b"], DEVICES["h100"], Assumptions(Lengths()))
    return planned, {cost.stage: cost.cached for cost in (*planned.made, *planned.measured)}


def test_replicas_share_the_questions_and_processes_the_tokens_that_are_trained_on() -> None:
    _, one = costs_of()
    four, by_four = costs_of({"engine": {"replicas": 4}})
    assert four.devices == 4 and by_four["train"] == one["train"]
    for stage in ("answer", "judge", "reference", "measure: likelihoods"):
        assert by_four[stage] == pytest.approx(one[stage] / 4, rel=0.02), stage
    two, by_two = costs_of({"train": {"processes": 2}})
    assert two.devices == 2 and by_two["answer"] == one["answer"]
    assert one["train"] / 2 < by_two["train"] < 0.6 * one["train"], "every process takes the optimizer's steps"


def test_a_model_that_is_split_has_the_rates_of_its_devices_and_a_part_of_its_weights_on_each() -> None:
    alone, one = costs_of({"train": {"method": "none"}})
    split, by_two = costs_of({"train": {"method": "none"}, "engine": {"tensor_parallel_size": 2}})
    assert split.devices == 2 and by_two["judge"] == pytest.approx(one["judge"] / 2, rel=0.02)
    assert split.phases[0].parts["weights"] == alone.phases[0].parts["weights"] / 2


def test_the_range_without_runs_is_between_the_floor_and_twice_the_plan() -> None:
    planned = made(smoke())
    floor, stated, high = re.search(
        r"the run, measurements included: (.*?), .*\n  between (.*?) \(.* and (.*?) \(", "\n".join(lines(planned))
    ).groups()  # type: ignore[union-attr]
    assert floor != stated != high


HEADER = re.compile(r"Minutes: about ([\d.]+) a round by `selfreward plan --model (\S+) --device (\S+)`")


def planned_in_header(path: Path) -> re.Match[str] | None:
    return HEADER.search(path.read_text())


@pytest.mark.parametrize(
    "path",
    [path for path in sorted((ROOT / "recipes").glob("*.yaml")) if planned_in_header(path)],
    ids=lambda p: p.stem,
)
def test_a_recipes_header_says_what_its_plan_says(path: Path) -> None:
    told = planned_in_header(path)
    assert told is not None
    minutes, model, device = told.groups()
    recipe = load_recipe(path)
    planned = plan(recipe, NAMED[model], DEVICES[device], Assumptions(recipe_lengths(recipe)))
    assert planned.round_seconds(planned.caches) / 60 == pytest.approx(float(minutes), rel=0.05, abs=0.05)


def test_every_arithmetic_in_a_header_names_its_command() -> None:
    said = [path for path in sorted((ROOT / "recipes").glob("*.yaml")) if "arithmetic" in path.read_text()]
    assert said and all(planned_in_header(path) for path in said)
