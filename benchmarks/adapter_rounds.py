"""What rounds of LoRA lose by merging into bfloat16 every time, on a sandbox seed: weights and log-probabilities.

    python benchmarks/adapter_rounds.py [--rounds 5] [--learning-rates 1e-3 4e-3] [--pairs 240] [--threads 1]

The pairs are one round's own pairs of the seed; every round trains on a different part of them, from the round before.
Three trainings from one start: a policy in float32, and one in bfloat16 with each value of `train.accumulate`. Per
round, against what the float32 copy of the full-precision training holds (its exact sum of updates U since the start):

    arrived   share of U that is in the served bfloat16 weights: <W - W0, U> / <U, U>
    merged    the same updates, added one by one and rounded to bfloat16 each time, which is all that differs
    nats      mean |log-probability of a completion - that under the exact sum| over the pairs' answers

and for the whole trainings, which also differ by what they see on the way: the chosen - rejected margin they reach.

One run on one thread, 240 pairs of seed-0, 48 a round (2026-11): after five rounds at 1e-3 the served weights hold
53 % of the update with the copy and 27 % merged every round, at 4e-3 96 % and 75 %; float32 reaches margins of .087 and
.374 nats, the copy .053 and .362, merging .026 and .294. So the copy loses nothing for good, but what is served still
lags behind where a round moves less than half of bfloat16's spacing: raise the learning rate, or train in float32.
"""

import argparse
import dataclasses
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from trl.trainer.utils import add_fused_lm_head

from selfreward.commands.preflight_models import SANDBOX_SEEDS
from selfreward.commands.run import run
from selfreward.engines.checkpoints import FULL_PRECISION
from selfreward.progress import Progress
from selfreward.recipe import DpoRecipe, LoraRecipe, ModelRecipe, TrainRecipe
from selfreward.recipe.read import load_recipe
from selfreward.records import Pair
from selfreward.store.results import Store
from selfreward.training import session
from selfreward.training.preference import train_preferences
from selfreward.training.rows import score

Weights = Mapping[str, torch.Tensor]


def sandbox_pairs(root: Path, count: int) -> list[Pair]:
    """Pairs that the seed makes of its own answers and judgments."""
    overrides = ["rounds=1", "train.method=none", f"prompts.per_round={2 * count}", "measure.frozen=0"]
    overrides += [f"measure.{pool}=4" for pool in ("gate", "selection", "report")] + ["measure.samples=2"]
    recipe = load_recipe(Path(__file__).parent.parent / "recipes" / "sandbox.yaml", overrides)
    path = run(recipe, Store(root), "pairs", Progress(style="silent"))
    pairs = Store(root).existing(str(path)).read(1, "pairs", Pair)
    return [dataclasses.replace(pair, label=1.0, weight=1.0) for pair in pairs[:count]]


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return {name: tensor.float() for name, tensor in load_file(directory / "model.safetensors").items()}


def logprobs(directory: Path, pairs: Sequence[Pair], model: ModelRecipe, held: Weights | None = None) -> list[float]:
    """Of every completion, by the policy in `directory`, with `held` in place of its weights."""
    policy, tokenizer = session.load_start(directory, model)
    if held is not None:
        with torch.no_grad():
            for name, parameter in policy.named_parameters():
                parameter.copy_(held[name])
    add_fused_lm_head(policy)
    rows = [(pair.prompt_token_ids, ids) for pair in pairs for ids in (pair.chosen_token_ids, pair.rejected_token_ids)]
    return score(policy, rows, tokenizer.pad_token_id)


def rounds(
    start: Path, where: Path, pairs: list[Pair], model: ModelRecipe, recipe: TrainRecipe, count: int
) -> list[Path]:
    """The checkpoints of `count` rounds, each trained from the one before, which is its reference."""
    current, found = start, []
    for number in range(count):
        part = pairs[number::count]
        values = logprobs(current, part, model)
        referred = [
            dataclasses.replace(pair, reference_chosen=chosen, reference_rejected=rejected)
            for pair, chosen, rejected in zip(part, values[::2], values[1::2], strict=True)
        ]
        out = where / f"round-{number + 1}"
        report = train_preferences(
            current,
            referred,
            recipe,
            model=model,
            seed=number,
            reference_is_start=True,
            out=out / "out",
            scratch=out / "scratch",
        )
        current = report.directory
        found.append(current)
    return found


