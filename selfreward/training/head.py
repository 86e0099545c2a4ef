"""The head that gives log-probabilities of the answers' tokens instead of logits, put on a policy before training.

    policy(input_ids=..., labels=..., fused_lm_head=True).log_probs     [rows, columns], 0 where no label stands

TRL's fused head never holds all logits: right on a GPU, and for float32 rows of any size. On a CPU in half precision
it costs as much as the rest of the model: it scores the prompt's tokens too, and its backward multiplies in float32,
which a CPU does at a fourth of its bfloat16 rate. There the model's own head is asked for the labelled columns only
(`logits_to_keep`), and their logits are held while they fit in `LARGEST`. Measured by `benchmarks/training_head.py`.
"""

import inspect
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from trl.trainer.utils import FusedCausalLMOutput, add_fused_lm_head

from selfreward.training.rows import IGNORED

LARGEST = 1 << 27
"""Most logits held at once; with their float32 copies and gradients about 14 bytes each, 1.9 GB in all."""


def put_head(policy: Any, temperature: float = 1.0) -> None:
    """Let `policy` give log-probabilities at `temperature`. Before an adapter is put around it."""
    add_fused_lm_head(policy, temperature=temperature)
    if "logits_to_keep" not in inspect.signature(type(policy).forward).parameters:
        return
    fused = policy.forward
    entries = policy.get_output_embeddings().weight.shape[0]

    def forward(
        self: Any, *args: Any, fused_lm_head: bool = False, labels: Any = None, shift_labels: Any = None, **options: Any
    ) -> Any:
        targets = shift_labels if labels is None else pad(labels[:, 1:], (0, 1), value=IGNORED)
        if not fused_lm_head or not _half_on_cpu(self) or targets is None:
            return fused(*args, fused_lm_head=fused_lm_head, labels=labels, shift_labels=shift_labels, **options)
        columns = (targets != IGNORED).any(0).nonzero()[:, 0]
        if columns.numel() * targets.shape[0] * entries > LARGEST:
            return fused(*args, fused_lm_head=True, labels=labels, shift_labels=shift_labels, **options)
        logits = fused(*args, **options, logits_to_keep=columns).logits
        values = _of_targets(logits, targets[:, columns], temperature)
        found = values.new_zeros(targets.shape).index_copy(1, columns, values)
        return FusedCausalLMOutput(log_probs=found if labels is None else found[:, :-1])

    policy.forward = MethodType(forward, policy)


def _half_on_cpu(policy: Any) -> bool:
    weight = next(policy.parameters())
    return weight.device.type == "cpu" and (torch.is_autocast_enabled("cpu") or weight.dtype != torch.float32)


def _of_targets(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """The targets' log-probabilities, 0 where there is none, both [rows, columns]."""
    scaled = logits.float() / temperature if temperature != 1 else logits.float()
    values = scaled.log_softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    return values.masked_fill(targets == IGNORED, 0)
