"""What suits this machine: a model's speed at several thread counts and dtypes, by a few forward passes of each.

What a small model wants a large one does not: float32 on one thread is right for the sandbox's 224,000 parameters, and
four times too slow for 135 M on two cores that multiply bfloat16 matrices. Only a measurement tells, and the machine
may be busy, so a candidate is measured twice, taking turns with the others, and its best counts.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DTYPES = ("float32", "bfloat16")
_PROMPT = 64
_REPEATS = 2
_ENOUGH_SECONDS = 20.0
"""Nothing is measured again after that long: on a busy machine threads that wait for one another take minutes."""

_SAMPLED_SHARE = 0.9
"""Of a run's time is sampling, the rest reading: how the two speeds are weighed."""

_CLEARLY = 1.1
"""More threads, or fewer digits, must be this much faster to be worth it."""


@dataclass(frozen=True, slots=True)
class EngineSpeed:
    """Tokens a second with `threads` threads in `dtype`: prompts read, and replies sampled in a batch of `rows`."""

    threads: int
    dtype: str
    rows: int
    read: float
    sampled: float

    @property
    def overall(self) -> float:
        return self.read ** (1 - _SAMPLED_SHARE) * self.sampled**_SAMPLED_SHARE


def measure_engine(
    directory: Path, *, rows: int = 32, threads: Sequence[int] | None = None, trust_remote_code: bool = False
) -> list[EngineSpeed]:
    """The speeds on this machine's CPU of the model in `directory`, every dtype with 1, 2, 4 … threads up to its cores.

    Takes seconds at 135 M parameters. Raises DataError for a directory that holds no model.
    """
    from selfreward.engines.hugging_face.weights import build
    from selfreward.recipe import ModelRecipe

    best: dict[tuple[str, int], EngineSpeed] = {}
    begun = time.monotonic()
    counts = _thread_counts() if threads is None else threads
    for dtype in DTYPES:
        recipe = ModelRecipe(dtype=dtype, device="cpu", trust_remote_code=trust_remote_code)  # type: ignore[arg-type]
        model = build(directory, recipe)
        for _ in range(_REPEATS):
            for count in counts:
                if (dtype, count) in best and time.monotonic() - begun > _ENOUGH_SECONDS:
                    continue
                found = _measure(model, count, dtype, rows)
                before = best.setdefault((dtype, count), found)
                read, sampled = max(before.read, found.read), max(before.sampled, found.sampled)
                best[dtype, count] = EngineSpeed(count, dtype, rows, read, sampled)
        del model
    return list(best.values())


def choose(speeds: Sequence[EngineSpeed]) -> EngineSpeed:
    """The fastest, or one in float32 or of fewer threads that is nearly as fast. Raises ValueError for none."""
    top = max(one.overall for one in speeds)
    near = [one for one in speeds if one.overall * _CLEARLY >= top]
    return min(near, key=lambda one: (one.dtype != "float32", one.threads))


def _measure(model: Any, threads: int, dtype: str, rows: int) -> EngineSpeed:
    import torch

    from selfreward.engines.hugging_face.prefill import forward, prefill

    size = int(model.config.get_text_config().vocab_size)
    prompts = torch.randint(size, (rows, _PROMPT), generator=torch.Generator().manual_seed(0))
    with _threads(threads), torch.inference_mode():
        # The first pass of a shape also pays for memory and kernels.
        forward(model, 1, input_ids=prompts[:1, :8], use_cache=False)
        few = prompts[: max(1, rows // 8)]
        reading = _seconds(lambda: prefill(model, few.tolist(), 0, keep_cache=False))
        held = prefill(model, prompts[:, :2].tolist(), 0)
        mask = torch.cat([held.mask, held.mask.new_ones(rows, 1)], -1)
        inputs = {"attention_mask": mask, "position_ids": held.position[:, None] + 1, "use_cache": True}
        sampling = _seconds(lambda: forward(model, 1, held.cache, input_ids=prompts[:, :1], **inputs))
    return EngineSpeed(threads, dtype, rows, few.numel() / reading, rows / sampling)


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return max(time.perf_counter() - begun, 1e-9)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _thread_counts() -> list[int]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return sorted({cores, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)})
