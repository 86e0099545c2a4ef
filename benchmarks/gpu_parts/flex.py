"""FlexAttention under shared prefixes, forward and backward: is it the dense mask's, how fast, how often compiled."""

from typing import Any

import torch

from gpu_parts.subject import Figure, Subject, UnableError, free_memory, random_pairs, timed
from selfreward.training import prefix, session
from selfreward.training.head import put_head


def flex(subject: Subject) -> list[Figure]:
    if not subject.on_gpu:
        raise UnableError("a CPU has no backward of FlexAttention")
    policy, tokenizer = session.load_start(subject.directory, subject.model)
    policy.to(subject.device).float()
    put_head(policy)
    size = subject.size
    pairs = random_pairs(subject, size.micro * size.steps, tokenizer.eos_token_id)
    batches = [pairs[start : start + size.micro] for start in range(0, len(pairs), size.micro)]
    found, gradients = [], {}
    for way in ("sdpa", "flex_attention"):
        policy.set_attn_implementation(way)
        gradients[way] = _gradient(subject, policy, batches[0], tokenizer.pad_token_id)
        compiled = _compilations()
        with timed(subject) as taken:
            for batch in batches:
                _gradient(subject, policy, batch, tokenizer.pad_token_id)
        found.append(Figure(f"{way}: forward and backward", len(pairs) / taken[0], "pairs/s"))
        if way != "sdpa":
            found.append(Figure(f"{way}: compiled again over {len(batches)} batches", _compilations() - compiled, ""))
        free_memory()
    apart = (gradients["flex_attention"] - gradients["sdpa"]).norm() / gradients["sdpa"].norm()
    return [*found, Figure("gradients apart, relative", apart.item(), "")]


def _gradient(subject: Subject, policy: Any, batch: list[Any], pad: int) -> torch.Tensor:
    """The gradient of a margin with respect to the last layer's weights."""
    packed = {name: tensor.to(subject.device) for name, tensor in prefix.packing(policy)(batch, pad).items()}
    half = subject.model.dtype != "float32"
    with torch.autocast("cuda", getattr(torch, subject.model.dtype), enabled=half):
        chosen, rejected = prefix.pair_logprobs(policy, packed)
    (chosen - rejected).sum().backward()
    last = policy.model.layers[-1].mlp.down_proj.weight.grad.clone()
    policy.zero_grad()
    return last


def _compilations() -> int:
    from torch._dynamo.utils import counters

    return sum(counters["stats"].values())
