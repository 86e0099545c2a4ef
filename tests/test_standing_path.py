"""What compiles is built on one path for each architecture, which leads to the checkpoint that is wanted."""

import os
import threading
from pathlib import Path

import pytest

from selfreward.commands.preflight_models import SANDBOX_SEEDS
from selfreward.engines.tensors import weights_digest
from selfreward.errors import StoreError
from selfreward.recipe import ModelRecipe, Recipe, VllmRecipe
from selfreward.roles.cast import engine_of
from selfreward.store.standing_path import standing_path

LLAMA, OTHER = {"model_type": "llama", "hidden_size": 8}, {"hidden_size": 16, "model_type": "llama"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELFREWARD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def checkpoint(directory: Path) -> Path:
    directory.mkdir()
    (directory / "name").write_text(directory.name)
    return directory


def test_equal_architectures_share_a_path_that_leads_to_the_wanted_checkpoint(tmp_path: Path) -> None:
    first, second = checkpoint(tmp_path / "first"), checkpoint(tmp_path / "second")
    seen = []
    for directory, architecture in ((first, LLAMA), (second, dict(reversed(LLAMA.items()))), (first, OTHER)):
        with standing_path(directory, architecture) as path:
            assert (path / "name").read_text() == directory.name and path.resolve() == directory
            seen.append(path)
    assert seen[0] == seen[1] != seen[2]


class Elsewhere:
    """What vLLM would be built on."""

    def __init__(self, place: Path, *_: object) -> None:
        self.place, self.leads_to = place, place.resolve()


@pytest.mark.parametrize("compiles", [True, False])
def test_only_what_compiles_is_built_on_it(cache: Path, monkeypatch: pytest.MonkeyPatch, compiles: bool) -> None:
    monkeypatch.setattr("selfreward.engines.vllm.engine.require_vllm", lambda: "none is needed")
    monkeypatch.setattr("selfreward.engines.vllm.engine.VllmProcess", Elsewhere)
    recipe = Recipe(model=ModelRecipe(device="cpu"), engine=VllmRecipe(enforce_eager=not compiles))
    built = []
    for directory in (SANDBOX_SEEDS / "seed-0", SANDBOX_SEEDS / "seed-1"):
        engine = engine_of(recipe)
        engine.load(directory, weights_digest(directory))
        assert engine._process.leads_to == directory.resolve()  # type: ignore[attr-defined]
        built.append(engine._process.place)  # type: ignore[attr-defined]
    assert (built[0] == built[1]) == compiles == cache.exists()


def test_the_link_does_not_move_under_a_vllm_that_still_reads(tmp_path: Path) -> None:
    first, second = checkpoint(tmp_path / "first"), checkpoint(tmp_path / "second")
    order, building = [], threading.Event()

    def other_run() -> None:
        building.wait()
        with standing_path(second, LLAMA) as path:
            order.append((path / "name").read_text())

    thread = threading.Thread(target=other_run)
    thread.start()
    with standing_path(first, LLAMA) as path:
        building.set()
        thread.join(0.3)  # it waits, so this runs out
        order.append((path / "name").read_text())
    thread.join()
    assert order == ["first", "second"]


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path: Path, cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"), standing_path(tmp_path, LLAMA):
        pass


def test_an_engine_that_was_forked_meanwhile_does_not_keep_the_path_from_others(tmp_path: Path) -> None:
    ended, end = os.pipe()
    with standing_path(tmp_path, LLAMA):
        child = os.fork()
        if not child:
            os.close(end)
            os.read(ended, 1)  # until the parent closes its side
            os._exit(0)
    taken = threading.Event()

    def next_run() -> None:
        with standing_path(tmp_path, LLAMA):
            taken.set()

    thread = threading.Thread(target=next_run, daemon=True)
    thread.start()
    free = taken.wait(10)
    os.close(end)
    os.waitpid(child, 0)
    assert free
