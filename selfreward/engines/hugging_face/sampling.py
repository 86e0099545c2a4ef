"""The sampling loop of the transformers engine: prefill once per prompt, copy its cache per reply, drop finished rows.

Why not `model.generate`: it prefills a prompt once per reply, computes finished rows to the end of the batch, keeps
every step's logits when log-probabilities are wanted, and takes sampling parameters from the model's generation_config
unless each one is overruled. Measured on the shipped seed (222 k parameters, one thread, CPU seconds, the same batches,
best of two): 3,600 replies of 9 tokens 0.7 against 2.3, 2,500 x 3 judgments of 18 tokens on prompts of about 45 tokens
4.4 against 6.7: 1.8 times as fast in all. Greedy tokens are `generate`'s.
"""

import inspect
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from selfreward.errors import EngineError

_DROP_FINISHED_BELOW = 0.85
"""Finished rows leave the batch when less than this share is alive: copying the cache costs about one step."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Sampled token ids, the end-of-turn token included when `stopped`; `logprob` is their sum at temperature 1."""

    token_ids: tuple[int, ...]
    logprob: float
    stopped: bool


@dataclass(frozen=True, slots=True)
class Sampler:
    """Sampling parameters of one batch. Temperature 0 takes the likeliest token."""

    temperature: float
    top_p: float
    max_tokens: int

    def draw(self, logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """One token id per row of float32 `logits` (rows, vocabulary)."""
        if self.temperature == 0:
            return logits.argmax(-1)
        probabilities = torch.softmax(logits / self.temperature, -1)
        if self.top_p < 1:
            ranked, order = probabilities.sort(dim=-1, descending=True)
            # A token is out when those before it already hold top_p: the likeliest one always stays.
            ranked[ranked.cumsum(-1) - ranked >= self.top_p] = 0
            probabilities = torch.zeros_like(probabilities).scatter_(-1, order, ranked)
        return torch.multinomial(probabilities, 1, generator=generator)[:, 0]


def left_padded(
    rows: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, attention mask and position ids (rows, longest row); all rows end in the last column."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad_id] * (width - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask, (mask.cumsum(-1) - 1).clamp(min=0)


def forward(model: Any, keep: int, **inputs: Any) -> Any:
    """The model's output with logits of the last `keep` positions only, where its forward can do that."""
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        inputs["logits_to_keep"] = keep
    return model(**inputs)


@torch.inference_mode()
def sample(
    model: Any,
    prompts: Sequence[Sequence[int]],
    copies: Sequence[int],
    sampler: Sampler,
    end_ids: Collection[int],
    pad_id: int,
    seed: int,
) -> list[list[Sample]]:
    """`copies[i]` replies to `prompts[i]`. The same batch on the same weights and device gives the same tokens."""
    device = model.device
    generator = torch.Generator(device).manual_seed(seed)
    ids, mask, positions = left_padded(prompts, pad_id, device)
    output = forward(model, 1, input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True)
    owner = torch.tensor([i for i, count in enumerate(copies) for _ in range(count)], device=device)
    cache, logits = output.past_key_values, output.logits[:, -1].float()
    if len(owner) != len(prompts):
        cache.batch_select_indices(owner)
    logits, mask, position = logits[owner], mask[owner], positions[owner, -1]
    ends = torch.tensor(sorted(end_ids), device=device)
    rows = torch.arange(len(owner), device=device)
    tokens = torch.full((len(owner), sampler.max_tokens), pad_id, device=device)
    logprobs = torch.zeros(tokens.shape, device=device)
    lengths = torch.zeros_like(rows)
    stopped = torch.zeros(len(owner), dtype=torch.bool, device=device)
    # `rows`: those in the batch, by place in the result. Finished ones wait in it until enough can leave at once.
    done = stopped.clone()
    for step in range(sampler.max_tokens):
        _refuse_nan(logits)
        drawn = sampler.draw(logits, generator).masked_fill(done, pad_id)
        logprob = torch.log_softmax(logits, -1).gather(-1, drawn[:, None])[:, 0]
        tokens[rows, step] = drawn
        logprobs[rows, step] = logprob
        lengths[rows] += ~done
        done = done | torch.isin(drawn, ends)
        stopped[rows] = done
        alive = int((~done).sum())
        if alive == 0 or step + 1 == sampler.max_tokens:
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
            input_ids=drawn[:, None],
            attention_mask=mask,
            position_ids=position[:, None],
            past_key_values=cache,
            use_cache=True,
        )
        logits = output.logits[:, -1].float()
    drawn_rows = [
        Sample(tuple(ids[:length]), math.fsum(values[:length]), stop)
        for ids, length, values, stop in zip(
            tokens.tolist(), lengths.tolist(), logprobs.tolist(), stopped.tolist(), strict=True
        )
    ]
    replies = iter(drawn_rows)
    return [[next(replies) for _ in range(count)] for count in copies]


def _refuse_nan(logits: torch.Tensor) -> None:
    if torch.isnan(logits).any():
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
    logits = output.logits[:, -longest - 1 : -1].float()
    values = torch.log_softmax(logits, -1).gather(-1, ids[:, -longest:, None])[..., 0].tolist()
    return [tuple(value[longest - len(completion) :]) for value, (_, completion) in zip(values, rows, strict=True)]
