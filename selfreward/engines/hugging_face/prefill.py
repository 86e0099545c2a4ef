"""Reading prompts: one forward pass over a padded batch, or two where its rows begin alike.

Heads are read first, their keys and values copied to the rows that begin with them, then the tails are read after them.
In the cache a row is [padding, head, padding, tail]: positions are given and padding is masked, so the result is that
of whole rows up to the order of sums. That holds where a layer's cache is a plain list of all keys and values: sliding
windows count padding, and recurrent states cannot be masked; such architectures read whole rows.
"""

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from selfreward.engines.hugging_face.prefixes import SharedHeads, shared_heads


class Prefilled(NamedTuple):
    """Float32 logits after each row's last token, the attention mask (rows, width), last positions, the cache."""

    logits: torch.Tensor
    mask: torch.Tensor
    position: torch.Tensor
    cache: Any


def left_padded(
    rows: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, attention mask and position ids (rows, longest row); all rows end in the last column."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad_id] * (width - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask, (mask.cumsum(-1) - 1).clamp(min=0)


def forward(model: Any, keep: int, cache: Any = None, **inputs: Any) -> Any:
    """The model's output with logits of the last `keep` positions only, where its forward can do that."""
    named = inspect.signature(type(model).forward).parameters
    if "logits_to_keep" in named:
        inputs["logits_to_keep"] = keep
    if cache is not None:
        # transformers calls it `cache` since 5.24 and takes the older name with a warning, up to 5.39.
        inputs["cache" if "cache" in named else "past_key_values"] = cache
    return model(**inputs)


def cache_of(output: Any) -> Any:
    """The keys and values in a model's output, under either of their names."""
    # Asking for the older name warns where there is the newer one.
    return output["cache"] if "cache" in output else output["past_key_values"]


def prefill(model: Any, rows: Sequence[Sequence[int]], pad_id: int, keep_cache: bool = True) -> Prefilled:
    """What the model holds after reading `rows`; without `keep_cache` only the logits are wanted."""
    shared = shared_heads(rows)
    if shared is not None and copies_caches(model):
        return _in_two(model, shared, pad_id)
    ids, mask, positions = left_padded(rows, pad_id, model.device)
    output = forward(model, 1, input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=keep_cache)
    cache = cache_of(output) if keep_cache else None
    return Prefilled(output.logits[:, -1].float(), mask, positions[:, -1], cache)


def _in_two(model: Any, shared: SharedHeads, pad_id: int) -> Prefilled:
    device = model.device
    ids, head_mask, positions = left_padded(shared.heads, pad_id, device)
    output = forward(model, 1, input_ids=ids, attention_mask=head_mask, position_ids=positions, use_cache=True)
    cache, owner = cache_of(output), torch.tensor(shared.head_of, device=device)
    cache.batch_select_indices(owner)
    ids, tail_mask, offsets = left_padded(shared.tails, pad_id, device)
    mask = torch.cat([head_mask[owner], tail_mask], -1)
    positions = head_mask.sum(-1)[owner, None] + offsets
    output = forward(model, 1, cache, input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True)
    return Prefilled(output.logits[:, -1].float(), mask, positions[:, -1], cache)


def copies_caches(model: Any) -> bool:
    """Whether every layer keeps all keys and values as they are, so that a head's can be copied to its rows."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    named = inspect.signature(type(model).forward).parameters
    if "position_ids" not in named or not {"cache", "past_key_values"} & set(named):
        return False
    layers = DynamicCache(config=model.config.get_text_config(decoder=True)).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)
