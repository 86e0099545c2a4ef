"""The training argument that computes activations twice to save memory: what the installed transformers calls it.

TRL switches it on by default. Before transformers 5.20 it has its older name, and vLLM 0.32's CPU build wants those.
"""

import dataclasses

from transformers.training_args import TrainingArguments

RECOMPUTATION = next(
    name
    for name in ("activation_checkpointing", "gradient_checkpointing")
    if any(field.name == name for field in dataclasses.fields(TrainingArguments))
)
