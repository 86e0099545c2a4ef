"""Prefix sharing: the prompt of a pair is forwarded once (2410.20305), exactly.

    row of a pair    prompt[:-1] | prompt[-1] chosen[:-1] | prompt[-1] rejected[:-1]
    position ids     0 .. p-2    | p-1 ..                 | p-1 ..

A token sees what is left of it, except that the second branch does not see the first. The last prompt token stands at
the head of both branches, so every completion token is the next-token target of its own branch and the model's own
fused head serves unchanged; the last token of a completion is only ever a target. A row has p - 1 + |c| + |r| columns
where two plain rows have 2 p + |c| + |r|.

Assumes that the model's attention obeys a mask of its caller's and takes positions from `position_ids`. A sliding
window, a recurrent layer or ALiBi does not: `decide` refuses these by name, and compares both ways on two pairs of the
training before it trusts any other model. An explicit mask costs a GPU its flash kernel, so on CUDA the mask is a
FlexAttention block mask. That path is tested for its forward on a CPU, and on no GPU.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from selfreward.errors import TrainingError
from selfreward.records import Pair
from selfreward.training.rows import IGNORED, pad

PAYS_FROM = 0.1
"""Share of the tokens that `auto` must save. On CPU a step was 1.07 times as fast at 5 %, 1.2 at 14 %, 1.5 at 41 %."""

BLOCK = 128
"""Columns of a block of FlexAttention's mask."""

TOLERANCE = {torch.float32: 1e-3, torch.float16: 5e-2, torch.bfloat16: 2.5e-1}
"""Largest difference of one token's log-probability between both ways; batching alone moves half precision."""


def row_length(pair: Pair) -> int:
    """Columns of a pair's shared row."""
    return len(pair.prompt_token_ids) - 1 + len(pair.chosen_token_ids) + len(pair.rejected_token_ids)


def saving(pairs: Sequence[Pair]) -> float:
    """The share of the plain rows' tokens that shared rows do not forward."""
    plain = sum(row_length(pair) + len(pair.prompt_token_ids) + 1 for pair in pairs)
    return 1 - sum(map(row_length, pairs)) / plain


def packing(model: Any) -> Callable[[Sequence[Pair], int], dict[str, Tensor]]:
    """`pack`, for this model's attention: FlexAttention is compiled for a width, and there are few of them then."""
    return partial(pack, multiple=BLOCK if model.config._attn_implementation == "flex_attention" else 1)


