"""What can be said about the vLLM engine without vLLM: who needs it, how it is started, and what it does not change."""

import pytest

from selfreward.engines import ENGINES
from selfreward.engines.vllm import settings as vllm_settings
from selfreward.engines.vllm.settings import arguments, environment, require_vllm
from selfreward.errors import RecipeError
from selfreward.recipe import ModelRecipe, VllmRecipe, as_dict
from selfreward.recipe.read import build_recipe
from selfreward.roles.player import engine_facts


def test_runs_of_other_engines_are_not_changed_by_it() -> None:
    facts = engine_facts(build_recipe([]))
    assert "block_size" not in facts and "vllm" not in facts["libraries"]
    chosen = engine_facts(build_recipe([], ["engine.kind=vllm", "engine.block_size=64"]))
    assert chosen["block_size"] == 64 and "vllm" in chosen["libraries"]


def test_without_vllm_the_recipe_is_refused_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_settings, "DISTRIBUTIONS", ("no-such-distribution",))
    with pytest.raises(RecipeError, match=r"'engine.kind' is 'vllm'.*selfreward-loop\[vllm\]"):
        require_vllm()


def test_every_key_of_the_recipe_reaches_vllm() -> None:
    engine = VllmRecipe(
        max_length=100,
        threads=3,
        in_process=True,
        max_num_seqs=7,
        memory_share=0.5,
        tensor_parallel_size=2,
        enforce_eager=True,
        block_size=64,
        sleep=False,
    )
    given = arguments(ModelRecipe(dtype="bfloat16"), engine, "cuda", 4096)
    expected = {
        "max_num_seqs": 7,
        "gpu_memory_utilization": 0.5,
        "tensor_parallel_size": 2,
        "enforce_eager": True,
        "block_size": 64,
        "enable_sleep_mode": False,
        "max_model_len": 100,
        "dtype": "bfloat16",
        "enable_prefix_caching": True,
    }
    assert expected.items() <= given.items()
    inherited = {"kind", "replicas", "threads", "batch_tokens", "chunk", "chunk_tokens", "max_length"}
    assert set(as_dict(engine)) - {"in_process", "memory_share", "sleep"} - inherited <= set(given)
    assert environment(engine, "cuda")["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert environment(engine, "cpu")["OMP_NUM_THREADS"] == "3"


def test_the_device_decides_what_the_recipe_leaves_open() -> None:
    gpu = arguments(ModelRecipe(), VllmRecipe(), "cuda", 4096)
    assert (gpu["max_num_seqs"], gpu["enforce_eager"], gpu["enable_sleep_mode"]) == (1024, False, True)
    assert gpu["max_model_len"] == 4096 and "block_size" not in gpu
    # Graphs as wide as the batch: vLLM alone would stop at 512.
    assert gpu["max_cudagraph_capture_size"] == 1024
    assert arguments(ModelRecipe(), VllmRecipe(max_num_seqs=96), "cuda", 4096)["max_cudagraph_capture_size"] == 96
    without = arguments(ModelRecipe(), VllmRecipe(enforce_eager=True), "cuda", 4096)
    assert "max_cudagraph_capture_size" not in without
    cpu = arguments(ModelRecipe(), VllmRecipe(max_length=50_000), "cpu", None)
    assert (cpu["max_num_seqs"], cpu["enforce_eager"], cpu["block_size"]) == (256, True, 32)
    assert "max_cudagraph_capture_size" not in cpu and "enable_sleep_mode" not in cpu
    assert 0 < cpu["kv_cache_memory_bytes"] < vllm_settings.free_memory()
    # A prompt must never be computed in two steps there.
    assert not cpu["enable_chunked_prefill"] and cpu["max_num_batched_tokens"] >= cpu["max_model_len"] == 50_000


def test_it_is_an_engine_like_the_others() -> None:
    assert ENGINES["vllm"] == "selfreward.engines.vllm.engine:VllmEngine"
    with pytest.raises(RecipeError, match="memory_share"):
        build_recipe([], ["engine.memory_share=1.5"])
    with pytest.raises(RecipeError, match=r"did you mean 'engine\.block_size'"):
        build_recipe([], ["engine.blocksize=3"])
