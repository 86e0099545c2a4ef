"""LoRA (Hu et al. 2021, 2106.09685): W + (alpha / rank) B A, trained on the round's policy and merged into it.

B starts at zero, so the first step sees the start policy. The next round starts from merged weights: what was learned
accumulates, and the reference is never silently the base model. Only weights that exist in the checkpoint change.
"""

from typing import Any

import torch

from selfreward.config import LoraRecipe


def adapter_settings(recipe: LoraRecipe) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=list(recipe.target_modules),
        task_type="CAUSAL_LM",
    )


def merged(model: Any, dtype: torch.dtype) -> Any:
    """The plain model that computes what `model` computes: added in float32, then cast to the checkpoint's dtype."""
    return model.float().merge_and_unload().to(dtype)
