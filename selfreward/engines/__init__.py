"""Where text comes from. Every engine speaks `protocol.Engine`; the recipe's `engine.kind` names one."""

from importlib import import_module

from selfreward.engines.protocol import Engine
from selfreward.recipe import EngineRecipe, ModelRecipe

ENGINES: dict[str, str] = {
    "transformers": "selfreward.engines.hugging_face.engine:HuggingFaceEngine",
    "vllm": "selfreward.engines.vllm.engine:VllmEngine",
    "scripted": "selfreward.engines.scripted:ScriptedEngine",
}


def build_engine(model: ModelRecipe, engine: EngineRecipe) -> Engine:
    """The engine that the recipe names, without weights yet: `load` gives it a policy."""
    module, attribute = ENGINES[engine.kind].split(":")
    built: Engine = getattr(import_module(module), attribute)(model, engine)
    return built
