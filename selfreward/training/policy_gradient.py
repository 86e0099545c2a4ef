"""Policy gradient on the samples of a round: what was better than its siblings becomes likelier (GRPO, RLOO).

Batched: a round's answers come from one frozen policy, and then as many steps are taken as they fill batches. With one
step a round it is on-policy; later steps are off it by how far the policy has moved since, which the clipped ratio
corrects and `clip_fraction`, `ratio_max` and `effective_samples` show. A step trains at most once on a sample for each
of `train.epochs`.

Log-probabilities are those of the sampling distribution: logits are divided by the temperature of the sampling. The old
ones come with the samples, from a teacher-forced pass in this trainer's own arithmetic (`weighing/likelihoods.py`), not
from the engine: in half precision the two differ by what would be read as a ratio. Before the first step every ratio is
1, which is checked, as ln 2 is for DPO; so under tokens_of_batch the first loss is -sum(A n) / sum(n).

Every round starts its optimiser anew, as DPO rounds do. With one step a round Adam would only see the gradient's signs:
let a round have at least 4 steps.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import Trainer, TrainingArguments, set_seed

from selfreward.engines.handoff import Probe, choose_probes
from selfreward.errors import HandOffError, TrainingError
from selfreward.recipe import ModelRecipe, Steps
from selfreward.records import Sample
from selfreward.training import full_precision, ranks, saved_steps, session
from selfreward.training.adapters import adapter_settings
from selfreward.training.head import put_head
from selfreward.training.output import TrainingReport, save_policy, shift
from selfreward.training.policy_losses import Moved, PolicyLoss, SampleBatch
from selfreward.training.rows import score, training_order
from selfreward.training.sample_rows import (
    SampleCollator,
    answer_mask,
    check_samples,
    sample_length,
    score_tokens,
    token_logprobs,
)
from selfreward.training.stepping import Stepping, of_all_ranks

TOLERANCE = {"float32": 1e-3, "float16": 5e-2, "bfloat16": 2.5e-1}
"""Largest |log ratio| of a token before the first step; batching alone moves half precision."""

CHECKED = 64
"""Samples whose ratios are looked at before the first step; all of them are of one policy, by digest."""


class PolicyGradientTrainer(Stepping, Trainer):
    """Trainer on rows {"position": i} of `samples`; the model has a fused head at the temperature of the sampling."""

    loss_is_scaled_for_ga = True

    def __init__(self, *, samples: Sequence[Sample], loss: PolicyLoss, warmup: int, **options: Any) -> None:
        self.samples, self.loss, self.warmup = samples, loss, warmup
        self.moved = Moved()
        super().__init__(**options)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        lengths = (len(self.samples[position].token_ids) for position in ranks.real_positions(batches))
        return batches, ranks.total([self.loss.denominator(lengths)])[0]

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        if return_outputs:
            raise NotImplementedError("the fused head builds no logits; ask for the loss only")
        mask = answer_mask(inputs["labels"])
        logprobs = token_logprobs(model, inputs["input_ids"], inputs["labels"])
        others = {name: inputs[name] for name in ("reference", "real") if name in inputs}
        batch = SampleBatch(logprobs, inputs["old"], mask, inputs["advantage"], **others)
        total = num_items_in_batch or self.loss.denominator(mask.sum(dim=1).int().tolist())
        loss = self.loss(batch, total)
        ids = ", ".join(self.samples[position].id for position in inputs["position"].tolist())
        session.refuse_not_finite(loss, self.state.global_step, f"samples of the batch: {ids}")
        self.moved.add(self.loss, batch)
        return of_all_ranks(loss)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """A step's log says how far its ratios are from 1. Nothing is summed up over steps, so nothing is saved."""
        if "loss" in logs:
            logs = {**logs, **self.moved.together().summary()}
            self.moved = Moved()
        super().log(logs, start_time)


