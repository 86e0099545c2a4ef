"""A training step's forward and backward with TRL's fused head and with `selfreward.training.head`, in turns.

    python benchmarks/training_head.py [--model DIR] [--repeats 5] [--dtype bfloat16]

One micro-batch of four pairs (prompts of about 60 tokens, answers of 30 to 80, prefix shared) on one thread, in
seconds of processor time. Without --model the weights are random, in the shape of SmolLM2-135M.
"""

import argparse
import statistics
import time
from typing import Any

import torch
from sampler import SHAPE
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from trl.trainer.utils import add_fused_lm_head

from selfreward.training import prefix
from selfreward.training.head import put_head

LENGTHS = ((60, 50, 70), (62, 40, 80), (58, 60, 80), (64, 30, 60))


class Sized:
    """A pair of random tokens."""

    def __init__(self, lengths: tuple[int, int, int]) -> None:
        drawn = [tuple(torch.randint(3, 49_000, (n,)).tolist()) for n in lengths]
        self.prompt_token_ids, self.chosen_token_ids, self.rejected_token_ids = drawn


def step(policy: Any, batch: dict[str, torch.Tensor], dtype: torch.dtype) -> float:
    """Processor seconds of one forward and backward."""
    start = time.process_time()
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        chosen, rejected = prefix.pair_logprobs(policy, batch)
    (chosen - rejected).sum().backward()
    policy.zero_grad()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", default="bfloat16")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    batch = prefix.pack([Sized(lengths) for lengths in LENGTHS], 2)  # type: ignore[misc]
    sides = []
    for put in (add_fused_lm_head, put_head):
        if given.model:
            policy: Any = AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32, local_files_only=True)
        else:
            torch.manual_seed(0)
            policy = LlamaForCausalLM(LlamaConfig(**SHAPE))
        put(policy)
        sides.append(policy)
    turns = [tuple(step(side, batch, getattr(torch, given.dtype)) for side in sides) for _ in range(given.repeats + 1)][
        1:
    ]
    ratios = sorted(fused / own for fused, own in turns)
    fused, own = (statistics.median(side) for side in zip(*turns, strict=True))
    print(
        f"{given.dtype}: TRL's head {fused:.2f} s, own {own:.2f} s a micro-batch of 4 pairs (processor time, 1 thread)"
    )
    print(f"ratio {statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}], {given.repeats} turns")


if __name__ == "__main__":
    main()
