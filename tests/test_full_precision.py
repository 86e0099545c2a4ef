"""Rounds of a half-precision policy add up in float32, and nothing else of them changes."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_keys import HARDLY_MEASURED
from training_factory import END_TOKEN, SHORT, random_pairs, tiny_policy
from trl.trainer.utils import add_fused_lm_head

from selfreward.commands.export import export
from selfreward.commands.run import run
from selfreward.engines.checkpoints import FULL_PRECISION
from selfreward.engines.tensors import weights_digest
from selfreward.errors import HandOffError
from selfreward.progress import Progress
from selfreward.recipe import LoraRecipe, ModelRecipe, TrainRecipe
from selfreward.recipe.read import load_recipe
from selfreward.records import Pair
from selfreward.store.results import Store
from selfreward.training import session
from selfreward.training.preference import train_preferences
from selfreward.training.rows import score
from selfreward.training.supervised import train_supervised

HALF = ModelRecipe(device="cpu", dtype="bfloat16")
SMALL_STEPS = dataclasses.replace(SHORT, learning_rate=2e-5, warmup_steps=0, epochs=1.0, nll=0.0)
ADAPTER = dataclasses.replace(SMALL_STEPS, learning_rate=2e-4, lora=LoraRecipe(rank=4, alpha=4))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny policy in bfloat16, as a model on disk would be."""
    return half(tiny_policy(tmp_path_factory.mktemp("policy")))


def half(directory: Path) -> Path:
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(directory / "model.safetensors").items()}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def referred(pairs: list[Pair], directory: Path) -> list[Pair]:
    model, tokenizer = session.load_start(directory, HALF)
    add_fused_lm_head(model)
    rows = [(pair.prompt_token_ids, ids) for pair in pairs for ids in (pair.chosen_token_ids, pair.rejected_token_ids)]
    values = score(model, rows, tokenizer.pad_token_id)
    return [
        dataclasses.replace(pair, reference_chosen=chosen, reference_rejected=rejected)
        for pair, chosen, rejected in zip(pairs, values[::2], values[1::2], strict=True)
    ]


def rounds(start: Path, where: Path, recipe: TrainRecipe, count: int, **changes: Any) -> list[Path]:
    """The checkpoints of `count` rounds on fixed pairs, each from the one before."""
    pairs, current, found = random_pairs(16), start, []
    for number in range(count):
        out = where / f"round-{number}"
        report = train_preferences(
            current,
            referred(pairs, current),
            dataclasses.replace(recipe, **changes),
            model=HALF,
            seed=number,
            reference_is_start=True,
            out=out / "out",
            scratch=out / "scratch",
        )
        current = report.directory
        found.append(current)
    return found


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return {name: tensor.float() for name, tensor in load_file(directory / "model.safetensors").items()}


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> float:
    """Share of the weights that are not what they were."""
    return sum(int((after[n] != before[n]).sum()) for n in before) / sum(t.numel() for t in before.values())


@pytest.mark.parametrize("recipe", [SMALL_STEPS, ADAPTER], ids=["full", "adapter"])
def test_small_updates_of_several_rounds_add_up_and_are_lost_without_the_copy(start, tmp_path, recipe):
    kept = rounds(start, tmp_path / "kept", recipe, 3)
    lost = rounds(start, tmp_path / "lost", recipe, 3, accumulate="checkpoint_precision")
    copies = [weights(directory / FULL_PRECISION) for directory in kept]
    for directory, copy in zip(kept, copies, strict=True):
        written = load_file(directory / "model.safetensors")
        assert {tensor.dtype for tensor in written.values()} == {torch.bfloat16}
        assert all(torch.equal(copy[name].bfloat16(), written[name]) for name in written)
    assert not any((directory / FULL_PRECISION).exists() for directory in lost)
    first, last = weights(start), copies[-1]
    # What each round added, rounded to the checkpoint every time, as merging into half precision would.
    merged = dict(first)
    for before, after in zip([first, *copies[:-1]], copies, strict=True):
        merged = {name: (merged[name] + after[name] - before[name]).bfloat16().float() for name in merged}

    def arrived(after: dict[str, torch.Tensor]) -> float:
        """Share of the summed update that is in the weights: its projection on what the copy moved."""
        update = {name: last[name] - first[name] for name in first}
        along = sum(float(((after[name] - first[name]) * update[name]).sum()) for name in first)
        return along / sum(float((update[name] ** 2).sum()) for name in first)

    shares = [arrived(weights(directory)) for directory in kept]
    assert shares == sorted(shares)
    assert shares[-1] > 1.2 * arrived(merged)
    assert moved(first, weights(kept[-1])) > moved(first, weights(lost[-1]))


def test_the_first_round_reads_what_it_would_read_without_a_copy(start, tmp_path):
    """The copy changes what rounds add up in, not the forward of a round: one round from one start is the same."""
    kept = rounds(start, tmp_path / "kept", ADAPTER, 1)[0]
    lost = rounds(start, tmp_path / "lost", ADAPTER, 1, accumulate="checkpoint_precision")[0]
    assert weights_digest(kept) == weights_digest(lost)