def pack(pairs: Sequence[Pair], pad_token: int, multiple: int = 1) -> dict[str, Tensor]:
    """One row per pair: ids, positions and next-token labels [pairs, width]; branches' starts and end [pairs, 3].

    The width is that of the longest row, rounded up to a `multiple`.
    """
    width = -(-max(map(row_length, pairs)) // multiple) * multiple
    ids = torch.full((len(pairs), width), pad_token, dtype=torch.long)
    positions = torch.zeros((len(pairs), width), dtype=torch.long)
    labels = torch.full((len(pairs), width), IGNORED, dtype=torch.long)
    branches = torch.zeros((len(pairs), 3), dtype=torch.long)
    for row, pair in enumerate(pairs):
        shared = len(pair.prompt_token_ids) - 1
        ids[row, :shared] = torch.tensor(pair.prompt_token_ids[:-1], dtype=torch.long)
        positions[row, :shared] = torch.arange(shared)
        start = shared
        for side, completion in enumerate((pair.chosen_token_ids, pair.rejected_token_ids)):
            end = start + len(completion)
            ids[row, start:end] = torch.tensor([pair.prompt_token_ids[-1], *completion[:-1]])
            positions[row, start:end] = torch.arange(shared, shared + len(completion))
            labels[row, start:end] = torch.tensor(completion)
            branches[row, side] = start
            start = end
        branches[row, 2] = start
    return {"input_ids": ids, "position_ids": positions, "shift_labels": labels, "branches": branches}


def branch_mask(branches: Tensor, width: int) -> Tensor:
    """True where a query may see a key, [pairs, 1, width, width]. Padding follows all tokens, so none sees it."""
    column = torch.arange(width, device=branches.device)
    first, second = branches[:, 0, None], branches[:, 1, None]
    in_second = column >= second
    in_first = (column >= first) & (column < second)
    causal = column[:, None] >= column[None, :]
    return (causal & ~(in_second[:, :, None] & in_first[:, None, :]))[:, None]


def attention_mask(model: Any, branches: Tensor, width: int) -> Any:
    """The mask in the form that the model's attention reads. What wraps a model for several ranks has no config."""
    if getattr(model, "module", model).config._attn_implementation != "flex_attention":
        return branch_mask(branches, width)
    from torch.nn.attention.flex_attention import create_block_mask

    return create_block_mask(visible(branches), len(branches), None, width, width, device=str(branches.device))


def visible(branches: Tensor) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """`branch_mask` as FlexAttention asks for it: element by element."""

    def element(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        first, second = branches[row, 0], branches[row, 1]
        return (query >= key) & ~((query >= second) & (key >= first) & (key < second))

    return element


def pair_logprobs(model: Any, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Summed log-probability of each chosen and of each rejected completion of a packed batch."""
    branches, ids = batch["branches"], batch["input_ids"]
    out = model(
        input_ids=ids,
        attention_mask=attention_mask(model, branches, ids.shape[1]),
        position_ids=batch["position_ids"],
        shift_labels=batch["shift_labels"],
        use_cache=False,
        fused_lm_head=True,
    )
    return _by_branch(out.log_probs.float(), branches)


def _by_branch(logprobs: Tensor, branches: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over the first and the second branch; prompt and padding hold zeros."""
    second = torch.arange(logprobs.shape[1], device=logprobs.device) >= branches[:, 1, None]
    return logprobs.masked_fill(second, 0).sum(dim=1), logprobs.masked_fill(~second, 0).sum(dim=1)


def unsupported(model: Any) -> str | None:
    """Why shared rows would not be exact in this model, as far as its configuration and signature say; else None."""
    settings = model.config.get_text_config()
    if "position_ids" not in inspect.signature(type(model).forward).parameters:
        return "it takes no position_ids"
    kinds = sorted(set(getattr(settings, "layer_types", None) or ["full_attention"]) - {"full_attention"})
    if kinds:
        return f"it has {', '.join(kinds)} layers"
    if getattr(settings, "sliding_window", None) and getattr(settings, "use_sliding_window", True):
        return f"its attention has a sliding window of {settings.sliding_window}"
    if model.config._attn_implementation not in ("sdpa", "flex_attention"):
        return f"its attention is {model.config._attn_implementation!r}, not sdpa or flex_attention"
    return None


def decide(model: Any, pairs: Sequence[Pair], wanted: str, pad_token: int) -> tuple[bool, str]:
    """Whether to share prefixes, and one sentence about it. Raises TrainingError where `always` cannot be kept."""
    if wanted == "never":
        return False, ""
    saved = saving(pairs)
    if wanted == "auto" and saved < PAYS_FROM:
        return False, f"prefix sharing: off, it would save {saved:.0%} of the tokens"
    reason = unsupported(model)
    if reason is None:
        if next(model.parameters()).device.type == "cuda":
            model.set_attn_implementation("flex_attention")
        apart, allowed = disagreement(model, pairs, pad_token), TOLERANCE[model.dtype]
        if not apart <= allowed:
            model.set_attn_implementation("sdpa")
            reason = f"shared and plain rows differ by {apart:.2g} nats in a token; expected at most {allowed}"
    if reason is None:
        return True, f"prefix sharing: on, saves {saved:.0%} of the tokens"
    if wanted == "always":
        raise TrainingError(f"train.prefix_sharing=always cannot serve this model: {reason}; set it to auto or never")
    return False, f"prefix sharing: off, this model cannot be served: {reason}"


@torch.no_grad()
def disagreement(model: Any, pairs: Sequence[Pair], pad_token: int) -> float:
    """Largest difference of a token's log-probability between shared and plain rows of the two shortest pairs."""
    sample = sorted(pairs, key=lambda pair: (row_length(pair), pair.id))[:2]
    device = next(model.parameters()).device
    batch = {name: tensor.to(device) for name, tensor in packing(model)(sample, pad_token).items()}
    mask = attention_mask(model, batch["branches"], batch["input_ids"].shape[1])
    ids, positions = batch["input_ids"], batch["position_ids"]
    logits = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False).logits
    shared = logits.float().log_softmax(-1).gather(-1, batch["shift_labels"].clamp(min=0)[..., None])[..., 0]
    worst = 0.0
    for row, pair in enumerate(sample):
        for side, completion in enumerate((pair.chosen_token_ids, pair.rejected_token_ids)):
            ids, labels = (tensor.to(device) for tensor in pad([(pair.prompt_token_ids, completion)], pad_token))
            plain = model(input_ids=ids, use_cache=False).logits[:, :-1].float().log_softmax(-1)
            plain = plain.gather(-1, labels[:, 1:].clamp(min=0)[..., None])[0, -len(completion) :, 0]
            start = int(batch["branches"][row, side])
            worst = max(worst, (shared[row, start : start + len(completion)] - plain).abs().max().item())
    return worst
