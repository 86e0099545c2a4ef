"""What a recipe will cost on its devices: tokens and hours per stage, memory per phase, disk. Nothing is loaded.

Hours come from the roofline (roofline.py) of the workload (workload.py), with and without a prefix cache; memory
and disk from memory.py. Several devices share the work evenly and at no cost: engine.replicas the questions,
train.processes the tokens that are trained on (each takes every optimizer step whole); a model that is split over
`engine.tensor_parallel_size` of them has their sum of rates and memory. After a run, taken.py sets the plan beside what
the seals say was taken; learnt.py expects of a run what others like it took.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from selfreward.commands.plan.memory import WIDTHS, Phase, adapter, disk, phases, trained_parameters
from selfreward.commands.plan.revising import revising
from selfreward.commands.plan.roofline import Device, Efficiency, Roofline, joined
from selfreward.commands.plan.shapes import ModelShape
from selfreward.commands.plan.workload import (
    Asking,
    Lengths,
    comparing,
    generating,
    judging,
    processes,
    simultaneous,
    split,
)
from selfreward.commands.plan.workload_measuring import measuring
from selfreward.commands.plan.workload_training import Training, taught_in, teaching, teaching_training, training
from selfreward.recipe import (
    REWARD_MODEL,
    PolicyGradient,
    Recipe,
    measured_rounds,
    replicas_of,
)


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

    def repeated(self) -> Sequence[tuple[int, Sequence[Cost]]]:
        """How often each of the three kinds of stages is gone through; the start policy is measured too."""
        recipe = self.recipe
        times = recipe.rounds, len(measured_rounds(recipe)), len(taught_in(recipe))
        return list(zip(times, (self.made, self.measured, self.taught), strict=True))

    def seconds(self, cache: bool) -> float:
        """The whole run."""
        parts = self.repeated()
        return sum(times * sum(cost.cached if cache else cost.seconds for cost in costs) for times, costs in parts)

    @property
    def devices(self) -> int:
        """How many devices the recipe uses at the most."""
        return max(replicas_of(self.recipe.engine) * split(self.recipe), processes(self.recipe))

    @property
    def caches(self) -> bool:
        """Whether the recipe's engine has a prefix cache."""
        return self.recipe.engine.kind == "vllm"


def plan(recipe: Recipe, shape: ModelShape, device: Device, assumptions: Assumptions) -> Plan:
    """The plan of a recipe for a model of `shape` on as many of `device` as the recipe uses."""
    width, parts = WIDTHS[recipe.model.dtype], split(recipe)
    alone = Roofline(shape, device, assumptions.efficiency, width)
    eager = recipe.engine.kind == "transformers"
    line = Roofline(shape, joined(device, parts), assumptions.efficiency, width, eager)
    lengths = assumptions.lengths
    asked = [
        *generating(recipe, lengths),
        *judging(recipe, lengths, assumptions.adaptive_share),
        *comparing(recipe, lengths),
        *revising(recipe, lengths),
    ]
    trained = training(recipe, lengths)
    measured = measuring(recipe, lengths)
    scored = 3 * recipe.measure.report * recipe.measure.samples * (lengths.prompt + lengths.response)
    forward = line.forward(scored) / replicas_of(recipe.engine)
    return Plan(
        recipe=recipe,
        shape=shape,
        device=device,
        assumptions=assumptions,
        made=(*(_cost(recipe, line, one) for one in asked), *_training_costs(recipe, line, alone, trained)),
        measured=(
            *(_cost(recipe, line, one) for one in measured),
            Cost("measure: likelihoods", "likelihoods", 0, scored, scored, 0, forward, forward),
        ),
        phases=phases(recipe, line, asked, trained),
        disk=disk(recipe, shape, [*asked, *measured]),
        taught=_teaching_costs(recipe, line, alone, lengths),
    )


def _cost(recipe: Recipe, line: Roofline, one: Asking) -> Cost:
    tokens = one.questions, one.prefill, one.unique, one.decoded
    if one.server:
        server = recipe.served[one.server]
        price = (one.prefill * server.price_in + one.decoded * server.price_out) / 1e6
        return Cost(one.stage, one.artifact, *tokens, 0.0, 0.0, price, one.server)
    most, engines = simultaneous(recipe, one), replicas_of(recipe.engine)
    each = one.questions / engines
    seconds, cached = (
        line.prefill(prefill / engines, one.prompt) + line.decode(each, one.prompt, one.reply, share, most)
        for prefill, share in ((one.prefill, 1.0), (one.unique, one.share))
    )
    return Cost(one.stage, one.artifact, *tokens, seconds, cached)


def _training_costs(recipe: Recipe, line: Roofline, alone: Roofline, trained: Training) -> list[Cost]:
    reference = line.forward(trained.reference) / replicas_of(recipe.engine)
    tokens = trained.tokens * trained.epochs
    seconds = alone.train(tokens / processes(recipe), frozen=adapter(recipe) is not None)
    seconds += alone.optimize(trained.steps, trained_parameters(recipe, line.shape))
    made = "sample_likelihoods_policy" if isinstance(recipe.train, PolicyGradient) else "pairs"
    return [
        Cost("reference", made, 0, trained.reference, trained.reference, 0, reference, reference),
        Cost("train", "checkpoint", 0, tokens, tokens, 0, seconds, seconds),
    ]


def _teaching_costs(recipe: Recipe, line: Roofline, alone: Roofline, lengths: Lengths) -> tuple[Cost, ...]:
    asked = [_cost(recipe, line, one) for one in teaching(recipe, lengths)]
    if not asked:
        return ()
    trained = teaching_training(recipe, lengths)
    tokens = trained.tokens * trained.epochs
    seconds = alone.train(tokens / processes(recipe), frozen=False)
    seconds += alone.optimize(trained.steps, line.shape.parameters)
    return (*asked, Cost("train", REWARD_MODEL, 0, tokens, tokens, 0, seconds, seconds))
