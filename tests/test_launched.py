"""Training through `accelerate launch`: the same bytes as in this process; a child that is killed; nothing is left."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from training_factory import random_pairs, random_samples, tiny_policy, with_reference

from selfreward.commands.run import run
from selfreward.errors import HandOffError, StoreError, TrainingError
from selfreward.progress import Progress
from selfreward.recipe import Recipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Pair
from selfreward.store.results import Store
from selfreward.training.jobs import Job, carry_out
from selfreward.training.launched import train_launched

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
KEYS = ["model.device=cpu", "train.batch_size=8", "train.save_steps=2", "train.warmup_steps=2"]
pytestmark = pytest.mark.slow


def recipe(*overrides: str) -> Recipe:
    return build_recipe([], [*KEYS, *overrides])


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def pairs(start: Path) -> list[Pair]:
    return with_reference(random_pairs(40), start)


def preferences(start: Path, pairs: list[Pair]) -> Job:
    return Job("pairs", start, pairs, {"seed": 3, "threads": 1, "probes": 4, "reference_is_start": True})


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def both(chosen: Recipe, job: Job, where: Path, **told: Any) -> tuple[Path, Path]:
    for name, train in (("here", carry_out), ("there", train_launched)):
        train(chosen, job, out=where / name, scratch=where / f"{name}.scratch", **(told if name == "there" else {}))
    return where / "here", where / "there"


@pytest.mark.parametrize(
    "keys", [(), ("train.lora.rank=4",), ("model.dtype=bfloat16",)], ids=["full", "adapter", "half"]
)
def test_the_weights_are_those_of_a_training_in_this_process(
    start: Path, pairs: list[Pair], tmp_path: Path, keys: tuple[str, ...]
) -> None:
    steps: list[tuple[int, int, float]] = []
    memory: dict[str, int] = {}
    told = {"progress": lambda *step: steps.append(step), "note": lambda **facts: memory.update(facts)}
    here, there = both(recipe(*keys), preferences(start, pairs), tmp_path, **told)
    ours, theirs = files(here), files(there)
    assert ours == theirs and "model.safetensors" in ours
    assert [step for step, _, _ in steps] == list(range(1, 11)) and {total for _, total, _ in steps} == {10}
    assert 50 * 2**20 < memory["freed_bytes"] < 2**34 and memory["freed_device_bytes"] == 0


def test_one_process_waits_for_no_ranks_of_a_cluster(
    start: Path, pairs: list[Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WORLD_SIZE alone would be an error of torch's, with MASTER_ADDR a day of waiting."""
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    told = {"out": tmp_path / "out", "scratch": tmp_path / "scratch"}
    assert train_launched(recipe(), preferences(start, pairs[:8]), **told).steps == 2


