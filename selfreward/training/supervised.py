"""Supervised fine-tuning on demonstrations, with TRL's SFTTrainer: the control that spends steps without preferences.

The loss is the mean over completion tokens of the batch; prompts are never trained on, nor is a vocabulary scored for
them (head.py): a judge's lesson is a question of 450 tokens and a verdict of 5. Rows are token ids already.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from selfreward.engines.handoff import Probe, choose_probes
from selfreward.errors import TrainingError
from selfreward.recipe import ModelRecipe, Steps
from selfreward.training import full_precision, ranks, saved_steps, session
from selfreward.training.adapters import adapter_settings
from selfreward.training.head import put_head
from selfreward.training.output import TrainingReport, save_policy, shift
from selfreward.training.rows import IGNORED, TokenIds, score, training_order
from selfreward.training.stepping import Stepping, of_all_ranks


class SupervisedTrainer(Stepping, SFTTrainer):
    """SFTTrainer with our schedule, on rows that are token ids and labels."""

    # The loss is divided by the labelled tokens of the whole batch here.
    loss_is_scaled_for_ga = True  # type: ignore[assignment]  # TRL has None there

    def __init__(self, *, warmup: int, **options: Any) -> None:
        self.warmup = warmup
        super().__init__(**options)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        if return_outputs:
            raise NotImplementedError("fine-tuning has no outputs beside its loss; ask for the loss only")
        found = model(**inputs, fused_lm_head=True).log_probs
        loss = -found.sum() / (num_items_in_batch or (inputs["labels"][:, 1:] != IGNORED).sum())
        session.refuse_not_finite(loss, self.state.global_step, "one of the demonstrations of this step")
        return of_all_ranks(loss)


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
    rows = [_labelled(*examples[position]) for position in order]
    settings = SFTConfig(
        **session.arguments(recipe, model, scratch, seed, threads),
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    last = rows[-1]["input_ids"]
    filler = {"input_ids": last, "labels": [IGNORED] * len(last)}
    rows += [filler] * ranks.fillers(len(rows), settings.per_device_train_batch_size)
    put_head(policy)
    trainer = SupervisedTrainer(
        warmup=recipe.warmup_steps,
        model=policy,
        args=settings,
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


def _labelled(prompt: TokenIds, completion: TokenIds) -> dict[str, list[int]]:
    return {"input_ids": [*prompt, *completion], "labels": [IGNORED] * len(prompt) + list(completion)}


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
