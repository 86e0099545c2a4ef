"""The sampling loop of the transformers engine: prefill once per prompt, copy its cache per reply, drop finished rows.

Why not `model.generate`: it prefills a prompt once per reply, computes finished rows to the end of the batch, keeps
every step's logits when log-probabilities are wanted, and takes sampling parameters from the model's generation_config
unless each one is overruled. Measured on the shipped seed (222 k parameters, one thread, CPU seconds, the same batches,
best of two): 3,600 replies of 9 tokens 0.7 against 2.3, 2,500 x 3 judgments of 18 tokens on prompts of about 45 tokens
4.4 against 6.7: 1.8 times as fast in all. Greedy tokens are `generate`'s.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from selfreward.engines.hugging_face.drawing import Sampler, log_probabilities
from selfreward.engines.hugging_face.prefill import cache_of, forward, left_padded, prefill
from selfreward.errors import EngineError

_DROP_FINISHED_BELOW = 0.85
"""Finished rows leave the batch when less than this share is alive: copying the cache costs about one step."""

_LOGITS_AT_ONCE = 1 << 23
"""Logits that are held in float32 at once, 32 MB."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Sampled token ids, the end-of-turn token included when `stopped`; `logprob` is their sum at temperature 1."""

    token_ids: tuple[int, ...]
    logprob: float | None
    stopped: bool


@torch.inference_mode()
def sample(
    model: Any,
    prompts: Sequence[Sequence[int]],
    copies: Sequence[int],
    sampler: Sampler,
    end_ids: Collection[int],
    pad_id: int,
    seed: int,
    sampled: Callable[[int, int], None] = lambda tokens, finished: None,
) -> list[list[Sample]]:
    """`copies[i]` replies to `prompts[i]`. The same batch on the same weights and device gives the same tokens.

    `sampled` is told after every step how many tokens were drawn and how many replies finished with them.
    """
    device = model.device
    generator = torch.Generator(device).manual_seed(seed)
    logits, mask, position, cache = prefill(model, prompts, pad_id)
    owner = torch.tensor([i for i, count in enumerate(copies) for _ in range(count)], device=device)
    if len(owner) != len(prompts):
        cache.batch_select_indices(owner)
    logits, mask, position = logits[owner], mask[owner], position[owner]
    ends = torch.tensor(sorted(end_ids), device=device)
    rows = torch.arange(len(owner), device=device)
    replies = _Replies(len(owner), sampler, pad_id, device)
    # `rows`: those in the batch, by place in the result. Finished ones wait in it until enough can leave at once.
    done = replies.stopped.clone()
    alive = len(owner)
    for step in range(sampler.max_tokens):
        _refuse_nan(logits)
        drawn = sampler.draw(logits, generator).masked_fill(done, pad_id)
        replies.add(step, rows, drawn, log_probabilities(logits, drawn) if sampler.logprobs else None, done)
        done = done | torch.isin(drawn, ends)
        replies.stopped[rows] = done
        before, alive = alive, int((~done).sum())
        last = alive == 0 or step + 1 == sampler.max_tokens
        sampled(before, before if last else before - alive)
        if last:
            break
        if alive < _DROP_FINISHED_BELOW * len(rows):
            kept = (~done).nonzero()[:, 0]
            cache.batch_select_indices(kept)
            rows, mask, position, drawn, done = rows[kept], mask[kept], position[kept], drawn[kept], done[kept]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], -1)
        position = position + 1
        output = forward(
            model,
            1,
            cache,
            input_ids=drawn[:, None],
            attention_mask=mask,
            position_ids=position[:, None],
            use_cache=True,
        )
        cache, logits = cache_of(output), output.logits[:, -1].float()
    found = iter(replies.samples())
    return [[next(found) for _ in range(count)] for count in copies]


class _Replies:
    """What was drawn so far, each reply at its place in the result."""

    def __init__(self, count: int, sampler: Sampler, pad_id: int, device: torch.device) -> None:
        self.tokens = torch.full((count, sampler.max_tokens), pad_id, device=device)
        self.logprobs = torch.zeros(self.tokens.shape, device=device) if sampler.logprobs else None
        self.lengths = torch.zeros(count, dtype=torch.int64, device=device)
        self.stopped = torch.zeros(count, dtype=torch.bool, device=device)

    def add(
        self, step: int, rows: torch.Tensor, drawn: torch.Tensor, logprobs: torch.Tensor | None, done: torch.Tensor
    ) -> None:
        """One token of each of `rows`; those that were `done` before it do not grow."""
        self.tokens[rows, step] = drawn
        if self.logprobs is not None and logprobs is not None:
            self.logprobs[rows, step] = logprobs
        self.lengths[rows] += ~done

    def samples(self) -> list[Sample]:
        lengths, tokens = self.lengths.tolist(), self.tokens.tolist()
        sums: list[float | None] = [None] * len(lengths)
        if self.logprobs is not None:
            sums = [math.fsum(row[:length]) for row, length in zip(self.logprobs.tolist(), lengths, strict=True)]
        rows = zip(tokens, lengths, sums, self.stopped.tolist(), strict=True)
        return [Sample(tuple(ids[:length]), total, stop) for ids, length, total, stop in rows]


def _refuse_nan(logits: torch.Tensor) -> None:
    # The largest of a row is NaN where any of it is, and one pass over the row is all it takes.
    if torch.isnan(logits.amax(-1)).any():
        raise EngineError("the policy's logits are NaN: its weights are broken or the dtype overflows; use another one")


@torch.inference_mode()
def completion_logprobs(
    model: Any, rows: Sequence[tuple[Sequence[int], Sequence[int]]], pad_id: int
) -> list[tuple[float, ...]]:
    """Log-probability of every completion token of (prompt, completion) rows, log-softmax in float32."""
    ids, mask, positions = left_padded([[*prompt, *completion] for prompt, completion in rows], pad_id, model.device)
    longest = max(len(completion) for _, completion in rows)
    output = forward(model, longest + 1, input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)
    # The logits of one position predict the next token, so the very last ones are not needed.
    logits, targets = output.logits[:, -longest - 1 : -1], ids[:, -longest:, None]
    # A few rows at a time: in float32 the logits of a whole batch would be gigabytes at a real vocabulary.
    few = max(1, _LOGITS_AT_ONCE // (longest * logits.shape[-1]))
    values = [
        value
        for start in range(0, len(rows), few)
        for value in torch.log_softmax(logits[start : start + few].float(), -1)
        .gather(-1, targets[start : start + few])[..., 0]
        .tolist()
    ]
    return [tuple(value[longest - len(completion) :]) for value, (_, completion) in zip(values, rows, strict=True)]