def train_policy_gradient(
    start: Path,
    samples: Sequence[Sample],
    recipe: Steps,
    *,
    loss: Mapping[str, Any],
    model: ModelRecipe,
    seed: int,
    out: Path,
    scratch: Path,
    threads: int = 1,
    probes: int = 16,
    progress: saved_steps.Progress | None = None,
) -> TrainingReport:
    """Train the policy in `start` on `samples` and write it to `out`; goes on from the last whole step in `scratch`.

    `loss` are the fields of a PolicyLoss.
    """
    session.be_quiet()
    wanted = PolicyLoss(**loss)
    policy, tokenizer = session.load_start(start, model)
    check_samples(samples, session.end_tokens(start, model), recipe.max_length, reference=wanted.kl > 0)
    policy.to(session.device_name(model))
    scratch.mkdir(parents=True, exist_ok=True)
    settings = TrainingArguments(**_arguments(recipe, model, scratch, seed, threads))
    rows = [(one.prompt_token_ids, one.token_ids) for one in samples]
    # The engine's log-probabilities, with which the hand-off is verified, are at temperature 1.
    put_head(policy)
    before = score(policy, rows, tokenizer.pad_token_id)
    trainer = policy_gradient_trainer(
        policy, tokenizer, samples, recipe, wanted, settings, saved_steps.SessionCallback(progress)
    )
    session.lift(trainer.model, start, recipe, model)  # the old log-probabilities are those of the lifted weights
    _check_ratios(trainer.model, samples[:CHECKED], tokenizer.pad_token_id, model)
    final, history = session.run(trainer, start, scratch, recipe, model)
    put_head(final)
    after = score(final, rows, tokenizer.pad_token_id)
    if not all(map(math.isfinite, after)):
        raise TrainingError("the trained policy gives log-probabilities that are not finite; lower train.learning_rate")
    moved = [Probe(tuple(p), tuple(c), old, new) for (p, c), old, new in zip(rows, before, after, strict=True)]
    digest = save_policy(final, start, out, choose_probes(moved, probes))
    full_precision.land(scratch, out)
    return TrainingReport(out, digest, len(history), len(samples), _summary(history, samples, before, after))


def _arguments(recipe: Steps, model: ModelRecipe, scratch: Path, seed: int, threads: int) -> dict[str, Any]:
    found = session.arguments(recipe, model, scratch, seed, threads)
    del found["max_length"]
    return found


def policy_gradient_trainer(
    policy: Any,
    tokenizer: Any,
    samples: Sequence[Sample],
    recipe: Steps,
    loss: PolicyLoss,
    settings: TrainingArguments,
    callback: Any,
) -> PolicyGradientTrainer:
    """The trainer of `policy` on `samples`, whose data is the order in which they are trained on."""
    order = training_order(list(map(sample_length, samples)), recipe.epochs, recipe.batch_size, settings.seed)
    put_head(policy, _temperature(samples))
    if recipe.lora:
        from peft import get_peft_model

        set_seed(settings.seed)  # of the adapter's first weights
        policy = get_peft_model(policy, adapter_settings(recipe.lora))
    return PolicyGradientTrainer(
        samples=samples,
        loss=loss,
        warmup=recipe.warmup_steps,
        model=policy,
        args=settings,
        data_collator=SampleCollator(samples, tokenizer.pad_token_id),
        train_dataset=Dataset.from_dict(ranks.columns(order, settings.per_device_train_batch_size)),
        processing_class=tokenizer,
        callbacks=[callback],
    )


def _temperature(samples: Sequence[Sample]) -> float:
    (temperature, *others) = sorted({one.temperature for one in samples})
    if others:
        raise TrainingError(f"samples of temperatures {temperature} and {others[0]}; one training has one temperature")
    return temperature


def _check_ratios(policy: Any, samples: Sequence[Sample], pad_token: int, model: ModelRecipe) -> None:
    """Before the first step the policy is the one that sampled, so every ratio is 1."""
    rows = [(one.prompt_token_ids, one.token_ids) for one in samples]
    found = score_tokens(policy, rows, pad_token, getattr(torch, model.dtype))
    allowed = TOLERANCE[model.dtype]
    for one, logprobs in zip(samples, found, strict=True):
        worst = max(abs(new - old) for new, old in zip(logprobs, one.old_logprobs, strict=True))
        if not worst <= allowed:
            raise HandOffError(
                f"sample {one.id}: a token's log-probability is {worst:.4g} nats from that of the policy that sampled "
                f"it before the first step; expected at most {allowed}; make the round's samples again under the "
                "policy that training starts from"
            )


def _summary(
    history: Sequence[Mapping[str, float]],
    samples: Sequence[Sample],
    before: Sequence[float],
    after: Sequence[float],
) -> dict[str, float]:
    found = {
        "first_loss": history[0]["loss"],
        "last_loss": history[-1]["loss"],
        "grad_norm": max(step["grad_norm"] for step in history),
        "clip_fraction": sum(step["clip_fraction"] for step in history) / len(history),
        "ratio_max": max(step["ratio_max"] for step in history),
        "effective_samples": min(step["effective_samples"] for step in history),
    }
    if "kl" in history[-1]:
        found["kl"] = history[-1]["kl"]
    for name, better in (("better", True), ("worse", False)):
        side = [i for i, one in enumerate(samples) if one.advantage != 0 and (one.advantage > 0) == better]
        if side:
            found[f"{name}_logprob_shift"] = shift([before[i] for i in side], [after[i] for i in side])
    return found
