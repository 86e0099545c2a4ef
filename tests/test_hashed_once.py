"""Weights are hashed once in a hand-off, and anew whenever the file may have changed."""

import os
import shutil
import time
from pathlib import Path

import pytest
from training_factory import CPU, tiny_policy

from selfreward.engines import hashed_once, tensors
from selfreward.engines.handoff import verify
from selfreward.engines.hugging_face.engine import HuggingFaceEngine
from selfreward.engines.tensors import weights_digest
from selfreward.errors import HandOffError
from selfreward.recipe import HandOffRecipe, TransformersRecipe


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read for their hashes, in order."""
    read: list[str] = []
    compute = tensors._file_checksums

    def noted(file: Path) -> dict[str, str]:
        read.append(file.parent.name)
        return compute(file)

    monkeypatch.setattr(tensors, "_file_checksums", noted)
    return read


def settled(directory: Path) -> Path:
    """`directory`, once its files are older than the grain of their times."""
    time.sleep(2 * hashed_once.GRAIN)
    return directory


def test_a_hand_off_hashes_each_checkpoint_once(tmp_path: Path, hashed: list[str]) -> None:
    first, second = (tiny_policy(tmp_path / name, seed) for seed, name in enumerate(("first", "second")))
    settled(second)
    engine = HuggingFaceEngine(CPU, TransformersRecipe())
    for directory in (first, second, first):
        engine.load(directory, weights_digest(directory))
        verify(engine, directory, HandOffRecipe())
    assert hashed == ["first", "second"]


def test_a_file_that_is_written_over_is_hashed_anew_even_with_its_old_times(tmp_path: Path) -> None:
    first, second = (tiny_policy(tmp_path / name, seed) for seed, name in enumerate(("first", "second")))
    digests = [weights_digest(settled(first)), weights_digest(second)]
    file = first / "model.safetensors"
    before = file.stat()
    shutil.copyfile(second / "model.safetensors", file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_ino) == (before.st_size, before.st_ino)
    assert weights_digest(first) == digests[1] != digests[0]
    with pytest.raises(HandOffError, match="changed after it was recorded"):
        HuggingFaceEngine(CPU, TransformersRecipe()).load(first, digests[0])


def test_a_small_file_of_just_now_is_not_remembered_and_a_large_one_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    calls: list[float] = []

    def hashes(file: Path) -> dict[str, str]:
        calls.append(time.time() - file.stat().st_ctime)
        return {"tensor": file.read_text()}

    file.write_text("a")
    for _ in range(2):
        hashed_once.hashed_once(file, hashes)
    assert len(calls) == 2
    monkeypatch.setattr(hashed_once, "LARGE", 1)
    file.write_text("b")
    assert [hashed_once.hashed_once(file, hashes) for _ in range(2)] == [{"tensor": "b"}] * 2
    assert len(calls) == 3 and calls[-1] >= hashed_once.GRAIN


def test_a_file_that_changes_while_it_is_read_is_not_remembered(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a")
    settled(tmp_path)

    def hashes(file: Path) -> dict[str, str]:
        found = file.read_text()
        file.write_text("b")
        return {"tensor": found}

    assert hashed_once.hashed_once(file, hashes) == {"tensor": "a"}
    settled(tmp_path)
    assert hashed_once.hashed_once(file, lambda file: {"tensor": file.read_text()}) == {"tensor": "b"}


def test_only_so_many_files_are_remembered(tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(hashed_once.KEPT + 5)]
    for file in files:
        file.write_text(file.name)
    settled(tmp_path)
    for file in files:
        hashed_once.hashed_once(file, lambda file: {"tensor": file.name})
    assert len(hashed_once._known) == hashed_once.KEPT
