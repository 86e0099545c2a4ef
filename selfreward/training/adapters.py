"""LoRA (Hu et al. 2021, 2106.09685): W + (alpha / rank) B A, trained on the round's policy and merged into it.

B starts at zero, so the first step sees the start policy. The next round starts from merged weights: what was learned
accumulates, and the reference is never silently the base model. Only weights that exist in the checkpoint change.
What a half-precision policy is merged in is `full_precision.py`'s question.
"""

from typing import Any, Literal

from selfreward.recipe import LoraRecipe

ALL_LINEAR = "all-linear"
"""As the only target: every linear layer but the output head, by PEFT's own rule."""


def adapter_settings(recipe: LoraRecipe, task: Literal["CAUSAL_LM", "SEQ_CLS"] = "CAUSAL_LM") -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=ALL_LINEAR if tuple(recipe.target_modules) == (ALL_LINEAR,) else list(recipe.target_modules),
        task_type=task,
        # A reward model's head is no adapter's business: it starts at zero and is trained whole.
        modules_to_save=["score"] if task == "SEQ_CLS" else None,
    )


def merged(model: Any) -> Any:
    """The plain model that computes what a float32 `model` computes."""
    return model.merge_and_unload()
