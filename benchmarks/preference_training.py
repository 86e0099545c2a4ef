"""Seconds per optimizer step: shared prefixes against TRL's DPOTrainer and against plain rows, on a random Llama.

    python benchmarks/preference_training.py [--threads 1] [--repeats 5] [--pairs 4]

A long prompt (950 tokens, responses of 200), a short one (24, 60) and hardly any (6, 60). Every side trains the same
pairs in the same batches; one step of each side in turn, so that a busy machine slows all alike; a ratio is that of two
sides in the same turn, and the median and range over turns are printed. Sides:

    trl             DPOTrainer as a user writes it: its reference is a second forward of every step
    trl precompute  the same with precompute_ref_log_probs, its best flags; the reference's cost is not counted
    plain           ours, two rows per pair; the reference came with the pairs, its cost is not counted
    shared          ours, one row per pair

Beside the clock: the loss of the first step against a reference of other random weights, which must be equal. A small
model on few cores says nothing of a GPU, where an explicit mask costs the flash kernel.
"""

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from selfreward.commands.preflight_models import SANDBOX_SEEDS
from selfreward.engines.chat import load_renderer
from selfreward.recipe import DpoRecipe, ModelRecipe
from selfreward.records import Pair
from selfreward.training import saved_steps, session
from selfreward.training.preference_trainer import preference_trainer
from selfreward.training.prefix import PAYS_FROM, saving

SHAPES = {"950 : 200": (950, 200), "24 : 60": (24, 60), "6 : 60": (6, 60)}
SIDES = ("trl", "trl precompute", "plain", "shared")
MODEL = ModelRecipe(device="cpu")


