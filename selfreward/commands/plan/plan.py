"""What a recipe will cost on a device: tokens and hours per stage, memory per phase, disk. Nothing is loaded.

Hours come from the roofline (roofline.py) of the workload (workload.py), with and without a prefix cache. After a run,
`compare` sets the plan beside what the seals say was taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from selfreward.commands.plan.roofline import Device, Efficiency, Roofline
from selfreward.commands.plan.shapes import ModelShape
from selfreward.commands.plan.workload import (
    Asking,
    Lengths,
    Training,
    comparing,
    generating,
    judging,
    measuring,
    taught_in,
    teaching,
    teaching_training,
    training,
)
from selfreward.recipe import REWARD_MODEL, LoraRecipe, PolicyGradient, Recipe, Steps, measured_rounds
from selfreward.store.artifacts import whole_of
from selfreward.store.view import RunView

WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
ROW_BYTES = 12.0
"""On disk per generated token: its text and its id."""

LOGIT_TOKENS = 1024
"""Tokens whose logits the fused head holds at a time, in single precision, with their gradient."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the recipe does not say. `adaptive_share`: of its cap, what adaptive judging uses."""

    lengths: Lengths
    efficiency: Efficiency = field(default_factory=Efficiency)
    adaptive_share: float = 0.6


@dataclass(frozen=True, slots=True)
class Cost:
    """One stage of one round: tokens, and seconds without and with a prefix cache. `price` is a server's."""

    stage: str
    artifact: str
    questions: float
    prefill: float
    unique: float
    decoded: float
    seconds: float
    cached: float
    price: float = 0.0
    server: str = ""


@dataclass(frozen=True, slots=True)
class Phase:
    """What lies in the device's memory at the same time, in bytes."""

    name: str
    parts: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """`made`: the stages that make a round's policy; `measured`: those that measure one policy; `taught`: those that
    train a reward model, where there is one.
    """

    recipe: Recipe
    shape: ModelShape
    device: Device
    assumptions: Assumptions
    made: tuple[Cost, ...]
    measured: tuple[Cost, ...]
    phases: tuple[Phase, ...]
    disk: dict[str, float]
    taught: tuple[Cost, ...] = ()

    def round_seconds(self, cache: bool) -> float:
        """One round without its measurement."""
        return sum(cost.cached if cache else cost.seconds for cost in self.made)

    def seconds(self, cache: bool) -> float:
        """The whole run; the start policy is measured too."""
        measured = sum(cost.cached if cache else cost.seconds for cost in self.measured)
        made = self.recipe.rounds * self.round_seconds(cache) + len(measured_rounds(self.recipe)) * measured
        taught = sum(cost.cached if cache else cost.seconds for cost in self.taught)
        return made + len(taught_in(self.recipe)) * taught

    @property
    def caches(self) -> bool:
        """Whether the recipe's engine has a prefix cache."""
        return self.recipe.engine.kind == "vllm"


def plan(recipe: Recipe, shape: ModelShape, device: Device, assumptions: Assumptions) -> Plan:
    """The plan of a recipe for a model of `shape` on one `device`."""
    line = Roofline(shape, device, assumptions.efficiency, WIDTHS[recipe.model.dtype])
    lengths = assumptions.lengths
    asked = [
        *generating(recipe, lengths),
        *judging(recipe, lengths, assumptions.adaptive_share),
        *comparing(recipe, lengths),
    ]
    trained = training(recipe, lengths)
    measured = measuring(recipe, lengths)
    scored = 3 * recipe.measure.report * recipe.measure.samples * (lengths.prompt + lengths.response)
    forward = line.forward(scored)
    return Plan(
        recipe=recipe,
        shape=shape,
        device=device,
        assumptions=assumptions,
        made=(*(_cost(recipe, line, one) for one in asked), *_training_costs(recipe, line, trained)),
        measured=(
            *(_cost(recipe, line, one) for one in measured),
            Cost("measure: likelihoods", "likelihoods", 0, scored, scored, 0, forward, forward),
        ),
        phases=_phases(recipe, line, asked, trained),
        disk=_disk(recipe, shape, [*asked, *measured]),
        taught=_teaching_costs(recipe, line, lengths),
    )