def arrived(start: Weights, after: Weights, exact: Weights) -> float:
    update = {name: exact[name] - start[name] for name in start}
    along = sum(float(((after[name] - start[name]) * update[name]).sum()) for name in start)
    return along / sum(float((update[name] ** 2).sum()) for name in start)


def rounded(tensors: Weights) -> dict[str, torch.Tensor]:
    return {name: tensor.bfloat16().float() for name, tensor in tensors.items()}


def mean_gap(values: Sequence[float], exact: Sequence[float]) -> float:
    return sum(abs(a - b) for a, b in zip(values, exact, strict=True)) / len(exact)


def margin(values: Sequence[float], start: Sequence[float]) -> float:
    moved = [a - b for a, b in zip(values, start, strict=True)]
    return sum(moved[::2]) / len(moved[::2]) - sum(moved[1::2]) / len(moved[1::2])


def report(root: Path, start: Path, pairs: list[Pair], learning_rate: float, count: int) -> None:
    recipe = DpoRecipe(learning_rate=learning_rate, nll=0.0, lora=LoraRecipe(rank=8, alpha=16), max_length=512)
    half, single = ModelRecipe(device="cpu", dtype="bfloat16"), ModelRecipe(device="cpu")
    kept = rounds(start, root / "kept", pairs, half, recipe, count)
    rounding = dataclasses.replace(recipe, accumulate="checkpoint_precision")
    lost = rounds(start, root / "lost", pairs, half, rounding, count)
    full = rounds(start, root / "full", pairs, single, recipe, count)
    first = weights(start)
    before, merged = first, first
    print(f"\nlearning rate {learning_rate:g}, LoRA rank 8, alpha 16, {len(pairs) // count} pairs a round")
    print("    round   arrived  merged    nats  merged   margin: float32  full_precision  checkpoint_precision")
    at_start = logprobs(start, pairs, single)
    for number in range(count):
        exact = weights(kept[number] / FULL_PRECISION)
        merged = rounded({name: merged[name] + exact[name] - before[name] for name in exact})
        before = exact
        summed = logprobs(start, pairs, single, exact)
        served = rounded(exact)
        gaps = [mean_gap(logprobs(start, pairs, single, held), summed) for held in (served, merged)]
        margins = [margin(logprobs(way[number], pairs, single), at_start) for way in (full, kept, lost)]
        print(
            f"    {number + 1:5}   {arrived(first, served, exact):7.3f} {arrived(first, merged, exact):7.3f}"
            f" {gaps[0]:7.4f} {gaps[1]:7.4f}   {margins[0]:15.3f} {margins[1]:15.3f} {margins[2]:21.3f}",
            flush=True,
        )


def half_precision_start(root: Path, seed: str) -> Path:
    """The seed rounded to bfloat16, so that all three trainings start from the same numbers."""
    directory = root / "start"
    shutil.copytree(SANDBOX_SEEDS / seed, directory)
    tensors: dict[str, Any] = load_file(directory / "model.safetensors")
    save_file(rounded(tensors), directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[1e-3, 4e-3])
    parser.add_argument("--pairs", type=int, default=240)
    parser.add_argument("--seed", default="seed-0")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    session.be_quiet()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        pairs = sandbox_pairs(root / "results", options.pairs)
        start = half_precision_start(root, options.seed)
        print(f"sandbox {options.seed}, {len(pairs)} of its own pairs, bfloat16, {options.rounds} rounds")
        for learning_rate in options.learning_rates:
            report(root / f"{learning_rate:g}", start, pairs, learning_rate, options.rounds)


if __name__ == "__main__":
    main()
