"""What a run was made with: goes into run.json, never into a row."""

import platform
import subprocess
from pathlib import Path
from typing import Any

from selfreward import __version__
from selfreward.recipe import Recipe
from selfreward.roles.player import engine_facts

VLLM_BATCHES = (
    "vLLM: which requests share a batch depends on when they arrive and on its prefix cache; that changes last bits",
)


def environment(recipe: Recipe) -> dict[str, Any]:
    """Versions, machine kind, device, seed and git revision, and what is not bit-reproducible."""
    return {
        "selfreward": __version__,
        "python": platform.python_version(),
        "libraries": engine_facts(recipe)["libraries"],
        "machine": platform.machine(),
        "system": platform.system(),
        "device": recipe.model.device,
        "accelerator": accelerator(recipe),
        "threads": recipe.engine.threads,
        "seed": recipe.seed,
        "git": git_revision(Path(__file__).parent),
        "not_bit_reproducible": [
            *(VLLM_BATCHES if recipe.engine.kind == "vllm" else ()),
            *(f"served:{name}: what a server replies, and with which weights" for name in recipe.served),
            "another thread count, device, dtype or library version: sums are ordered differently",
            "another engine.chunk, engine.chunk_tokens or engine.batch_tokens: batches change logits in the last bits",
        ],
    }


def accelerator(recipe: Recipe) -> str | None:
    """The GPU's name as its driver tells it, or None where the run is the CPU's work."""
    if recipe.engine.kind == "scripted" or recipe.model.device.startswith("cpu"):
        return None
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else None


def git_revision(directory: Path) -> str | None:
    """The commit of the checkout that `directory` is in, or None outside one."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=directory, capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
