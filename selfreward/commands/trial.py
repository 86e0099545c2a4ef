"""A trial run of the start policy's directory, before anything is sampled: load, sample, save, load again.

Every failure that only the real directory shows (a missing tensor, a tokenizer whose ids the embedding lacks, settings
that transformers refuses to write, code that does not travel) comes here, in seconds, and not after a round's answers.
It takes the same way as the run: the engine's own loading and hand-off check, two tokens of two replies, the trainer's
own saving, into a directory on the results' disk that is removed again.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from selfreward.engines.chat import load_renderer
from selfreward.engines.handoff import verify
from selfreward.engines.hugging_face.engine import HuggingFaceEngine
from selfreward.engines.protocol import Request
from selfreward.engines.tensors import tensor_checksums
from selfreward.errors import DataError, HandOffError
from selfreward.recipe import Recipe
from selfreward.records import Message
from selfreward.store.files import on_disk
from selfreward.training.output import save_policy

_LIBRARIES = (AssertionError, ImportError, LookupError, TypeError, ValueError, AttributeError, RuntimeError)
"""What torch and transformers raise of a model that they cannot carry out."""

SHOWN = 3


def try_out(
    directory: Path,
    digest: str,
    recipe: Recipe,
    questions: Sequence[tuple[Message, ...]],
    disk: Path | None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Raise DataError where the start policy in `directory` cannot go once around; `disk` is where results will lie."""
    model, where = recipe.model, f"model directory {directory}"
    if say is not None:
        say(f"trial run of {directory}: load, two tokens, save, load again")
    engine = HuggingFaceEngine(model, recipe.engine)
    try:
        with told(directory, "loaded"):
            engine.load(directory, digest)
        _require_embeddings(engine, directory, recipe, questions)
        try:
            verify(engine, directory, recipe.handoff, model.dtype)
        except HandOffError as problem:
            raise DataError(
                f"{where}: once loaded, its tensors are not those of its file, so no hand-off could be checked; save "
                f"it again with this version of transformers ({problem})"
            ) from problem
        if say is not None:
            _say_strays(engine, directory, say)
        with told(directory, "sampled from"):
            engine.generate([Request(str(i), one, 2, 1.0, 1.0, 2, 0) for i, one in enumerate(questions[:2])], 0)
        with scratch(disk) as out:
            with told(directory, "saved"):
                saved = save_policy(engine.module, directory, out, ())
            with told(out, f"loaded again once {directory} was saved"):
                load_renderer(out, model)
                engine.load(out, saved)
                verify(engine, out, recipe.handoff, model.dtype)
    finally:
        engine.close()


@contextmanager
def told(directory: Path, what: str) -> Iterator[None]:
    """A library's own error as a DataError that says at which step of the trial it came."""
    try:
        yield
    except _LIBRARIES as problem:
        raise DataError(
            f"model directory {directory}: cannot be {what} ({type(problem).__name__}: {problem!s:.300}); nothing "
            "was sampled. Take a directory that transformers loads and saves, or another architecture"
        ) from problem


@contextmanager
def scratch(disk: Path | None) -> Iterator[Path]:
    """An empty directory on the disk that `disk` will be on, gone afterwards."""
    there = disk
    while there is not None and not there.is_dir():
        there = None if there == there.parent else there.parent
    with on_disk(disk or Path(tempfile.gettempdir())):
        made = Path(tempfile.mkdtemp(prefix=".trial-", dir=there))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _require_embeddings(
    engine: HuggingFaceEngine, directory: Path, recipe: Recipe, questions: Sequence[tuple[Message, ...]]
) -> None:
    """Raise DataError where a prompt or a word of the vocabulary has a token that the model has no embedding for."""
    renderer = load_renderer(directory, recipe.model)
    rows = engine.module.get_input_embeddings().weight.shape[0]
    added = set(renderer.tokenizer.added_tokens_decoder)
    words = [index for index in renderer.tokenizer.get_vocab().values() if index >= rows and index not in added]
    prompts = renderer.prompt_token_ids(list(questions)) if questions else []
    beyond = [*words, *(index for prompt in prompts for index in prompt if index >= rows)]
    if beyond:
        token = renderer.tokenizer.convert_ids_to_tokens(beyond[0])
        raise DataError(
            f"model directory {directory}: its tokenizer makes token {beyond[0]} ({token!r}), but the model has "
            f"{rows} embeddings; take tokenizer and weights of the same model, or resize the embeddings with "
            "model.resize_token_embeddings(len(tokenizer)) and save it again"
        )


def _say_strays(engine: HuggingFaceEngine, directory: Path, say: Callable[[str], None]) -> None:
    """One line about tensors of the file that the model does not compute with."""
    held, stored = engine.checksums(), tensor_checksums(directory)
    contents = set(held.values())
    strays = sorted(name for name, checksum in stored.items() if name not in held and checksum not in contents)
    if strays:
        more = f" and {len(strays) - SHOWN} more" if len(strays) > SHOWN else ""
        say(
            f"{directory}: {len(strays)} tensors of the file are no part of the model and are left alone: "
            f"{', '.join(strays[:SHOWN])}{more}"
        )
