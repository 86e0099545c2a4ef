"""Preference training as a round does it: seconds a step and memory, for each lever alone."""

import dataclasses
import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gpu_parts.subject import Figure, Subject, free_memory, random_pairs
from selfreward.engines.hugging_face.engine import HuggingFaceEngine
from selfreward.engines.protocol import TokenSequence
from selfreward.engines.tensors import weights_digest
from selfreward.recipe import DpoRecipe, LoraRecipe, TransformersRecipe
from selfreward.records import Pair
from selfreward.training.output import TrainingReport
from selfreward.training.preference import train_preferences
from selfreward.training.prefix import row_length
from selfreward.training.rows import pair_length

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "shared prefixes": {"prefix_sharing": "always"},
    "gradient checkpointing": {"gradient_checkpointing": True},
    "adapter": {"lora": LoraRecipe(target_modules=("all-linear",))},
}


def training(subject: Subject) -> list[Figure]:
    pairs = referenced(subject, subject.size.pairs * subject.size.steps)
    line = subject.roofline()
    found = []
    for name, keys in WAYS.items():
        taken, peak, _ = trained(subject, pairs, subject.scratch / name.replace(" ", "-"), **keys)
        shared, frozen = keys.get("prefix_sharing") == "always", "lora" in keys
        tokens = sum(row_length(one) if shared else 2 * pair_length(one) for one in pairs) / subject.size.steps
        floor = None
        if line:
            trains = line.shape.adapter(16, 7) if frozen else line.shape.parameters
            floor = tokens / (line.train(tokens, frozen) + line.optimize(1, trains))
        found += [
            Figure(f"DPO, {name}", tokens / taken, "tokens/s", floor),
            Figure(f"DPO, {name}: pairs", subject.size.pairs / taken, "pairs/s"),
            Figure(f"DPO, {name}: memory", peak / 1e9, "GB"),
        ]
    return found


def referenced(subject: Subject, count: int) -> list[Pair]:
    """Random pairs with the log-probabilities of the policy that training starts from."""
    engine = HuggingFaceEngine(subject.model, TransformersRecipe())
    engine.load(subject.directory, weights_digest(subject.directory))
    pairs = random_pairs(subject, count, max(engine._chat.end_ids))
    texts = [
        TokenSequence(one.prompt_token_ids, ids)
        for one in pairs
        for ids in (one.chosen_token_ids, one.rejected_token_ids)
    ]
    sums = [sum(values) for values in engine.logprobs(texts)]
    engine.close()
    free_memory()
    return [
        dataclasses.replace(one, reference_chosen=chosen, reference_rejected=rejected)
        for one, chosen, rejected in zip(pairs, sums[::2], sums[1::2], strict=True)
    ]


def trained(subject: Subject, pairs: Sequence[Pair], where: Path, **keys: Any) -> tuple[float, float, TrainingReport]:
    """Median seconds of a step, the first two left out where there are more; peak bytes on the GPU; the report."""
    size, ends = subject.size, []
    recipe = DpoRecipe(
        batch_size=size.pairs,
        micro_batch_size=size.micro,
        epochs=1.0,
        learning_rate=1e-4,
        warmup_steps=1,
        save_steps=10**6,
        max_length=10**6,
        accumulate="checkpoint_precision",
        **keys,
    )
    free_memory()
    if subject.on_gpu:
        torch.cuda.reset_peak_memory_stats()
    report = train_preferences(
        subject.directory,
        pairs,
        recipe,
        model=subject.model,
        seed=0,
        reference_is_start=False,  # random tokens are unlikely: half precision moves their sums by nats
        out=where / "out",
        scratch=where / "scratch",
        progress=lambda *_: ends.append(time.perf_counter()),
    )
    peak = float(torch.cuda.max_memory_allocated()) if subject.on_gpu else 0.0
    steps = [later - earlier for earlier, later in itertools.pairwise(ends)]
    return statistics.median(steps[1:] or steps), peak, report