def random_llama(seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    settings = LlamaConfig(
        vocab_size=16_000,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=10,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=2,
    )
    return LlamaForCausalLM(settings)


def random_pairs(count: int, prompt: int, response: int) -> list[Pair]:
    """Pairs of random tokens; response lengths vary by a fifth around `response`, prompts by a tenth."""
    source = torch.Generator().manual_seed(1)

    def tokens(length: int, spread: float) -> tuple[int, ...]:
        exact = length + int(torch.randint(-int(length * spread), int(length * spread) + 1, (1,), generator=source))
        return tuple(torch.randint(3, 16_000, (exact,), generator=source).tolist())

    return [
        Pair(
            id=f"pair-{number}",
            kind="answer",
            prompt_id=f"prompt-{number}",
            chosen_id="chosen",
            rejected_id="rejected",
            prompt_token_ids=tokens(prompt, 0.1),
            chosen_token_ids=(*tokens(response, 0.2), 2),
            rejected_token_ids=(*tokens(response, 0.2), 2),
            chosen_score=1.0,
            rejected_score=0.0,
            source="random",
            reference_chosen=0.0,
            reference_rejected=0.0,
        )
        for number in range(count)
    ]


class OnTokenIds(DPOTrainer):
    """TRL's trainer on rows that are token ids already, which it would otherwise make out of text."""

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset


def trl_side(pairs: Sequence[Pair], scratch: Path, threads: int, precompute: bool) -> DPOTrainer:
    """TRL on the same token ids, in the same order and batches."""
    recipe = DpoRecipe(batch_size=len(pairs), micro_batch_size=len(pairs), beta=0.1, nll=0.0)
    known = session.arguments(recipe, MODEL, scratch, 0, threads)
    for name in ("train_sampling_strategy", "remove_unused_columns"):
        known.pop(name)
    rows = [
        {
            "prompt_ids": list(pair.prompt_token_ids),
            "chosen_ids": list(pair.chosen_token_ids),
            "rejected_ids": list(pair.rejected_token_ids),
        }
        for pair in pairs
    ]
    settings = DPOConfig(**known, beta=0.1, precompute_ref_log_probs=precompute)
    return OnTokenIds(
        model=random_llama(),
        ref_model=random_llama(seed=1),
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer(),
    )


def our_side(pairs: Sequence[Pair], scratch: Path, threads: int, share: bool) -> DPOTrainer:
    recipe = DpoRecipe(batch_size=len(pairs), micro_batch_size=len(pairs), beta=0.1, nll=0.0)
    settings = DPOConfig(
        **session.arguments(recipe, MODEL, scratch, 0, threads),
        beta=0.1,
        precompute_ref_log_probs=True,
        router_aux_loss_coef=0.0,
    )
    callback = saved_steps.SessionCallback(None)
    return preference_trainer(random_llama(), tokenizer(), pairs, recipe, settings, callback, share=share)


def tokenizer() -> Any:
    return load_renderer(SANDBOX_SEEDS / "seed-0", False).tokenizer


def stepper(trainer: Any) -> Callable[[], tuple[float, float]]:
    """What runs one forward, backward and optimizer step of a trainer and returns seconds and loss."""
    batch = next(iter(trainer.get_train_dataloader()))
    optimizer = torch.optim.AdamW(trainer.model.parameters(), lr=1e-6)
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()

    def step() -> tuple[float, float]:
        begun = time.perf_counter()
        loss = trainer.compute_loss(trainer.model, dict(batch))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - begun, loss.item()

    return step


def with_reference(pairs: Sequence[Pair]) -> list[Pair]:
    from trl.trainer.utils import add_fused_lm_head

    from selfreward.training.rows import score

    model = random_llama(seed=1)
    add_fused_lm_head(model)
    rows = [(pair.prompt_token_ids, ids) for pair in pairs for ids in (pair.chosen_token_ids, pair.rejected_token_ids)]
    values = score(model, rows, 0)
    return [
        dataclasses.replace(pair, reference_chosen=chosen, reference_rejected=rejected)
        for pair, chosen, rejected in zip(pairs, values[::2], values[1::2], strict=True)
    ]


def ratio(of: Sequence[float], to: Sequence[float]) -> str:
    """Median and range of the ratios of one turn each."""
    values = [a / b for a, b in zip(of, to, strict=True)]
    return f"{statistics.median(values):.2f}x ({min(values):.2f} to {max(values):.2f})"


def compare(pairs: list[Pair], threads: int, repeats: int, scratch: Path) -> dict[str, list[float]]:
    pairs = with_reference(pairs)
    trainers = {
        "trl": trl_side(pairs, scratch / "a", threads, precompute=False),
        "trl precompute": trl_side(pairs, scratch / "b", threads, precompute=True),
        "plain": our_side(pairs, scratch / "c", threads, share=False),
        "shared": our_side(pairs, scratch / "d", threads, share=True),
    }
    steps = {side: stepper(trainer) for side, trainer in trainers.items()}
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    for turn in range(repeats + 1):
        for side in SIDES:
            taken, loss = steps[side]()
            if turn == 0:
                print(f"    first loss, {side:15} {loss:.6f}", flush=True)
            else:
                seconds[side].append(taken)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=4)
    options = parser.parse_args()
    session.be_quiet()
    torch.set_num_threads(options.threads)
    count = sum(parameter.numel() for parameter in random_llama().parameters())
    print(
        f"random Llama, {count / 1e6:.1f} M parameters, float32, {options.threads} thread(s), torch {torch.__version__}"
    )
    for name, (prompt, response) in SHAPES.items():
        pairs = random_pairs(options.pairs, prompt, response)
        print(f"\nprompt : response = {name}, {options.pairs} pairs a step, {saving(pairs):.0%} of the tokens shared")
        print(f"    prefix_sharing=auto would {'' if saving(pairs) >= PAYS_FROM else 'not '}share")
        with tempfile.TemporaryDirectory() as scratch:
            seconds = compare(pairs, options.threads, options.repeats, Path(scratch))
        for side in SIDES:
            print(f"    {side:15} {statistics.median(seconds[side]):8.3f} s a step")
        for baseline in ("trl", "trl precompute", "plain"):
            print(f"    shared against {baseline:15} {ratio(seconds[baseline], seconds['shared'])}")


if __name__ == "__main__":
    main()
