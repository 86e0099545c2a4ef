"""What lies in one device's memory at the same time, and on disk at the end.

Weights that vLLM splits over devices, and what FSDP2 spreads, count with their share of one; activations do not, except
that each process has its part of a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from selfreward.commands.plan.devices import Devices
from selfreward.commands.plan.roofline import Roofline
from selfreward.commands.plan.shapes import ModelShape
from selfreward.commands.plan.workload import Asking, simultaneous
from selfreward.commands.plan.workload_training import Training, taught_in
from selfreward.recipe import LoraRecipe, Recipe, Steps

WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}

ROW_BYTES = 12.0
"""On disk per generated token: its text and its id."""

LOGIT_TOKENS = 1024
"""Tokens whose logits the fused head holds at a time, in single precision, with their gradient."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What lies in the device's memory at the same time, in bytes."""

    name: str
    parts: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.parts.values())


def trained_parameters(recipe: Recipe, shape: ModelShape) -> int:
    return _parameters(adapter(recipe), shape)


def _parameters(lora: LoraRecipe | None, shape: ModelShape) -> int:
    if lora is None:
        return shape.parameters
    # Llama's block has seven linear layers, which is all of them (train.lora.target_modules: [all-linear]).
    named = 7 if tuple(lora.target_modules) == ("all-linear",) else len(lora.target_modules)
    return shape.adapter(lora.rank, named)


def adapter(recipe: Recipe) -> LoraRecipe | None:
    return recipe.train.lora if isinstance(recipe.train, Steps) else None


def phases(
    recipe: Recipe, line: Roofline, devices: Devices, asked: Sequence[Asking], trained: Training
) -> tuple[Phase, ...]:
    """Sampling, training and, for an adapter, merging. vLLM gives its memory away while the policy is trained."""
    shape, width = line.shape, line.width
    here = [one for one in asked if not one.server and one.reply]
    caches = recipe.engine.kind == "vllm"
    cache, batch = 0.0, 0
    for one in here:
        share = one.share if caches else 1.0
        together = line.batch(one.questions / devices.replicas, one.prompt, one.reply, share, simultaneous(recipe, one))
        held = together * (one.prompt / share + one.reply) * shape.key_value_bytes(width)
        cache, batch = max(cache, held), max(batch, together)
    work = min(line.efficiency.chunk, sum(one.prefill for one in asked)) * (4 * shape.hidden + 3 * shape.intermediate)
    sampling = {
        "weights": line.weights / devices.split,
        "key-value cache": cache / devices.split,
        "activations and logits": work * width + batch * shape.vocabulary * 4.0,
    }
    phases = [Phase("sampling and judging", sampling)]
    train, engine = recipe.train, recipe.engine
    # Both engines let go of their weights while the policy is trained, unless vLLM is told not to.
    beside = {"engine's weights": line.weights / devices.split} if engine.kind == "vllm" and not engine.sleep else {}
    if recipe.reward_model is not None:
        # All of its weights, in single precision; or an adapter's beside the frozen model's own.
        trained_here = _parameters(recipe.reward_model.lora, shape) / devices.shares
        frozen = 0.0 if recipe.reward_model.lora is None else 4.0 * shape.parameters / devices.shares
        held = frozen + 4 * trained_here
        taught = {"weights": held, "gradients": 4 * trained_here, "optimizer": 8 * trained_here, **beside}
        phases.append(Phase("training the reward model", taught))
    if train.method == "none":
        return tuple(phases)
    count, lora = trained_parameters(recipe, shape) / devices.shares, train.lora is not None
    rows = max(1, train.batch_size // devices.processes)
    micro = min(rows, train.micro_batch_size or max(n for n in range(1, min(8, rows) + 1) if rows % n == 0))
    per_token = 6 * shape.hidden + 4 * shape.intermediate + 2 * shape.head_dim * (shape.heads + shape.kv_heads)
    # Full weights are trained in single precision under autocast; a frozen model stays as it is under its adapter.
    weights = {"weights": line.weights / devices.shares, "adapter": 4 * count} if lora else {"weights": 4 * count}
    training_parts = {
        **weights,
        "gradients": 4 * count,
        "optimizer": 8 * count,
        "activations": micro * trained.row * _kept(train, shape, per_token) * float(width),
        "logits": 2.0 * LOGIT_TOKENS * shape.vocabulary * 4,
    }
    phases.append(Phase("training", {**training_parts, **beside}))
    if lora and width < 4:
        phases.append(Phase("merging the adapter", {"weights": 4.0 * shape.parameters, "adapter": 4 * count, **beside}))
    return tuple(phases)


def disk(recipe: Recipe, shape: ModelShape, asked: Sequence[Asking]) -> dict[str, float]:
    """Bytes at the end of the last round, before checkpoints that are not needed are removed."""
    width = WIDTHS[recipe.model.dtype]
    train = recipe.train
    trains = train.method != "none"
    copied = 4 if width < 4 and isinstance(train, Steps) and train.accumulate == "full_precision" else 0
    saved = 12.0 * trained_parameters(recipe, shape)  # trained weights and the optimizer's two moments
    rounds = recipe.rounds
    return {
        "checkpoints": float(
            shape.parameters * ((rounds + 1 + len(taught_in(recipe))) * width + rounds * copied * trains)
        ),
        "saved steps of training": 2 * saved * trains,
        "rows": rounds * ROW_BYTES * sum(one.decoded for one in asked),
    }


def _kept(train: Steps, shape: ModelShape, per_token: int) -> int:
    """Numbers that the backward of one token finds: of every layer, or of one and the inputs of all."""
    return shape.layers * shape.hidden + per_token if train.gradient_checkpointing else shape.layers * per_token
