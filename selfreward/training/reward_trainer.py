"""A reward model is trained: the policy's weights, a scalar head of zeros, and the loss of `reward_rows.py`.

All weights are trained, in float32, and written in the policy's dtype. What it has learnt is measured by whoever holds
answers of other prompts (measuring/metrics/judge/reward_model.py); the training itself looks at none.
"""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import Trainer, TrainingArguments, set_seed

from selfreward.engines.hugging_face.reward_model import build_scorer, rewards_at
from selfreward.engines.tensors import weights_digest
from selfreward.errors import TrainingError
from selfreward.recipe import ModelRecipe, RewardModelRecipe, Steps
from selfreward.records import Pair
from selfreward.training import ranks, saved_steps, session
from selfreward.training.adapters import adapter_settings
from selfreward.training.curriculum import staged_order
from selfreward.training.output import OF_THE_WEIGHTS, SETTINGS, TrainingReport
from selfreward.training.reward_rows import (
    Group,
    GroupCollator,
    confidence_at,
    groups_of,
    preference_loss,
    with_confidence,
)
from selfreward.training.stepping import Stepping, of_all_ranks

_PADDING = 0
"""Any token will do: nothing that is read sees padding."""


class RewardTrainer(Stepping, Trainer):
    """Trainer on rows {"position": i} of `groups`."""

    loss_is_scaled_for_ga = True

    def __init__(self, *, groups: Sequence[Group], recipe: RewardModelRecipe, **options: Any) -> None:
        self.groups, self.recipe, self.warmup = groups, recipe, recipe.warmup_steps
        super().__init__(**options)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        return batches, int(ranks.total([len(ranks.real_positions(batches))])[0])

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        if return_outputs:
            raise NotImplementedError("a reward model is asked by RewardModel; ask for the loss only")
        rewards = model(inputs["input_ids"], inputs["last"])
        pairs = rewards[inputs["first"]], rewards[inputs["second"]]
        label, recipe = inputs["label"], self.recipe
        if recipe.confidence:
            step, steps = self.state.global_step, self.state.max_steps
            share = confidence_at(step, steps, recipe.confidence, recipe.confidence_ramp)
            label = with_confidence(*pairs, label, share)
        loss = preference_loss(*pairs, label, inputs["weight"], recipe.centre)
        loss = loss / (num_items_in_batch or len(inputs["position"]))
        names = ", ".join(self.groups[position].prompt_id for position in inputs["position"].tolist())
        session.refuse_not_finite(loss, self.state.global_step, f"prompts of the batch: {names}")
        return of_all_ranks(loss)


def train_reward_model(
    start: Path,
    pairs: Sequence[Pair],
    recipe: RewardModelRecipe,
    *,
    model: ModelRecipe,
    seed: int,
    out: Path,
    scratch: Path,
    threads: int = 1,
    progress: saved_steps.Progress | None = None,
) -> TrainingReport:
    """Train a head and the backbone in `start` on `pairs`, and write both to `out`; goes on from `scratch`."""
    session.be_quiet()
    groups = groups_of(pairs)
    if not groups:
        raise TrainingError(
            "no preference is left to train the reward model on: all answers to a prompt are equally good, or too "
            "long; raise reward_model.prompts or generate.samples, or look at reward_judgments.jsonl"
        )
    scorer = build_scorer(start, model, head=False)
    session.without_dropout(scorer)
    if recipe.lora:
        from peft import get_peft_model

        set_seed(seed)  # of the adapter's first weights
        scorer = get_peft_model(scorer.float(), adapter_settings(recipe.lora, "SEQ_CLS"))
    scorer.to(session.device_name(model))
    scorer.forward = MethodType(_in_float32, scorer)
    steps = _steps(recipe)
    settings = session.arguments(steps, model, scratch, seed, threads)
    del settings["max_length"]
    scratch.mkdir(parents=True, exist_ok=True)
    order = staged_order(groups, recipe, seed)
    trainer = RewardTrainer(
        groups=groups,
        recipe=recipe,
        model=scorer,
        args=TrainingArguments(**settings),
        data_collator=GroupCollator(groups, _PADDING),
        train_dataset=Dataset.from_dict(ranks.columns(order, settings["per_device_train_batch_size"])),
        callbacks=[saved_steps.SessionCallback(progress)],
    )
    final, history = session.run(trainer, start, scratch, steps, model)
    if not all(math.isfinite(step["loss"]) for step in history):
        raise TrainingError("the reward model's loss is not finite; lower reward_model.learning_rate")
    metrics = {"first_loss": history[0]["loss"], "last_loss": history[-1]["loss"]}
    metrics["grad_norm"] = max(step["grad_norm"] for step in history)
    return TrainingReport(out, _save(final, start, out), len(history), len(pairs), metrics)


def _in_float32(scorer: Any, ids: Tensor, last: Tensor) -> Tensor:
    """A forward, because what wraps a model for several ranks sees no other call; autocast would come with it."""
    with torch.autocast(ids.device.type, enabled=False):
        plain = getattr(scorer, "get_base_model", lambda: scorer)()
        rewards: Tensor = rewards_at(plain, ids, last)
    return rewards


def _steps(recipe: RewardModelRecipe) -> Steps:
    return Steps(
        max_length=recipe.max_length,
        learning_rate=recipe.learning_rate,
        batch_size=recipe.batch_size,
        micro_batch_size=recipe.micro_batch_size,
        epochs=recipe.epochs,
        warmup_steps=recipe.warmup_steps,
        save_steps=recipe.save_steps,
        lora=recipe.lora,
        accumulate="checkpoint_precision",
    )


def _save(scorer: Any, start: Path, out: Path) -> str:
    """The weights with their own configuration, the tokenizer and chat template of `start`."""
    if not ranks.first():
        return ""
    with session.writing(out):
        scorer.save_pretrained(out)
    for path in sorted(path for pattern in SETTINGS for path in start.glob(pattern)):
        if path.name not in (*OF_THE_WEIGHTS, "config.json") and not path.name.endswith(".index.json"):
            shutil.copyfile(path, out / path.name)
    return weights_digest(out)
