"""What every engine does before it takes a checkpoint: is it the recorded one, which chat template does it speak."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from selfreward.engines.chat import ChatRenderer, load_renderer
from selfreward.engines.checkpoints import chat_digest, validate_model_directory
from selfreward.engines.tensors import combined_digest, tensor_checksums
from selfreward.errors import EngineError, HandOffError
from selfreward.recipe import ModelRecipe


def require_policy(directory: Path, digest: str) -> None:
    """Raises DataError for a broken directory, HandOffError for weights of another digest."""
    validate_model_directory(directory)
    found = combined_digest(tensor_checksums(directory))
    if found != digest:
        raise HandOffError(
            f"checkpoint {directory}: its weights have digest {found[:16]}, expected {digest[:16]}; "
            "it was changed after it was recorded: restore it, or start another run from it"
        )


def refuse_too_long(kind: str, lengths: Sequence[tuple[str, int, int]], limits: Mapping[str, int | None]) -> None:
    """Raise EngineError where (name, prompt tokens, completion tokens) together are more than a limit."""
    for source, limit in limits.items():
        over = [one for one in lengths if limit is not None and one[1] + one[2] > limit]
        if over:
            name, prompt, completion = over[0]
            raise EngineError(
                f"{kind} {name}: {prompt} prompt tokens and {completion} completion tokens are {prompt + completion}, "
                f"more than {source} of {limit}; shorten the prompt or lower max_tokens",
                frozenset(name for name, _, _ in over),
            )


class Speech:
    """The chat renderer of the policy that an engine holds, read again only where a directory's text files differ."""

    def __init__(self, engine: str, model: ModelRecipe, day: date | None = None) -> None:
        self._engine, self._model, self._day = engine, model, day
        self._renderer: ChatRenderer | None = None
        self._digest = ""

    def learn(self, directory: Path) -> None:
        digest = chat_digest(directory)
        if self._renderer is None or digest != self._digest:
            self._renderer = load_renderer(directory, self._model, self._day)
            self._digest = digest

    def forget(self) -> None:
        self._renderer, self._digest = None, ""

    @property
    def chat(self) -> ChatRenderer:
        if self._renderer is None:
            raise EngineError(f"the {self._engine} engine holds no policy; call load(directory, digest) first")
        return self._renderer
