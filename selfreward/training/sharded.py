"""Weights that are spread over ranks (FSDP2, from train.accelerate_config), put together into a plain model again.

What follows a training (merging an adapter, the float32 copy, the probes of the hand-off, the checkpoint) reads a plain
model, and saving a spread one on one rank waits for the others for ever. So a twin without memory is made before the
weights are spread, and afterwards every rank fills its own from the first rank's full state: the weights once in host
memory for each rank of a machine, in float32.

Assumes that a module's parameters have the same names spread and plain, which is how FSDP2 leaves them.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, distributed

from selfreward.training import ranks
from selfreward.training.head import put_head


def twin(model: Any) -> Any:
    """The same modules with parameters on the meta device; weights that are tied stay tied."""
    empty = {id(one): torch.nn.Parameter(torch.empty_like(one, device="meta")) for one in model.parameters()}
    return copy.deepcopy(model, dict(empty))


def filled(twin: Any, state: Mapping[str, Tensor]) -> Any:
    """The `twin` on the CPU with the weights in `state`, which only the first rank needs to have."""
    weights: dict[int, torch.nn.Parameter] = {}
    for name, parameter in twin.named_parameters():
        weight = state[name].detach().float().cpu().contiguous() if ranks.first() else torch.empty(parameter.shape)
        if ranks.world() > 1:
            distributed.broadcast(weight, 0)
        weights[id(parameter)] = torch.nn.Parameter(weight, requires_grad=parameter.requires_grad)
    for module in twin.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = weights[id(parameter)]
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else buffer.cpu()
    base = getattr(twin, "get_base_model", lambda: twin)()
    if "forward" in vars(base) and base.get_output_embeddings() is not None:
        # The head is a function of the model that it was put on; a copy of it would still compute with that one.
        del base.forward
        put_head(base)
    return twin
