"""A fleet from a recipe. Where RAY_ADDRESS names a cluster, its nodes may have GPUs that this machine has not."""

from datetime import date

from selfreward.engines.fleet.fleet import Fleet
from selfreward.engines.hugging_face.weights import visible_gpus
from selfreward.engines.protocol import Engine
from selfreward.recipe import EngineRecipe, ModelRecipe, ScriptedRecipe


def build_fleet(model: ModelRecipe, engine: EngineRecipe, day: date | None) -> Engine:
    assert not isinstance(engine, ScriptedRecipe)
    return Fleet(model, engine, day, on_gpu=model.device.startswith("cuda") or visible_gpus(model.device) > 0)
