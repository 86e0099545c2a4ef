"""What a recipe will cost on a device: tokens and hours per stage, memory per phase, disk. Nothing is loaded.

Hours come from the roofline (roofline.py) of the workload (workload.py), with and without a prefix cache, on as many
devices as the recipe names (devices.py), which are taken to share the work evenly; memory and disk from memory.py.
Seconds are those of a clock on the wall. After a run, taken.py sets the plan beside what the seals say was taken, and
learned.py takes from finished runs what a machine reaches.
"""

from dataclasses import dataclass, replace

from selfreward.commands.plan.devices import Devices, devices_of
from selfreward.commands.plan.memory import WIDTHS, Phase, adapter, disk, phases, trained_parameters
from selfreward.commands.plan.revising import revising
from selfreward.commands.plan.roofline import FLOOR, Device, Efficiency, Roofline
from selfreward.commands.plan.shapes import ModelShape
from selfreward.commands.plan.workload import Asking, Lengths, comparing, generating, judging, simultaneous
from selfreward.commands.plan.workload_measuring import measuring
from selfreward.commands.plan.workload_training import Training, taught_in, teaching, teaching_training, training
from selfreward.recipe import REWARD_MODEL, PolicyGradient, Recipe, measured_rounds


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What the recipe does not say. `efficiency`: the device's usual one where it is None; `adaptive_share`: of its
    cap, what adaptive judging uses.
    """

    lengths: Lengths
    efficiency: Efficiency | None = None
    adaptive_share: float = 0.6


@dataclass(frozen=True, slots=True)
class Cost:
    """One stage of one round: tokens, and seconds without and with a prefix cache. `floor`: seconds that its tokens
    need at least; `price` is a server's.
    """

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
    floor: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """`made`: the stages that make a round's policy; `measured`: those that measure one policy; `taught`: those that
    train a reward model, where there is one.
    """

    recipe: Recipe
    shape: ModelShape
    device: Device
    assumptions: Assumptions
    efficiency: Efficiency
    devices: Devices
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
    """The plan of a recipe for a model of `shape` on devices of one kind."""
    lengths, devices = assumptions.lengths, devices_of(recipe)
    efficiency = assumptions.efficiency or device.usual
    line = Roofline(
        shape, device, efficiency, WIDTHS[recipe.model.dtype], devices.split, compiled=recipe.engine.kind == "vllm"
    )
    asked = [
        *generating(recipe, lengths),
        *judging(recipe, lengths, assumptions.adaptive_share),
        *comparing(recipe, lengths),
        *revising(recipe, lengths),
    ]
    trained = training(recipe, lengths)
    measured = measuring(recipe, lengths)
    scored = 3 * recipe.measure.report * recipe.measure.samples * (lengths.prompt + lengths.response)
    return Plan(
        recipe=recipe,
        shape=shape,
        device=device,
        assumptions=assumptions,
        efficiency=efficiency,
        devices=devices,
        made=(
            *(_cost(recipe, line, devices, one) for one in asked),
            *_training_costs(recipe, line, devices, trained),
        ),
        measured=(
            *(_cost(recipe, line, devices, one) for one in measured),
            _scoring("measure: likelihoods", "likelihoods", line, devices, scored),
        ),
        phases=phases(recipe, line, devices, asked, trained),
        disk=disk(recipe, shape, [*asked, *measured]),
        taught=_teaching_costs(recipe, line, devices, lengths),
    )


def planned_seconds(made: Plan, cost: Cost) -> float:
    """As the recipe's engine works: with a prefix cache or without."""
    return cost.cached if made.caches else cost.seconds


def kind_of(cost: Cost) -> str:
    """Stages of one kind are limited by the same part of a device."""
    if cost.stage == "train":
        return "training"
    return "writing" if cost.decoded else "reading"


def at_floor(line: Roofline) -> Roofline:
    """The same model and devices at their peaks."""
    return replace(line, efficiency=replace(FLOOR, reserve=line.efficiency.reserve, chunk=line.efficiency.chunk))


def _cost(recipe: Recipe, line: Roofline, devices: Devices, one: Asking) -> Cost:
    tokens = one.questions, one.prefill, one.unique, one.decoded
    if one.server:
        server = recipe.served[one.server]
        price = (one.prefill * server.price_in + one.decoded * server.price_out) / 1e6
        return Cost(one.stage, one.artifact, *tokens, 0.0, 0.0, price, one.server)
    most, each = simultaneous(recipe, one), one.questions / devices.replicas
    seconds, cached = (
        line.prefill(prefill / devices.replicas, one.prompt, each)
        + line.decode(each, one.prompt, one.reply, share, most)
        for prefill, share in ((one.prefill, 1.0), (one.unique, one.share))
    )
    peak = at_floor(line)
    # Equal beginnings may be read once by either engine, so no more than that is needed.
    read = peak.prefilling(min(one.unique, one.prefill) / devices.replicas, one.prompt, each)
    written = peak.decoding(each, one.prompt, one.reply, one.share, most)
    floor = peak.seconds(read.beside(written))
    return Cost(one.stage, one.artifact, *tokens, seconds, cached, floor=floor)


def _scoring(stage: str, artifact: str, line: Roofline, devices: Devices, tokens: float) -> Cost:
    """Teacher forcing, by the engines."""
    seconds, floor = (one.forward(tokens / devices.replicas) for one in (line, at_floor(line)))
    return Cost(stage, artifact, 0, tokens, tokens, 0, seconds, seconds, floor=floor)


def _training(
    artifact: str, line: Roofline, devices: Devices, trained: Training, parameters: float, *, frozen: bool
) -> Cost:
    """Steps, whose tokens the processes share. Each of them takes the optimizer's step for all that it holds."""
    tokens = trained.tokens * trained.epochs
    alone = replace(line, split=1)
    seconds, floor = (
        one.train(tokens / devices.processes, frozen) + one.optimize(trained.steps, parameters / devices.shares)
        for one in (alone, at_floor(alone))
    )
    return Cost("train", artifact, 0, tokens, tokens, 0, seconds, seconds, floor=floor)


def _training_costs(recipe: Recipe, line: Roofline, devices: Devices, trained: Training) -> list[Cost]:
    made = "sample_likelihoods_policy" if isinstance(recipe.train, PolicyGradient) else "pairs"
    frozen, parameters = adapter(recipe) is not None, trained_parameters(recipe, line.shape)
    return [
        _scoring("reference", made, line, devices, trained.reference),
        _training("checkpoint", line, devices, trained, parameters, frozen=frozen),
    ]


def _teaching_costs(recipe: Recipe, line: Roofline, devices: Devices, lengths: Lengths) -> tuple[Cost, ...]:
    asked = [_cost(recipe, line, devices, one) for one in teaching(recipe, lengths)]
    if not asked:
        return ()
    trained = teaching_training(recipe, lengths)
    return (*asked, _training(REWARD_MODEL, line, devices, trained, line.shape.parameters, frozen=False))
