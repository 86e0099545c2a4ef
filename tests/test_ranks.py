"""Two processes that train together take the steps of one: weights, losses, margins, and after a kill too.

The differences that are allowed are those of float sums in another order; how far training moved is asserted beside it.
"""

import dataclasses
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_factory import random_pairs, random_samples, tiny_policy, with_reference

from selfreward.commands.run import run
from selfreward.errors import TrainingError
from selfreward.progress import Progress
from selfreward.recipe import Recipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Pair
from selfreward.store.results import Store
from selfreward.training.jobs import Job, carry_out
from selfreward.training.launched import train_launched
from selfreward.training.output import TrainingReport

KEYS = ["model.device=cpu", "train.batch_size=8", "train.save_steps=2", "train.warmup_steps=2", "train.epochs=2"]
SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
TWO = ("train.launch=accelerate", "train.processes=2")
SETTINGS = {"seed": 3, "threads": 1, "probes": 4}
APART = 1e-5
"""Largest difference of a weight after ten steps."""

Step = tuple[int, int, float]


def recipe(*overrides: str) -> Recipe:
    return build_recipe([], [*KEYS, *overrides])


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def pairs(start: Path) -> list[Pair]:
    """37 pairs of unequal weights: the last batch has 2 of 8, so that one of two ranks has only fillers."""
    made = with_reference(random_pairs(36, seed=1), start)
    return [*made, *with_reference(random_pairs(1, seed=2, weight=0.5), start)]


def preferences(start: Path, pairs: Sequence[Pair]) -> Job:
    return Job("pairs", start, pairs, {**SETTINGS, "reference_is_start": True})


def trained(chosen: Recipe, job: Job, where: Path, train: Any) -> tuple[TrainingReport, list[Step]]:
    steps: list[Step] = []
    report = train(chosen, job, out=where / "out", scratch=where / "scratch", progress=lambda *step: steps.append(step))
    return report, steps


def weights(where: Path) -> dict[str, torch.Tensor]:
    return load_file(where / "out" / "model.safetensors")


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def alike(job: Job, tmp_path: Path, *keys: str) -> None:
    """Ten steps of one process and of two, with the same keys: weights, losses, metrics."""
    alone, lonely = trained(recipe(*keys), job, tmp_path / "one", carry_out)
    together, shared = trained(recipe(*keys, *TWO), job, tmp_path / "two", train_launched)
    before, one, two = load_file(job.start / "model.safetensors"), weights(tmp_path / "one"), weights(tmp_path / "two")
    # A reward model has a head that its start has not.
    moved = furthest({name: one[name] for name in before}, before)
    assert furthest(one, two) <= APART < moved / 10
    assert [step[:2] for step in lonely] == [step[:2] for step in shared]
    assert [loss for *_, loss in shared] == pytest.approx([loss for *_, loss in lonely], abs=1e-4)
    assert together.metrics == pytest.approx(alone.metrics, rel=1e-3, abs=1e-4)
    assert (together.steps, together.pairs, together.notes) == (alone.steps, alone.pairs, alone.notes)
    kept = {path.name for path in (tmp_path / "one" / "out").iterdir()}
    assert {path.name for path in (tmp_path / "two" / "out").iterdir()} == kept


@pytest.mark.slow
def test_two_ranks_take_the_steps_of_one(start: Path, pairs: list[Pair], tmp_path: Path) -> None:
    alike(preferences(start, pairs), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys",
    [
        ("train.lora.rank=4", "train.lora.target_modules=[q_proj,v_proj]"),
        ("train.prefix_sharing=always",),
        ("train.micro_batch_size=2",),
        ("train.gradient_checkpointing=true",),
        ("train.loss.kind=robust", "train.loss.label_smoothing=0.1", "train.nll=0"),
    ],
    ids=["adapter", "prefix", "accumulated", "checkpointed", "loss"],
)
def test_so_they_do_however_it_is_trained(
    start: Path, pairs: list[Pair], tmp_path: Path, keys: tuple[str, ...]
) -> None:
    alike(preferences(start, pairs), tmp_path, *keys)


@pytest.mark.slow
@pytest.mark.parametrize("aggregate", ["tokens_of_batch", "tokens_of_answer"])
def test_a_policy_gradient_too(start: Path, tmp_path: Path, aggregate: str) -> None:
    samples = random_samples(start, 38, temperature=0.9, reference=start)
    loss = {"kl": 0.1, "clip_high": None, "aggregate": aggregate}
    job = Job("samples", start, samples, {**SETTINGS, "loss": loss})
    alike(job, tmp_path, "train.method=grpo", "train.batch_size=8", "train.epochs=2")


@pytest.mark.slow
def test_demonstrations_too(start: Path, pairs: list[Pair], tmp_path: Path) -> None:
    shown = [(pair.prompt_token_ids, pair.chosen_token_ids) for pair in pairs]
    alike(Job("texts", start, shown, SETTINGS), tmp_path, "train.method=sft_chosen")


