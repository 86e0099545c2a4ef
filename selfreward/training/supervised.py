"""Supervised fine-tuning on demonstrations, with TRL's SFTTrainer: the control that spends steps without preferences.

The loss is the mean over completion tokens of the batch; prompts are never trained on. Rows are token ids already.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from selfreward.engines.handoff import Probe, choose_probes
from selfreward.errors import TrainingError
from selfreward.recipe import ModelRecipe, Steps
from selfreward.training import full_precision, saved_steps, session
from selfreward.training.adapters import adapter_settings
from selfreward.training.output import TrainingReport, save_policy, shift
from selfreward.training.rows import IGNORED, TokenIds, score, training_order


class SupervisedTrainer(SFTTrainer):
    """SFTTrainer with our schedule, on rows that are token ids and labels."""

    def __init__(self, *, warmup: int, **options: Any) -> None:
        self.warmup = warmup
        super().__init__(**options)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        session.refuse_not_finite(loss, self.state.global_step, "one of the demonstrations of this step")
        return loss

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        return session.schedule(self, num_training_steps, self.warmup)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        session.save_step(self, output_dir)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """A saved step is no model to publish."""

    def _send_telemetry(self) -> None:
        """Nothing is sent."""


def train_supervised(
    start: Path,
    examples: Sequence[tuple[TokenIds, TokenIds]],
    recipe: Steps,
    *,
    model: ModelRecipe,
    seed: int,
    out: Path,
    scratch: Path,
    threads: int = 1,
    probes: int = 16,
    steps: int | None = None,
    progress: saved_steps.Progress | None = None,
) -> TrainingReport:
    """Train the policy in `start` on (prompt, completion) token ids; goes on from the last whole step in `scratch`.

    `steps` asks for that many optimizer steps instead of `train.epochs` passes, so that the control can spend exactly
    what a preference training spent.
    """
    session.be_quiet()
    policy, tokenizer = session.load_start(start, model)
    _check(examples, session.end_tokens(start, model), recipe.max_length)
    epochs = recipe.epochs if steps is None else steps * recipe.batch_size / len(examples)
    lengths = [len(prompt) + len(completion) for prompt, completion in examples]
    order = training_order(lengths, epochs, recipe.batch_size, seed)
    scratch.mkdir(parents=True, exist_ok=True)
    rows = [
        {"input_ids": [*prompt, *completion], "labels": [IGNORED] * len(prompt) + list(completion)}
        for prompt, completion in (examples[position] for position in order)
    ]
    trainer = SupervisedTrainer(
        warmup=recipe.warmup_steps,
        model=policy,
        args=SFTConfig(
            **session.arguments(recipe, model, scratch, seed, threads),
            packing=False,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[saved_steps.SessionCallback(progress)],
        peft_config=adapter_settings(recipe.lora) if recipe.lora else None,
    )
    before = score(trainer.model, examples, tokenizer.pad_token_id)
    final, history = session.run(trainer, start, scratch, recipe, model)
    after = score(final, examples, tokenizer.pad_token_id)
    if not all(map(math.isfinite, after)):
        raise TrainingError("the trained policy gives log-probabilities that are not finite; lower train.learning_rate")
    moved = [Probe(tuple(p), tuple(c), old, new) for (p, c), old, new in zip(examples, before, after, strict=True)]
    digest = save_policy(final, start, out, choose_probes(moved, probes))
    full_precision.land(scratch, out)
    metrics = {
        "first_loss": history[0]["loss"],
        "last_loss": history[-1]["loss"],
        "grad_norm": max(step["grad_norm"] for step in history),
        "chosen_logprob_shift": shift(before, after),
    }
    return TrainingReport(out, digest, len(history), len(examples), metrics)


def _check(examples: Sequence[tuple[TokenIds, TokenIds]], end_tokens: set[int], max_length: int) -> None:
    if not examples:
        raise TrainingError("no demonstration to train on; raise train.sft_examples")
    for number, (prompt, completion) in enumerate(examples):
        if not prompt or not completion or completion[-1] not in end_tokens:
            raise TrainingError(
                f"demonstration {number}: expected a prompt and a completion that ends with the end-of-turn token "
                f"({', '.join(map(str, sorted(end_tokens)))})"
            )
        if len(prompt) + len(completion) > max_length:
            raise TrainingError(
                f"demonstration {number}: {len(prompt) + len(completion)} tokens; train.max_length is {max_length}"
            )