class StoppedHereError(Exception):
    """Stands for a process that ends between two steps."""


@pytest.mark.parametrize("recipe", [SMALL_STEPS, ADAPTER], ids=["full", "adapter"])
def test_a_second_round_that_was_cut_ends_with_the_same_copy(start, tmp_path, recipe):
    first, whole = rounds(start, tmp_path / "whole", recipe, 2)
    options: dict[str, Any] = {"model": HALF, "seed": 1, "reference_is_start": True, "out": tmp_path / "out"}
    pairs = referred(random_pairs(16), first)

    def stop(step: int, *_: object) -> None:
        if step == 2:
            raise StoppedHereError

    small = dataclasses.replace(recipe, save_steps=1)
    with pytest.raises(StoppedHereError):
        train_preferences(first, pairs, small, scratch=tmp_path / "scratch", progress=stop, **options)
    train_preferences(first, pairs, small, scratch=tmp_path / "scratch", **options)
    for folder in (".", FULL_PRECISION):
        assert weights_digest(tmp_path / "out" / folder) == weights_digest(whole / folder)


def test_a_float32_policy_is_its_own_copy(tmp_path):
    directory = tiny_policy(tmp_path / "start")
    examples = [((5, 6, 7), (20, 21, END_TOKEN))] * 4
    report = train_supervised(
        directory, examples, SHORT, model=ModelRecipe(device="cpu"), seed=0, out=tmp_path / "o", scratch=tmp_path / "s"
    )
    assert not (report.directory / FULL_PRECISION).exists()


def test_supervised_training_keeps_the_copy_too(start, tmp_path):
    examples = [((5, 6, 7), (20, 21, END_TOKEN)), ((8, 9), (22, END_TOKEN))] * 4
    report = train_supervised(
        start, examples, SHORT, model=HALF, seed=0, out=tmp_path / "out", scratch=tmp_path / "scratch"
    )
    copy, written = weights(report.directory / FULL_PRECISION), load_file(report.directory / "model.safetensors")
    assert all(torch.equal(copy[name].bfloat16(), written[name]) for name in written)
    assert any(not torch.equal(copy[name], written[name].float()) for name in written)


@pytest.mark.parametrize("recipe", [SMALL_STEPS, ADAPTER], ids=["full", "adapter"])
def test_a_checkpoint_that_was_changed_beside_its_copy_is_refused(start, tmp_path, recipe):
    changed = rounds(start, tmp_path, recipe, 1)[0]
    tensors = load_file(changed / "model.safetensors")
    name = min(tensors)
    tensors[name] = tensors[name] * 2
    save_file(tensors, changed / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(HandOffError, match=f"{name}.*does not round to the checkpoint"):
        rounds(changed, tmp_path / "next", recipe, 1)


def test_a_run_in_half_precision_carries_its_copies_and_exports_without_them(tmp_path):
    recipe = load_recipe(
        Path(__file__).parent.parent / "recipes" / "smoke.yaml",
        ["model.dtype=bfloat16", "rounds=2", "meta.enabled=false", "handoff.noise=0.3", *HARDLY_MEASURED],
    )
    store = Store(tmp_path / "results")
    path = run(recipe, store, "half", Progress(style="silent"))
    seals = [json.loads((path / f"round-0{n}" / "checkpoint.done.json").read_text()) for n in (1, 2)]
    assert FULL_PRECISION not in seals[0]["made_from"]
    assert seals[1]["made_from"][FULL_PRECISION] == weights_digest(path / "round-01" / "checkpoint" / FULL_PRECISION)
    export(store.existing("half"), 2, tmp_path / "exported")
    assert not (tmp_path / "exported" / FULL_PRECISION).exists()
    assert weights_digest(tmp_path / "exported") == seals[1]["facts"]["digest"]


@pytest.mark.slow
def test_a_finished_run_in_half_precision_goes_on_after_its_copies_were_removed(tmp_path):
    told = ["model.dtype=bfloat16", "meta.enabled=false", "handoff.noise=0.3", "keep.checkpoints=needed"]
    told += ["prompts.per_round=8", "measure.every=9"]
    smoke, store = Path(__file__).parent.parent / "recipes" / "smoke.yaml", Store(tmp_path / "results")
    path = run(load_recipe(smoke, [*told, "rounds=2"]), store, "half", Progress(style="silent"))
    first = (path / "round-01" / "checkpoint.done.json").read_text()
    run(load_recipe(smoke, [*told, "rounds=3"]), store, "half", Progress(style="silent"))
    assert json.loads((path / "round-01" / "checkpoint.done.json").read_text())["pruned"]
    assert not list((path / "round-01" / "checkpoint").rglob("*.safetensors"))
    ends = [(path / f"round-0{n}" / "checkpoint.done.json").read_text() for n in (2, 3)]
    run(load_recipe(smoke, [*told, "rounds=3"]), store, "half", Progress(style="silent"))
    assert [(path / f"round-0{n}" / "checkpoint.done.json").read_text() for n in (2, 3)] == ends
    assert json.loads(first)["digest"] == json.loads((path / "round-01" / "checkpoint.done.json").read_text())["digest"]