@pytest.mark.slow
def test_a_reward_model_too(start: Path, tmp_path: Path) -> None:
    """Its pairs of one prompt stand in one row, so ranks share prompts."""
    made = [dataclasses.replace(pair, prompt_id=f"prompt-{n // 2}") for n, pair in enumerate(random_pairs(74))]
    whole = [
        dataclasses.replace(pair, prompt_token_ids=made[n // 2 * 2].prompt_token_ids) for n, pair in enumerate(made)
    ]
    named = [dataclasses.replace(pair, chosen_id=f"{n}-a", rejected_id=f"{n}-b") for n, pair in enumerate(whole)]
    keys = ("batch_size=8", "save_steps=2", "warmup_steps=2", "epochs=2", "learning_rate=0.001")
    taught = ("judge.model=reward_model", "judge.reading=scalar", *(f"reward_model.{key}" for key in keys))
    alike(Job("preferences", start, named, {"seed": 3, "threads": 1}), tmp_path, *taught, "meta.enabled=false")


@pytest.mark.slow
def test_a_run_is_trained_by_two_and_goes_on(tmp_path: Path) -> None:
    """Everything is told once, and another number of processes is another checkpoint."""
    found = {}
    for name, keys in (("one", ()), ("two", TWO)):
        store = Store(tmp_path / name, share=False)
        chosen = ["meta.enabled=false", "prompts.writer.share=0", "rounds=1", *keys]
        run(load_recipe(SMOKE, chosen), store, "run", Progress())
        found[name] = load_file(tmp_path / name / "run/round-01/checkpoint/model.safetensors")
    assert furthest(found["one"], found["two"]) <= APART
    seals = [json.loads((tmp_path / name / "run/round-01/checkpoint.done.json").read_text()) for name in found]
    assert (
        seals[0]["fingerprint"] != seals[1]["fingerprint"] and seals[0]["facts"]["steps"] == seals[1]["facts"]["steps"]
    )
    lines = (tmp_path / "two/run/journal.jsonl").read_text().splitlines()
    assert len([line for line in lines if json.loads(line)["event"] == "training memory"]) == 1


@pytest.mark.slow
def test_a_half_precision_policy_leaves_its_float32_copy_once(start: Path, pairs: list[Pair], tmp_path: Path) -> None:
    keys = ("model.dtype=bfloat16", "train.learning_rate=0.002")
    job = preferences(start, pairs)
    trained(recipe(*keys), job, tmp_path / "one", carry_out)
    trained(recipe(*keys, *TWO), job, tmp_path / "two", train_launched)
    one, two = (load_file(next((tmp_path / name / "out").glob("*/*.safetensors"))) for name in ("one", "two"))
    assert furthest(one, two) < 0.02 and all(tensor.dtype == torch.float32 for tensor in two.values())


def ranks_of(job: Path) -> list[int]:
    """Processes whose command line names this job, the launcher's among them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(job) in words:
                found.append(int(entry.name))
    return sorted(found)


@pytest.mark.slow
@pytest.mark.parametrize("place", [1, 2], ids=["first", "second"])
def test_a_killed_rank_ends_all_and_the_next_attempt_goes_on(
    start: Path, pairs: list[Pair], tmp_path: Path, place: int
) -> None:
    chosen, job = recipe(*TWO), preferences(start, pairs)
    whole, _ = trained(chosen, job, tmp_path / "whole", train_launched)
    where = {"out": tmp_path / "out", "scratch": tmp_path / "scratch"}

    def kill(step: int, total: int, loss: float) -> None:
        if step == 5:
            _launcher, *ranks = ranks_of(tmp_path / "scratch" / "job.json")
            assert len(ranks) == 2
            os.kill(ranks[place - 1], signal.SIGKILL)

    with pytest.raises(TrainingError, match=r"ended without a report .* the same command goes on"):
        train_launched(chosen, job, **where, progress=kill)
    assert not ranks_of(tmp_path / "scratch" / "job.json") and not (tmp_path / "out").exists()
    torn = tmp_path / "scratch" / "checkpoint-9"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    steps: list[int] = []
    report = train_launched(chosen, job, **where, progress=lambda step, *_: steps.append(step))
    assert steps[0] > 2 and not torn.exists()
    assert report.digest == whole.digest and report.metrics == whole.metrics


@pytest.mark.slow
def test_what_one_rank_alone_refuses_is_told_and_all_end(start: Path, pairs: list[Pair], tmp_path: Path) -> None:
    """A pair whose loss is not finite is in one rank's share of the first batch."""
    bad = dataclasses.replace(pairs[0], id="too heavy", weight=3.4e38)
    with pytest.raises(TrainingError, match=r"the loss is inf; expected a finite number; .* batch: .*too heavy"):
        trained(recipe(*TWO), preferences(start, [*pairs[:-1], bad]), tmp_path, train_launched)
    assert not ranks_of(tmp_path / "scratch" / "job.json")
