"""Direct preference optimisation of a policy on pairs, with TRL's DPOTrainer (preference_trainer.py).

A pair already holds the sampled token ids, the soft label, a weight and the reference's log-probabilities, so nothing
is tokenised again and no reference model is in memory.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from trl.trainer.dpo_config import DPOConfig

from selfreward.engines.handoff import Probe, choose_probes
from selfreward.errors import HandOffError, TrainingError
from selfreward.recipe import DpoRecipe, ModelRecipe
from selfreward.records import Pair
from selfreward.training import full_precision, losses, prefix, saved_steps, session
from selfreward.training.output import TrainingReport, save_policy, shift
from selfreward.training.preference_trainer import preference_trainer
from selfreward.training.rows import check_pairs, score

TOLERANCE = {"float32": 1e-2, "float16": 2e-1, "bfloat16": 2.0}
"""Nats between policy and reference before the first step: in half precision batching alone moves a sum over some
hundred tokens. Not times beta: a small one (SPPO's .001) would hide a wrong reference, one of a loss by the token
(of 2 to 10) would take noise for it."""


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
        _check_reference(pairs, before, TOLERANCE[model.dtype])
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


def _check_reference(pairs: Sequence[Pair], before: Sequence[float], tolerance: float) -> None:
    """Where the reference is the start policy every margin is 0, so the first loss is ln 2."""
    values = torch.tensor(before, dtype=torch.float64).view(-1, 2)
    references = torch.tensor([[p.reference_chosen, p.reference_rejected] for p in pairs], dtype=torch.float64)
    apart = losses.margin(values[:, 0], values[:, 1], references[:, 0], references[:, 1], 1.0).abs()
    worst = int(apart.argmax())
    if not apart[worst] <= tolerance:
        raise HandOffError(
            f"the reference is not the policy that training starts from: pair {pairs[worst].id} has a margin of "
            f"{apart[worst]:.4g} nats before the first step; expected at most {tolerance:g}; compute the reference "
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
