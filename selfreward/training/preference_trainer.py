"""TRL's DPOTrainer on pairs that bring their tokens, labels, weights and reference log-probabilities.

What TRL would take from its own options and silently ignore here is refused.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from selfreward.errors import RecipeError
from selfreward.recipe import DpoRecipe
from selfreward.records import Pair
from selfreward.training import losses, prefix, ranks, session
from selfreward.training.adapters import adapter_settings
from selfreward.training.head import put_head
from selfreward.training.rows import (
    PairCollator,
    completion_logprobs,
    pair_length,
    side_by_side,
    training_order,
)
from selfreward.training.stepping import Stepping, of_all_ranks

_EXPECTED: dict[str, Any] = {
    "loss_type": ["sigmoid"],
    "loss_weights": None,
    "label_smoothing": 0.0,
    "ld_alpha": None,
    "f_divergence_type": "reverse_kl",
    "use_weighting": False,
    "sync_ref_model": False,
    "padding_free": False,
    "max_length": None,
    "precompute_ref_log_probs": True,
    "router_aux_loss_coef": 0.0,
}
"""Options of TRL that this trainer does not read, with the only value that is true of what it does."""

_COLUMNS = tuple(field.name for field in dataclasses.fields(losses.PairBatch))[2:]


class PreferenceTrainer(Stepping, DPOTrainer):
    """DPOTrainer on rows {"position": i} of `pairs`; the loss is `loss` plus `nll` times `mean_token_nll`."""

    loss_is_scaled_for_ga = True

    def __init__(
        self, *, pairs: Sequence[Pair], loss: losses.Loss, nll: float, warmup: int, args: DPOConfig, **options: Any
    ) -> None:
        for name, value in _EXPECTED.items():
            if getattr(args, name) != value:
                raise RecipeError(
                    f"DPOConfig.{name} is {getattr(args, name)!r}; expected {value!r}: it would be ignored, because "
                    "labels, weights and references come with the pairs"
                )
        self.pairs, self.loss, self.nll, self.warmup = pairs, loss, nll, warmup
        super().__init__(args=args, **options)
        put_head(getattr(self.model, "get_base_model", lambda: self.model)())

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def _precompute_ref_logps(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        return batches, int(ranks.total([len(ranks.real_positions(batches))])[0])

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        if return_outputs:
            raise NotImplementedError("the fused head builds no logits; ask for the loss only")
        label, weight = inputs["label"], inputs["weight"]
        total = num_items_in_batch or len(label)
        if "branches" in inputs:
            chosen, rejected = prefix.pair_logprobs(model, inputs)
        else:
            chosen, rejected = completion_logprobs(model, inputs["input_ids"], inputs["labels"]).chunk(2)
        batch = losses.PairBatch(chosen, rejected, **{name: inputs[name] for name in _COLUMNS if name in inputs})
        per_pair = self.loss(batch)
        if self.nll:
            per_pair = per_pair + self.nll * losses.mean_token_nll(chosen, inputs["chosen_tokens"])
        loss = losses.batch_mean(per_pair, weight, total)
        ids = ", ".join(self.pairs[position].id for position in inputs["position"].tolist())
        session.refuse_not_finite(loss, self.state.global_step, f"pairs of the batch: {ids}")
        margins = self.loss.margin(batch).detach() * inputs.get("real", 1)
        right = ((margins > 0) == (label >= 0.5)) & (margins != 0)
        # TRL averages what its micro-batches append; scaled so that the average is the batch's own.
        share = self.current_gradient_accumulation_steps / total
        self._metrics["train"]["margin"].append(margins.sum().item() * share)
        self._metrics["train"]["accuracy"].append(right.sum().item() * share)
        return of_all_ranks(loss)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """A step's margin and accuracy are those of its whole batch: the sums of what each rank found."""
        found = self._metrics["train"]
        for name in ("margin", "accuracy") if ranks.world() > 1 and "loss" in logs else ():
            found[name] = ranks.total([sum(found[name]) / len(found[name])])
        super().log(logs, start_time)


def preference_trainer(
    policy: Any,
    tokenizer: Any,
    pairs: Sequence[Pair],
    recipe: DpoRecipe,
    settings: DPOConfig,
    callback: Any,
    *,
    share: bool = False,
) -> PreferenceTrainer:
    """The trainer of `policy` on `pairs`, whose data is the order in which the pairs are trained on."""
    lengths = [prefix.row_length(pair) if share else pair_length(pair) for pair in pairs]
    order = training_order(lengths, recipe.epochs, recipe.batch_size, settings.seed)
    return PreferenceTrainer(
        pairs=pairs,
        loss=losses.loss_of(recipe.loss, recipe.beta),
        nll=recipe.nll,
        warmup=recipe.warmup_steps,
        model=policy,
        args=settings,
        data_collator=PairCollator(pairs, tokenizer.pad_token_id, prefix.packing(policy) if share else side_by_side),
        train_dataset=Dataset.from_dict(ranks.columns(order, settings.per_device_train_batch_size)),
        processing_class=tokenizer,
        callbacks=[callback],
        peft_config=adapter_settings(recipe.lora) if recipe.lora else None,
    )
