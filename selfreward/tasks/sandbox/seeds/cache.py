"""Where sandbox models lie: some ship with the package, any other is trained when it is first wanted, and kept.

The cache is store/cache.py's. An entry's name ends in a digest of everything that determines the model: the recipe,
the version of world and lessons, the versions of the libraries, and what it goes on from. It is trained in a directory
beside, under a lock, and gets its name by one rename, so it is whole or not there; a second process that wants it
waits.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from selfreward.store.cache import cache_directory
from selfreward.store.files import digest_file, fsync_directory, make_durable, on_disk, remove
from selfreward.store.sharing import locked
from selfreward.tasks.sandbox.seeds.names import SeedName
from selfreward.tasks.sandbox.seeds.recipe import (
    SEED_VERSION,
    ConstitutionRecipe,
    DialledRecipe,
    QuestionsRecipe,
    SeedRecipe,
    with_budget,
)

SHIPPED = Path(__file__).parent
LIBRARIES = ("torch", "transformers", "trl")
Say = Callable[[str], None]
Train = Callable[[SeedRecipe | DialledRecipe, Path | None, Path, Say], None]
"""Recipe, the plain seed that a dialled one goes on from, where to write, who is told."""


def recipe_of(name: SeedName) -> SeedRecipe | DialledRecipe:
    plain = SeedRecipe(seed=name.seed)
    if name.stopped is not None:
        return with_budget(plain, round(name.stopped * plain.tokens))
    if name.bad_word is not None:
        return ConstitutionRecipe(plain, name.annotator, bad_word=name.bad_word)
    if name.questions is not None:
        return QuestionsRecipe(plain, name.annotator, questions=name.questions)
    return DialledRecipe(plain, name.annotator) if name.dials else plain


def known_directory(name: SeedName) -> Path | None:
    """The model's directory if it ships or was trained before; None otherwise."""
    directory = _place(name, recipe_of(name))
    return directory if directory.is_dir() else None


def seed_directory(
    name: SeedName, say: Say, recipe: SeedRecipe | DialledRecipe | None = None, train: Train | None = None
) -> Path:
    """The model's directory; what is not there yet is trained first, on one thread.

    `recipe` replaces what `recipe_of` says, under the same name, and `train` how it is trained (`train_model`).
    Raises StoreError where the cache cannot be written.
    """
    recipe, train = recipe or recipe_of(name), train or train_model
    directory = _place(name, recipe)
    if directory.is_dir():
        return directory
    start = None
    if isinstance(recipe, DialledRecipe):
        start = seed_directory(replace(name, dials=()), say, recipe.start, train)
    with on_disk(directory.parent):
        directory.parent.mkdir(parents=True, exist_ok=True)
        waiting = f"sandbox model {name} is being trained by another process; waiting for it"
        with locked(directory.with_name(f"{directory.name}.lock"), on_wait=lambda: say(waiting)):
            if not directory.is_dir():
                tokens = f"{recipe.tokens / 1e6:.1f} M tokens on CPU"
                say(f"sandbox model {name} does not ship: training it once ({tokens}) into {directory}")
                fill(directory, lambda out: train(recipe, start, out, lambda line: say(f"{name}: {line}")))
                say(f"sandbox model {name} is ready: {directory}")
    return directory


def fill(directory: Path, write: Callable[[Path], None]) -> None:
    """Write beside, then rename. The caller holds the lock, so what lies beside was left by a killed process."""
    beside = directory.with_name(f"{directory.name}.part")
    remove(beside)
    try:
        write(beside)
        make_durable(beside)
        beside.rename(directory)
        fsync_directory(directory.parent)
    finally:
        remove(beside)


def train_model(recipe: SeedRecipe | DialledRecipe, start: Path | None, out: Path, say: Say, **settings: int) -> None:
    """Train what `recipe` says into `out`; a dialled seed goes on from the plain one in `start`.

    `settings`: `skill_prompts`, on how many prompts its skill is measured.
    """
    if isinstance(recipe, DialledRecipe):
        from selfreward.tasks.sandbox.seeds.dialled import train_dialled

        assert start is not None, "a dialled seed goes on from a plain one"
        train_dialled(recipe, start, out, progress=say, **settings)
        return
    from selfreward.tasks.sandbox.seeds.bootstrap import train_seed

    train_seed(recipe, out, progress=say, **settings)


def _place(name: SeedName, recipe: SeedRecipe | DialledRecipe) -> Path:
    """Where the model lies, or will."""
    shipped = SHIPPED / name.file_name
    if recipe == recipe_of(name) and shipped.is_dir():
        return shipped
    return cache_directory() / "seeds" / f"{name.file_name}-{_digest(name, recipe)[:16]}"


def _digest(name: SeedName, recipe: SeedRecipe | DialledRecipe) -> str:
    made_from: dict[str, Any] = {
        "recipe": asdict(recipe),
        "libraries": {library: version(library) for library in LIBRARIES},
        "version": SEED_VERSION,
    }
    if isinstance(recipe, DialledRecipe):
        start = _place(replace(name, dials=()), recipe.start)
        shipped = start.parent == SHIPPED
        made_from["start"] = digest_file(start / "model.safetensors") if shipped else start.name
    return sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
