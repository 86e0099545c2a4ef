"""A policy in a role, and what beside its weights determines a token."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from selfreward.engines import VERSIONS
from selfreward.engines.protocol import Asker, Engine
from selfreward.engines.vllm.settings import vllm_version
from selfreward.errors import EngineError
from selfreward.recipe import EngineRecipe, ModelRecipe, Recipe, as_dict, replicas_of
from selfreward.store.ahead import ALONE, Ahead

LIBRARIES = ("torch", "transformers", "tokenizers", "trl", "accelerate", "peft", "numpy")
_version = cache(version)  # every player of every chunk asks, and each answer is a file that is parsed


@dataclass(frozen=True, slots=True)
class Policy:
    """Weights on disk and their digest. `round` is None for weights from outside the run."""

    round: int | None
    digest: str
    directory: Path
    text_files: str = ""
    """Digest of tokenizer, chat template and end-of-turn tokens: equal weights under others are another policy."""


@dataclass(frozen=True, slots=True)
class Player:
    """A policy in a role. `hold()` returns the engine with this policy's verified weights in it.

    `facts` is what, beside weights and prompts, determines the tokens: it goes into every fingerprint. `chunk` is in
    replies, `chunk_tokens` in tokens (None: no bound); `seed` is the run's.
    """

    policy: Policy
    hold: Callable[[], Asker]
    facts: Mapping[str, Any]
    chunk: int
    seed: int
    chunk_tokens: int | None = None
    ahead: Ahead = ALONE

    def weights(self) -> Engine:
        """What `hold` gives, for work that needs its weights or tokens. Raises EngineError for a served model."""
        held = self.hold()
        if not isinstance(held, Engine):
            raise EngineError(
                f"{self.policy.directory} is a model behind a server: it can be asked, not scored or trained; only a "
                "judge, a meta-judge or a teacher may be served, every other role needs policy, initial, round:K or a "
                "directory"
            )
        return held

    def determines(self) -> dict[str, Any]:
        return {
            "policy": self.policy.digest,
            "text_files": self.policy.text_files,
            "engine": dict(self.facts),
            "seed": self.seed,
        }


def engine_facts(recipe: Recipe) -> dict[str, Any]:
    """Everything about the engine that can change a sampled token, library versions included."""
    libraries = {name: _version(name) for name in LIBRARIES}
    if recipe.engine.kind == "vllm":
        libraries["vllm"] = vllm_version() or "not installed"
    engine = as_dict(recipe.engine)
    if recipe.engine.kind != "vllm" or replicas_of(recipe.engine) == 1:
        engine.pop("replicas", None)  # a call is answered by one of them whole; vLLM does not promise equal bytes
    return {
        **engine,
        "version": VERSIONS[recipe.engine.kind],
        "dtype": recipe.model.dtype,
        "device": recipe.model.device,
        "libraries": libraries,
        **_chat_settings(recipe.model),
    }


def _chat_settings(model: ModelRecipe) -> dict[str, Any]:
    """What the recipe changes about how text becomes a prompt and a reply text; nothing where it changes nothing."""
    settings = {
        "template_arguments": dict(model.template_arguments),
        "thinking": [list(pair) for pair in model.thinking],
        "fold_system": model.fold_system,
    }
    return {name: value for name, value in settings.items() if value}


def chunk_tokens(engine: EngineRecipe) -> int | None:
    """Tokens that one chunk of replies may have; None where nothing bounds them."""
    own = 2 * engine.batch_tokens if engine.kind == "transformers" else None
    return own if engine.chunk_tokens is None else engine.chunk_tokens
