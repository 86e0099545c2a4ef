"""While a policy is trained the transformers engine holds no weights, and afterwards it is what it was."""

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from small_keys import HARDLY_MEASURED
from training_factory import CPU, tiny_policy

from selfreward.commands.plan.plan import Assumptions, plan
from selfreward.commands.plan.roofline import DEVICES
from selfreward.commands.plan.shapes import NAMED
from selfreward.commands.plan.workload import Lengths
from selfreward.commands.run import run
from selfreward.engines.hugging_face.engine import HuggingFaceEngine
from selfreward.engines.protocol import Request, Sleeper
from selfreward.engines.tensors import weights_digest
from selfreward.errors import EngineError
from selfreward.progress import Progress
from selfreward.recipe import TransformersRecipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Message
from selfreward.store.results import Store
from selfreward.training import jobs

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"


def test_a_sleeping_engine_holds_nothing_and_answers_the_same_when_woken(tmp_path: Path) -> None:
    directory = tiny_policy(tmp_path / "policy")
    digest = weights_digest(directory)
    engine = HuggingFaceEngine(CPU, TransformersRecipe())
    assert isinstance(engine, Sleeper)
    asked = [Request("one", (Message("user", "copy a b"),), 3, 1.0, 1.0, 8, 5)]
    engine.load(directory, digest)
    before = engine.generate(asked, 7)
    weights = [weakref.ref(one) for one in engine.module.parameters()]
    gc.disable()  # nothing in the module may wait for the collector
    try:
        engine.sleep()
        assert not any(one() is not None for one in weights)
    finally:
        gc.enable()
    assert engine.policy is None
    with pytest.raises(EngineError, match="holds no policy"):
        engine.generate(asked, 7)
    engine.sleep()
    engine.load(directory, digest)
    assert engine.generate(asked, 7) == before


def engines_weights() -> int:
    """Modules in this process that are in no training: an engine's."""
    return sum(
        issubclass(type(one), torch.nn.Module) and hasattr(one, "generate") and not next(one.parameters()).requires_grad
        for one in gc.get_objects()
    )


def test_a_round_is_trained_while_no_engine_holds_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    carry_out = jobs.carry_out

    def watched(*args: Any, **options: Any) -> Any:
        gc.collect()
        held.append(engines_weights())
        return carry_out(*args, **options)

    monkeypatch.setattr(jobs, "carry_out", watched)
    gc.collect()
    before = engines_weights()
    keys = ["rounds=2", "meta.enabled=false", *HARDLY_MEASURED]
    run(load_recipe(SMOKE, keys), Store(tmp_path / "results"), "one", Progress(style="silent"))
    assert held == [before, before]


def test_the_plan_puts_weights_beside_training_only_where_vllm_stays_awake() -> None:
    def beside(*keys: str) -> bool:
        made = plan(build_recipe([], keys), NAMED["qwen2.5-0.5b"], DEVICES["4090"], Assumptions(Lengths()))
        return any("engine's weights" in phase.parts for phase in made.phases if "training" in phase.name)

    assert [beside(), beside("engine.kind=vllm"), beside("engine.kind=vllm", "engine.sleep=false")] == [
        False,
        False,
        True,
    ]