def test_a_trainer_of_ones_own_gets_its_pairs_there_too(start: Path, pairs: list[Pair], tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text(
        "from selfreward.training.supervised import train_supervised\n\n\n"
        "def train(start, rows, recipe, **told):\n"
        "    shown = [(one.prompt_token_ids, one.chosen_token_ids) for one in rows]\n"
        "    return train_supervised(start, shown, recipe, **told)\n"
    )
    job = Job("pairs", start, pairs, {"seed": 3, "threads": 1, "probes": 4})
    here, there = both(recipe("train.method=own", f"train.trainer={own}:train"), job, tmp_path)
    assert files(here) == files(there) and "model.safetensors" in files(here)


def test_demonstrations_too(start: Path, pairs: list[Pair], tmp_path: Path) -> None:
    shown = [(pair.prompt_token_ids, pair.chosen_token_ids) for pair in pairs]
    job = Job("texts", start, shown, {"seed": 3, "threads": 1, "probes": 4})
    here, there = both(recipe("train.method=sft_chosen"), job, tmp_path)
    assert files(here) == files(there)


def test_the_report_is_the_same(start: Path, pairs: list[Pair], tmp_path: Path) -> None:
    chosen, job = recipe(), preferences(start, pairs)
    here = carry_out(chosen, job, out=tmp_path / "a", scratch=tmp_path / "a.scratch")
    there = train_launched(chosen, job, out=tmp_path / "b", scratch=tmp_path / "b.scratch")
    assert (here.digest, here.steps, here.pairs, here.metrics, here.notes) == (
        there.digest,
        there.steps,
        there.pairs,
        there.metrics,
        there.notes,
    )
    assert there.directory == tmp_path / "b"


def test_what_the_trainer_refuses_is_refused_in_its_own_words(start: Path, pairs: list[Pair], tmp_path: Path) -> None:
    other = with_reference(random_pairs(40), tiny_policy(tmp_path / "other", seed=1))
    with pytest.raises(HandOffError, match="the reference is not the policy that training starts from: pair pair-"):
        train_launched(recipe(), preferences(start, other), out=tmp_path / "out", scratch=tmp_path / "scratch")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(StoreError, match="a checkpoint is never overwritten"):
        train_launched(recipe(), preferences(start, pairs), out=tmp_path / "full", scratch=tmp_path / "scratch")


def children(parent: int) -> Iterator[int]:
    """Living descendants of a process."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, owner = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(owner) == parent and state != "Z":
                yield int(entry.name)
                yield from children(int(entry.name))


def named(pids: Iterator[int], word: str) -> list[int]:
    found = []
    for pid in pids:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if word in words:
            found.append(pid)
    return found


def test_a_killed_child_is_told_and_the_next_attempt_goes_on(start: Path, pairs: list[Pair], tmp_path: Path) -> None:
    chosen, job = recipe(), preferences(start, pairs)
    whole = carry_out(chosen, job, out=tmp_path / "whole", scratch=tmp_path / "whole.scratch")
    where = {"out": tmp_path / "out", "scratch": tmp_path / "scratch"}

    def kill(step: int, total: int, loss: float) -> None:
        if step == 5:
            (child,) = named(children(os.getpid()), str(tmp_path / "scratch" / "job.json"))[-1:]
            os.kill(child, signal.SIGKILL)

    with pytest.raises(TrainingError, match=r"ended without a report .* the same command goes on"):
        train_launched(chosen, job, **where, progress=kill)
    assert not list(children(os.getpid())) and not (tmp_path / "out").exists()
    steps: list[int] = []
    report = train_launched(chosen, job, **where, progress=lambda step, *_: steps.append(step))
    assert steps[0] > 2, "the steps that were saved are not taken again"
    assert report.digest == whole.digest and files(tmp_path / "out") == files(tmp_path / "whole")


def checkpoints(results: Path) -> list[dict[str, bytes]]:
    return [files(path) for path in sorted(results.glob("run/round-*/checkpoint"))]


def test_a_run_is_the_same_and_may_change_how_it_launches(tmp_path: Path) -> None:
    """Also: equal fingerprints, so a checkpoint that one of them made is the other's."""
    overrides = ["meta.enabled=false", "prompts.writer.share=0"]
    for launch in ("in_process", "accelerate"):
        store = Store(tmp_path / launch, share=False)
        run(load_recipe(SMOKE, [*overrides, "rounds=1", f"train.launch={launch}"]), store, "run", Progress())
    assert checkpoints(tmp_path / "in_process") == checkpoints(tmp_path / "accelerate")
    seals = [(tmp_path / one / "run/round-01/checkpoint.done.json").read_text() for one in ("in_process", "accelerate")]
    assert json.loads(seals[0])["fingerprint"] == json.loads(seals[1])["fingerprint"]
    lines = (tmp_path / "accelerate/run/journal.jsonl").read_text().splitlines()
    (noted,) = [entry for entry in map(json.loads, lines) if entry["event"] == "training memory"]
    assert noted["round"] == 1 and noted["freed_bytes"] > 0
    changed = load_recipe(SMOKE, [*overrides, "rounds=2", "train.launch=accelerate"])
    run(changed, Store(tmp_path / "in_process", share=False), "run", Progress())
    assert len(checkpoints(tmp_path / "in_process")) == 3


def test_nothing_is_left_of_a_run_that_was_killed_or_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "selfreward", "run", str(SMOKE), "train.launch=accelerate", "train.epochs=40"]
    for number, (how, code) in enumerate([(signal.SIGKILL, -9), (signal.SIGTERM, 130)]):
        results = tmp_path / str(number)
        process = subprocess.Popen([*command, "--results", str(results)], stderr=subprocess.DEVNULL)
        job = str(results / "smoke/round-01/checkpoint.scratch/job.json")
        deadline = time.monotonic() + 120
        while not (found := named(children(process.pid), job)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert found
        time.sleep(2)
        found = named(children(process.pid), job)
        os.kill(process.pid, how)
        assert process.wait(60) == code
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{pid}/exe").exists() for pid in found) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(Path(f"/proc/{pid}/exe").exists() for pid in found)


def test_a_policy_gradient_too(start: Path, tmp_path: Path) -> None:
    samples = random_samples(start, 16, temperature=0.9, reference=start)
    settings = {"seed": 3, "threads": 1, "probes": 4, "loss": {"kl": 0.1, "clip_high": None}}
    here, there = both(recipe("train.method=grpo"), Job("samples", start, samples, settings), tmp_path)
    ours, theirs = files(here), files(there)
    assert ours == theirs and "model.safetensors" in ours
