"""What `selfreward init` finds here: the device, how fast the model is on it, and what it has room for.

Everything is measured or computed once and written into the recipe, so that no run guesses.

Formula: of the memory, .8 is used, the rest being for fragments, libraries and whatever else runs. Training in full
takes what plan.py says (weights, gradients and Adam in single precision, activations); where no batch of that fits, an
adapter of rank 16 is trained. `batch_tokens` is a quarter of the memory that the weights leave, divided by a token's
key-value cache and activations.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfreward.commands.check_cost import memory_bytes
from selfreward.commands.plan.memory import WIDTHS
from selfreward.commands.plan.plan import Assumptions, plan
from selfreward.commands.plan.roofline import DEVICES
from selfreward.commands.plan.shapes import ModelShape
from selfreward.commands.plan.workload import recipe_lengths
from selfreward.engines.hugging_face.speed import EngineSpeed, choose, measure_engine
from selfreward.engines.vllm.settings import vllm_version
from selfreward.recipe import DpoRecipe, LoraRecipe, Recipe

USED = 0.8
MICRO = (8, 4, 2, 1)
LEAST, MOST = 2048, 98_304
"""Tokens of a batch: below, batches are too small to be worth it; above, they are no faster."""


@dataclass(frozen=True, slots=True)
class Machine:
    """`speed` is None on a GPU, where nothing needs to be chosen by it."""

    device: Literal["cpu", "cuda"]
    memory: float
    dtype: str
    threads: int
    vllm: bool
    speed: EngineSpeed | None

    @property
    def is_small(self) -> bool:
        """Sizes are those of an evening on a few cores."""
        return self.device == "cpu"


def look(directory: Path) -> Machine:
    """This machine, with the model in `directory` on it; takes seconds on a CPU."""
    import torch

    if torch.cuda.is_available():
        dtype = "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
        memory = float(torch.cuda.get_device_properties(0).total_memory)
        return Machine("cuda", memory, dtype, 1, vllm_version() is not None, None)
    best = choose(measure_engine(directory))
    return Machine("cpu", float(memory_bytes()), best.dtype, best.threads, False, best)


def batch_tokens(machine: Machine, shape: ModelShape, longest: int) -> int:
    """Tokens of one forward batch that the memory has room for, and at least one of the longest questions."""
    width = WIDTHS[machine.dtype]
    left = max(0.0, USED * machine.memory - shape.parameters * width)
    each = shape.key_value_bytes(width) + width * (4 * shape.hidden + 3 * shape.intermediate)
    room = int(left / 4 / each) // 1024 * 1024
    return max(longest, LEAST, min(MOST, room))


@dataclass(frozen=True, slots=True)
class Fit:
    """How the model is trained here: an adapter or all weights, and how many pairs at once; the bytes that it takes."""

    lora: bool
    micro: int
    bytes: float
    fits: bool


def fit(machine: Machine, recipe: Recipe, shape: ModelShape, prompt: float, rubric: float) -> Fit:
    """The first way of training that fits, all weights before an adapter; the smallest where none does."""
    found = list(_ways(machine, recipe, shape, prompt, rubric))
    return next((way for way in found if way.fits), found[-1])


def _ways(machine: Machine, recipe: Recipe, shape: ModelShape, prompt: float, rubric: float) -> Iterator[Fit]:
    device = dataclasses.replace(DEVICES["cpu-core"], memory=machine.memory)
    assumed = Assumptions(recipe_lengths(recipe, prompt, rubric))
    train = recipe.train if isinstance(recipe.train, DpoRecipe) else DpoRecipe()
    for lora in (None, LoraRecipe()):
        for micro in MICRO:
            tried = dataclasses.replace(train, lora=lora, micro_batch_size=micro)
            made = plan(dataclasses.replace(recipe, train=tried), shape, device, assumed)
            needed = max(phase.total for phase in made.phases if phase.name != "sampling and judging")
            yield Fit(lora is not None, micro, needed, needed <= USED * machine.memory)


def learning_rate(parameters: int, lora: bool) -> float:
    """By size, as in the recipes that ship: 2e-5 at .1 B, 5e-6 at .5 B, 1e-6 at 8 B; for an adapter ten times that."""
    full = next((rate for most, rate in ((3e8, 2e-5), (1e9, 5e-6), (4e9, 2e-6)) if parameters < most), 1e-6)
    return 10 * full if lora else full
