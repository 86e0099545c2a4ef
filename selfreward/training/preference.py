"""Direct preference optimisation of a policy on pairs, with TRL's DPOTrainer.

A pair already holds the sampled token ids, the soft label, a weight and the reference's log-probabilities, so nothing
is tokenised again and no reference model is in memory. What TRL would take from its own options and silently ignore
here is refused.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from selfreward.engines.handoff import Probe, choose_probes
from selfreward.errors import HandOffError, RecipeError, TrainingError
from selfreward.recipe import DpoRecipe, ModelRecipe
from selfreward.records import Pair
from selfreward.training import full_precision, losses, prefix, saved_steps, session
from selfreward.training.adapters import adapter_settings
from selfreward.training.head import put_head
from selfreward.training.output import TrainingReport, save_policy, shift
from selfreward.training.rows import (
    PairCollator,
    check_pairs,
    completion_logprobs,
    pair_length,
    score,
    side_by_side,
    too_long,
    training_order,
)

__all__ = ["PreferenceTrainer", "too_long", "train_preferences"]

TOLERANCE = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 2e-1}
"""Largest |margin| before the first step; in half precision batching alone moves a sum over some hundred tokens."""

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


class PreferenceTrainer(DPOTrainer):
    """DPOTrainer on rows {"position": i} of `pairs`; the loss is `loss` plus `nll` times `mean_token_nll`."""

    # The loss is divided by the pairs of the whole batch here, not by the number of micro-batches afterwards.
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
        return batches, sum(len(batch["label"]) for batch in batches)

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
        margins = self.loss.margin(batch).detach()
        right = ((margins > 0) == (label >= 0.5)) & (margins != 0)
        # TRL averages what its micro-batches append; scaled so that the average is the batch's own.
        share = self.current_gradient_accumulation_steps / total
        self._metrics["train"]["margin"].append(margins.sum().item() * share)
        self._metrics["train"]["accuracy"].append(right.sum().item() * share)
        return loss

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        return session.schedule(self, num_training_steps, self.warmup)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        session.save_step(self, output_dir)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """A saved step is no model to publish."""

    def _send_telemetry(self) -> None:
        """Nothing is sent."""


def train_preferences(
    start: Path,
    pairs: Sequence[Pair],
    recipe: DpoRecipe,
    *,
    model: ModelRecipe,
    seed: int,
    reference_is_start: bool,
    out: Path,
    scratch: Path,
    threads: int = 1,
    probes: int = 16,
    progress: saved_steps.Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> TrainingReport:
    """Train the policy in `start` on `pairs` and write it to `out`; goes on from the last whole step in `scratch`.

    `say` is told in a sentence what a person should know about the way taken; the report's notes keep it.
    """
    session.be_quiet()
    policy, tokenizer = session.load_start(start, model)
    reads = recipe.loss.READS
    check_pairs(pairs, session.end_tokens(start, model), recipe.max_length, reads)
    policy.to(session.device_name(model))
    share, note = prefix.decide(policy, pairs, recipe.prefix_sharing, tokenizer.pad_token_id)
    if note and say:
        say(note)
    scratch.mkdir(parents=True, exist_ok=True)
    settings = DPOConfig(
        **session.arguments(recipe, model, scratch, seed, threads),
        beta=recipe.beta,
        precompute_ref_log_probs=True,
        router_aux_loss_coef=0.0,
        disable_dropout=False,
    )
    callback = saved_steps.SessionCallback(progress)
    trainer = preference_trainer(policy, tokenizer, pairs, recipe, settings, callback, share=share)
    rows = [(pair.prompt_token_ids, ids) for pair in pairs for ids in (pair.chosen_token_ids, pair.rejected_token_ids)]
    before = score(trainer.model, rows, tokenizer.pad_token_id)
    if reference_is_start and "reference" in reads:
        _check_reference(pairs, before, recipe.beta, TOLERANCE[model.dtype])
    final, history = session.run(trainer, start, scratch, recipe, model)
    after = score(final, rows, tokenizer.pad_token_id)
    if not all(map(math.isfinite, after)):
        raise TrainingError("the trained policy gives log-probabilities that are not finite; lower train.learning_rate")
    moved = [Probe(tuple(p), tuple(c), old, new) for (p, c), old, new in zip(rows, before, after, strict=True)]
    digest = save_policy(final, start, out, choose_probes(moved, probes))
    full_precision.land(scratch, out)
    metrics = _summary(history) | {
        "chosen_logprob_shift": shift(before[::2], after[::2]),
        "rejected_logprob_shift": shift(before[1::2], after[1::2]),
    }
    return TrainingReport(out, digest, len(history), len(pairs), metrics, (note,) if note else ())


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
        data_collator=PairCollator(pairs, tokenizer.pad_token_id, prefix.pack if share else side_by_side),
        train_dataset=Dataset.from_dict({"position": order}),
        processing_class=tokenizer,
        callbacks=[callback],
        peft_config=adapter_settings(recipe.lora) if recipe.lora else None,
    )


def _check_reference(pairs: Sequence[Pair], before: Sequence[float], beta: float, tolerance: float) -> None:
    """Where the reference is the start policy every margin is 0, so the first loss is ln 2."""
    values = torch.tensor(before, dtype=torch.float64).view(-1, 2)
    references = torch.tensor([[p.reference_chosen, p.reference_rejected] for p in pairs], dtype=torch.float64)
    # A tiny beta (SPPO's is 0.001) must not hide a wrong reference.
    margins = losses.margin(values[:, 0], values[:, 1], references[:, 0], references[:, 1], max(beta, 0.1)).abs()
    worst = int(margins.argmax())
    if not margins[worst] <= tolerance:
        raise HandOffError(
            f"the reference is not the policy that training starts from: pair {pairs[worst].id} has a margin of "
            f"{margins[worst]:.4g} before the first step; expected at most {tolerance}; compute the reference "
            "log-probabilities under the start policy, or name the reference in train.reference"
        )


def _summary(history: Sequence[dict[str, float]]) -> dict[str, float]:
    quarter = history[-math.ceil(len(history) / 4) :]
    return {
        "first_loss": history[0]["loss"],
        "last_loss": history[-1]["loss"],
        "accuracy": sum(step["accuracy"] for step in quarter) / len(quarter),
        "margin": sum(step["margin"] for step in quarter) / len(quarter),
        "grad_norm": max(step["grad_norm"] for step in history),
    }