def simultaneous(recipe: Recipe, one: Asking) -> float:
    """The most sequences that the recipe's engine decodes at the same time."""
    if recipe.engine.kind == "vllm":
        return recipe.engine.max_num_seqs or 1024
    return max(1.0, recipe.engine.batch_tokens // (one.prompt + one.reply))


def _cost(recipe: Recipe, line: Roofline, one: Asking) -> Cost:
    tokens = one.questions, one.prefill, one.unique, one.decoded
    if one.server:
        server = recipe.served[one.server]
        price = (one.prefill * server.price_in + one.decoded * server.price_out) / 1e6
        return Cost(one.stage, one.artifact, *tokens, 0.0, 0.0, price, one.server)
    most = simultaneous(recipe, one)
    seconds, cached = (
        line.prefill(prefill, one.prompt) + line.decode(one.questions, one.prompt, one.reply, share, most)
        for prefill, share in ((one.prefill, 1.0), (one.unique, one.share))
    )
    return Cost(one.stage, one.artifact, *tokens, seconds, cached)


def _training_costs(recipe: Recipe, line: Roofline, trained: Training) -> list[Cost]:
    reference = line.forward(trained.reference)
    tokens = trained.tokens * trained.epochs
    seconds = line.train(tokens, frozen=_adapter(recipe) is not None)
    seconds += line.optimize(trained.steps, trained_parameters(recipe, line.shape))
    made = "sample_likelihoods_policy" if isinstance(recipe.train, PolicyGradient) else "pairs"
    return [
        Cost("reference", made, 0, trained.reference, trained.reference, 0, reference, reference),
        Cost("train", "checkpoint", 0, tokens, tokens, 0, seconds, seconds),
    ]


def _teaching_costs(recipe: Recipe, line: Roofline, lengths: Lengths) -> tuple[Cost, ...]:
    asked = [_cost(recipe, line, one) for one in teaching(recipe, lengths)]
    if not asked:
        return ()
    trained = teaching_training(recipe, lengths)
    tokens = trained.tokens * trained.epochs
    seconds = line.train(tokens, frozen=False) + line.optimize(trained.steps, line.shape.parameters)
    return (*asked, Cost("train", REWARD_MODEL, 0, tokens, tokens, 0, seconds, seconds))


def trained_parameters(recipe: Recipe, shape: ModelShape) -> int:
    lora = _adapter(recipe)
    if lora is None:
        return shape.parameters
    # Llama's block has seven linear layers, which is all of them (train.lora.target_modules: [all-linear]).
    named = 7 if tuple(lora.target_modules) == ("all-linear",) else len(lora.target_modules)
    return shape.adapter(lora.rank, named)


def _adapter(recipe: Recipe) -> LoraRecipe | None:
    return recipe.train.lora if isinstance(recipe.train, Steps) else None


def _phases(recipe: Recipe, line: Roofline, asked: Sequence[Asking], trained: Training) -> tuple[Phase, ...]:
    """Sampling, training and, for an adapter, merging. vLLM gives its memory away while the policy is trained."""
    shape, width = line.shape, line.width
    here = [one for one in asked if not one.server and one.reply]
    caches = recipe.engine.kind == "vllm"
    cache, batch = 0.0, 0
    for one in here:
        share = one.share if caches else 1.0
        together = line.batch(one.questions, one.prompt, one.reply, share, simultaneous(recipe, one))
        held = together * (one.prompt / share + one.reply) * shape.key_value_bytes(width)
        cache, batch = max(cache, held), max(batch, together)
    work = min(line.efficiency.chunk, sum(one.prefill for one in asked)) * (4 * shape.hidden + 3 * shape.intermediate)
    sampling = {
        "weights": line.weights,
        "key-value cache": cache,
        "activations and logits": work * width + batch * shape.vocabulary * 4.0,
    }
    phases = [Phase("sampling and judging", sampling)]
    train, engine = recipe.train, recipe.engine
    beside = {} if engine.kind == "vllm" and engine.sleep else {"engine's weights": line.weights}
    if recipe.reward_model is not None:
        # All of its weights, in single precision.
        whole = float(shape.parameters)
        taught = {"weights": 4 * whole, "gradients": 4 * whole, "optimizer": 8 * whole, **beside}
        phases.append(Phase("training the reward model", taught))
    if train.method == "none":
        return tuple(phases)
    count, lora = float(trained_parameters(recipe, shape)), train.lora is not None
    micro = train.micro_batch_size or max(n for n in range(1, 9) if train.batch_size % n == 0)
    per_token = 6 * shape.hidden + 4 * shape.intermediate + 2 * shape.head_dim * (shape.heads + shape.kv_heads)
    # Full weights are trained in single precision under autocast; a frozen model stays as it is under its adapter.
    weights = {"weights": line.weights, "adapter": 4 * count} if lora else {"weights": 4 * count}
    training_parts = {
        **weights,
        "gradients": 4 * count,
        "optimizer": 8 * count,
        "activations": micro * trained.row * shape.layers * per_token * float(width),
        "logits": 2.0 * LOGIT_TOKENS * shape.vocabulary * 4,
    }
    phases.append(Phase("training", {**training_parts, **beside}))
    if lora and width < 4:
        phases.append(Phase("merging the adapter", {"weights": 4.0 * shape.parameters, "adapter": 4 * count, **beside}))
    return tuple(phases)


def _disk(recipe: Recipe, shape: ModelShape, asked: Sequence[Asking]) -> dict[str, float]:
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


@dataclass(frozen=True, slots=True)
class Taken:
    """One stage, planned and taken, over all finished rounds."""

    stage: str
    planned_tokens: float
    tokens: int
    planned_seconds: float
    seconds: float


def compare(made: Plan, view: RunView) -> list[Taken]:
    """Planned against taken, stage by stage. What another run computed and this one links counts with its own time."""
    seals = [
        seal
        for number in view.rounds()
        for path in sorted(view.directory(number).glob("*.done.json"))
        if (seal := view.seal(number, path.name.removesuffix(".done.json")))
    ]
    trained = {seal.round for seal in seals if seal.artifact == "checkpoint" and seal.round}
    evaluated = {seal.round for seal in seals if seal.artifact == "measurements"}
    found = []
    taught = {seal.round for seal in seals if seal.artifact == REWARD_MODEL}
    for costs, rounds in ((made.made, trained), (made.measured, evaluated), (made.taught, taught)):
        for stage in dict.fromkeys(cost.stage for cost in costs):
            planned = [cost for cost in costs if cost.stage == stage]
            ours = [seal for seal in seals if seal.round in rounds and _belongs(seal.artifact, planned[0].artifact)]
            found.append(
                Taken(
                    stage,
                    len(rounds) * sum(cost.decoded for cost in planned),
                    sum(seal.tokens for seal in ours),
                    len(rounds) * sum(cost.cached if made.caches else cost.seconds for cost in planned),
                    sum(seal.seconds for seal in ours),
                )
            )
    return found


def _belongs(artifact: str, name: str) -> bool:
    """`judgments_first`, `judgments_0`, `judgments_comparisons` belong to `judgments`; `meta_judgments` does not."""
    whole = whole_of(name)
    return whole_of(artifact) in (whole, f"model_{whole}") or artifact.startswith(f"{whole}_of_round_")
