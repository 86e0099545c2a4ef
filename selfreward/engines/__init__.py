"""Where text comes from. Every engine speaks `protocol.Engine`; the recipe's `engine.kind` names one."""

from datetime import date
from importlib import import_module

from selfreward.engines.protocol import Engine
from selfreward.recipe import EngineRecipe, ModelRecipe, replicas_of

ENGINES: dict[str, str] = {
    "transformers": "selfreward.engines.hugging_face.engine:HuggingFaceEngine",
    "vllm": "selfreward.engines.vllm.engine:VllmEngine",
    "scripted": "selfreward.engines.scripted:ScriptedEngine",
}

VERSIONS: dict[str, int] = {"transformers": 2, "vllm": 2, "scripted": 1}
"""Raised when an engine would answer an equal call otherwise; it enters the fingerprint of everything an engine wrote.

transformers 2: vocabularies from 2,048 words on are drawn by one uniform number (drawing.py), and beginnings of at
least 64 tokens that prompts share are read once (prefill.py): other draws, and sums that differ in the last bits. The
sandbox is below both and its rows did not change. vllm 2: no seed at temperature 0, and
no log-probability where none is kept.
"""


def build_engine(model: ModelRecipe, engine: EngineRecipe, day: date | None = None) -> Engine:
    """The engine that the recipe names, without weights yet: `load` gives it a policy.

    `day` is the date that a chat template writes into its prompts, where it writes one; without it, today's.
    """
    if replicas_of(engine) > 1:
        from selfreward.engines.fleet.build import build_fleet

        return build_fleet(model, engine, day)
    module, attribute = ENGINES[engine.kind].split(":")
    built: Engine = getattr(import_module(module), attribute)(model, engine, day)
    return built
