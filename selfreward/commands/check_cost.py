"""What a recipe will cost on this machine: the plan's tokens, at the speed that the model has here.

On a CPU the engine is measured for some seconds (engines/hugging_face/speed.py) at the recipe's threads and dtype. A
token that is trained on costs as much as six that are read, as measured at 135 M parameters (plan/workload.py). On a
GPU nothing is measured here: `selfreward plan --device` computes from its data sheet.
"""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from selfreward.commands.plan.clock import TRAINED
from selfreward.commands.plan.plan import Assumptions, Plan, plan
from selfreward.commands.plan.roofline import DEVICES
from selfreward.commands.plan.shapes import read_shape
from selfreward.commands.plan.text import fits
from selfreward.commands.plan.units import count, duration, size
from selfreward.commands.plan.workload import recipe_lengths
from selfreward.engines.hugging_face.speed import EngineSpeed, measure_engine
from selfreward.recipe import Recipe

MOST_ROWS = 64


@dataclass(frozen=True, slots=True)
class Measured:
    """A plan and how fast this machine is; None where that was not measured."""

    plan: Plan
    speed: EngineSpeed | None

    @property
    def seconds(self) -> float | None:
        """The whole run, every reply at its limit."""
        if self.speed is None:
            return None
        rounds = self.plan.recipe.rounds
        return sum(
            times * sum(self._of(cost.stage, cost.prefill, cost.decoded) for cost in costs if not cost.server)
            for times, costs in ((rounds, self.plan.made), (rounds + 1, self.plan.measured))
        )

    def _of(self, stage: str, read: float, decoded: float) -> float:
        if self.speed is None:
            return 0.0
        return (TRAINED if stage == "train" else 1.0) * read / self.speed.read + decoded / self.speed.sampled

    @property
    def tokens(self) -> tuple[float, float]:
        """Read and sampled in the whole run."""
        rounds = self.plan.recipe.rounds
        parts = [(rounds, cost) for cost in self.plan.made] + [(rounds + 1, cost) for cost in self.plan.measured]
        return sum(times * cost.prefill for times, cost in parts), sum(times * cost.decoded for times, cost in parts)


def measured_plan(recipe: Recipe, directory: Path, prompt: float, rubric: float) -> Measured:
    """The plan with the prompts' and the rubric's mean lengths, and the measured speed where the CPU does the work."""
    machine = dataclasses.replace(DEVICES["cpu-core"], name="this machine", memory=float(memory_bytes()))
    lengths = recipe_lengths(recipe, prompt, rubric)
    made = plan(recipe, read_shape(directory), machine, Assumptions(lengths))
    return Measured(made, _speed(recipe, directory, lengths.prompt + lengths.response))


def _speed(recipe: Recipe, directory: Path, longest: float) -> EngineSpeed | None:
    from selfreward.engines.hugging_face.weights import choose_device

    engine, model = recipe.engine, recipe.model
    if engine.kind != "transformers" or str(choose_device(model.device)) != "cpu":
        return None
    rows = int(max(1, min(MOST_ROWS, engine.batch_tokens // longest)))
    speeds = measure_engine(directory, rows=rows, threads=[engine.threads], trust_remote_code=model.trust_remote_code)
    wanted = "float32" if model.dtype == "float32" else "bfloat16"
    return next(one for one in speeds if one.dtype == wanted)


def memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def cost_lines(made: Measured) -> list[str]:
    """Tokens, time, memory and disk of the whole run."""
    read, sampled = made.tokens
    found = [f"tokens   {count(read)} read, {count(sampled)} sampled, every reply at its limit: an upper bound"]
    if made.seconds is None or made.speed is None:
        found.append("time     not measured on this device; `selfreward plan RECIPE --device NAME` computes it")
    else:
        found.append(
            f"time     {duration(made.seconds)} at most, at {made.speed.read:,.0f} tokens/s read and "
            f"{made.speed.sampled:,.0f} sampled, as measured now with {made.speed.threads} threads in "
            f"{made.speed.dtype}; a busy machine is slower"
        )
    largest = max(made.plan.phases, key=lambda phase: phase.total)
    if str(made.plan.recipe.model.device) in ("cpu", "auto") and made.speed is not None:
        room = "" if fits(made.plan, largest) else f": MORE THAN this machine's {size(made.plan.device.memory)}"
        found.append(f"memory   {size(largest.total)} while {largest.name}{room}")
    else:
        found.append(f"memory   {size(largest.total)} of the device while {largest.name}")
    found.append(f"disk     {size(sum(made.plan.disk.values()))}, before checkpoints that are not needed are removed")
    return found
