"""What drawing a token costs beside the model that gives its logits, at a real vocabulary: the old draw and the new.

    python benchmarks/sampler.py [--model DIR] [--rows 128] [--repeats 7] [--dtype float32]

A decode step of `rows` replies with a prompt of 64 tokens each, on one thread, in seconds of processor time (so other
processes count little). Without --model the weights are random, in the shape of SmolLM2-135M (vocabulary 49,152), and
its logits are spread until they are about as sure as that model's. Both draws see the same logits and take turns. The
old one is a full sort and `multinomial`. The log-probability is counted for both.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from selfreward.engines.hugging_face.drawing import Sampler, log_probabilities
from selfreward.engines.hugging_face.prefill import forward, prefill

SHAPE = {
    "vocab_size": 49_152,
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "tie_word_embeddings": True,
}
ENTROPY = 2.0
"""Nats that a random model's logits are spread to; SmolLM2-135M-Instruct has 1 to 2 in the middle of an answer."""

SETTINGS = ((1.0, 1.0), (0.8, 0.95), (0.7, 0.9), (1.0, 0.9))


def old_draw(logits: torch.Tensor, sampler: Sampler, generator: torch.Generator) -> torch.Tensor:
    """As it was until version 2 of the engine."""
    probabilities = torch.softmax(logits / sampler.temperature, -1)
    if sampler.top_p < 1:
        ranked, order = probabilities.sort(dim=-1, descending=True)
        ranked[ranked.cumsum(-1) - ranked >= sampler.top_p] = 0
        probabilities = torch.zeros_like(probabilities).scatter_(-1, order, ranked)
    drawn = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    torch.log_softmax(logits, -1).gather(-1, drawn[:, None])
    return drawn


def new_draw(logits: torch.Tensor, sampler: Sampler, generator: torch.Generator) -> torch.Tensor:
    drawn = sampler.draw(logits, generator)
    log_probabilities(logits, drawn)
    return drawn


def spread(logits: torch.Tensor) -> torch.Tensor:
    """Logits times the factor that gives rows a mean entropy of `ENTROPY`, by bisection."""
    low, high = 0.0, 1e4
    for _ in range(60):
        factor = (low + high) / 2
        shares = torch.log_softmax(logits * factor, -1)
        entropy = float(-(shares.exp() * shares).sum(-1).mean())
        low, high = (factor, high) if entropy > ENTROPY else (low, factor)
    return logits * low


def seconds(work: Callable[[], Any]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


@torch.inference_mode()
def measure(model: Any, rows: int, repeats: int, random_weights: bool) -> None:
    chance = torch.Generator().manual_seed(0)
    size = int(model.config.vocab_size)
    prompts = torch.randint(4, size, (rows, 64), generator=chance)
    held = prefill(model, prompts.tolist(), 0)
    mask = torch.cat([held.mask, held.mask.new_ones(rows, 1)], -1)
    logits = spread(held.logits) if random_weights else held.logits

    def step() -> None:
        forward(
            model,
            1,
            held.cache,
            input_ids=prompts[:, :1],
            attention_mask=mask,
            position_ids=held.position[:, None] + 1,
            use_cache=True,
        ).logits[:, -1].float()
        held.cache.crop(-1)

    samplers = [Sampler(*setting, max_tokens=1) for setting in SETTINGS]
    found: dict[tuple[str, Sampler | None], list[float]] = {}
    for _ in range(repeats):
        found.setdefault(("forward", None), []).append(seconds(step))
        for sampler in samplers:
            for name, draw in (("old", old_draw), ("new", new_draw)):
                taken = seconds(lambda draw=draw, sampler=sampler: draw(logits, sampler, chance))  # type: ignore[misc]
                found.setdefault((name, sampler), []).append(taken)
    passes = found["forward", None]
    print(f"forward pass of one step: {_spread(passes)} s; {rows} rows, vocabulary {size:,}, {model.dtype}")
    for sampler in samplers:
        for name in ("old", "new"):
            shares = [one / pass_ for one, pass_ in zip(found[name, sampler], passes, strict=True)]
            setting = f"temperature {sampler.temperature}, top_p {sampler.top_p:4}: {name}"
            print(f"{setting} {_spread(found[name, sampler])} s, {_spread(shares)} of the forward pass")


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} [{min(values):.3f}, {max(values):.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a model directory instead of random weights")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if chosen.model:
        model = AutoModelForCausalLM.from_pretrained(chosen.model, local_files_only=True)
    else:
        model = LlamaForCausalLM(LlamaConfig(**SHAPE))
    model = model.to(getattr(torch, chosen.dtype)).eval()
    measure(model, chosen.rows, chosen.repeats, random_weights=not chosen.model)


if __name__ == "__main__":
    main()
