"""What every engine does before it takes a checkpoint: is it the recorded one, which chat template does it speak."""

from pathlib import Path

from selfreward.engines.chat import ChatRenderer, load_renderer
from selfreward.engines.checkpoints import chat_digest, combined_digest, tensor_checksums, validate_model_directory
from selfreward.errors import EngineError, HandOffError


def require_policy(directory: Path, digest: str) -> None:
    """Raises DataError for a broken directory, HandOffError for weights of another digest."""
    validate_model_directory(directory)
    found = combined_digest(tensor_checksums(directory))
    if found != digest:
        raise HandOffError(
            f"checkpoint {directory}: its weights have digest {found[:16]}, expected {digest[:16]}; "
            "it was changed after it was recorded: restore it, or start another run from it"
        )


class Speech:
    """The chat renderer of the policy that an engine holds, read again only where a directory's text files differ."""

    def __init__(self, engine: str, trust_remote_code: bool) -> None:
        self._engine, self._trust = engine, trust_remote_code
        self._renderer: ChatRenderer | None = None
        self._digest = ""

    def learn(self, directory: Path) -> None:
        digest = chat_digest(directory)
        if self._renderer is None or digest != self._digest:
            self._renderer = load_renderer(directory, self._trust)
            self._digest = digest

    def forget(self) -> None:
        self._renderer, self._digest = None, ""

    @property
    def chat(self) -> ChatRenderer:
        if self._renderer is None:
            raise EngineError(f"the {self._engine} engine holds no policy; call load(directory, digest) first")
        return self._renderer
