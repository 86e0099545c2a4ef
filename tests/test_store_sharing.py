"""What two runs share is one file on disk, never changed in place, gone when no run links it."""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_child import ENVIRONMENT, responses_work, train

from selfreward.errors import StoppedError, StoreError
from selfreward.recipe import GenerateRecipe, Recipe
from selfreward.records import Response
from selfreward.store.results import Run, Store
from selfreward.store.sharing import locked


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def open_run(store: Store, name: str) -> Run:
    return store.open_run(name, Recipe(), environment=ENVIRONMENT)


def fill(store: Store, name: str, rounds: int = 1) -> Run:
    with open_run(store, name) as run:
        for number in range(rounds):
            run.complete(responses_work(round=number))
            run.complete_directory(number, "checkpoint", {"round": number}, train())
    return run


def happened(run: Run, event: str) -> int:
    return sum(line["event"] == event for line in run.events())


def weights(run: Run, number: int = 0) -> Path:
    return run.directory(number) / "checkpoint" / "model.safetensors"


def test_a_second_run_links_and_computes_nothing(store: Store) -> None:
    first, second = fill(store, "a"), fill(store, "b")
    assert (happened(first, "sealed"), happened(second, "sealed"), happened(second, "linked")) == (2, 0, 2)
    assert happened(second, "chunk_started") == 0
    assert weights(first).samefile(weights(second))
    assert not weights(first).stat().st_mode & 0o222
    assert first.seal(0, "responses") == second.seal(0, "responses")


def test_without_sharing_there_is_no_shared_store(tmp_path: Path) -> None:
    store = Store(tmp_path, share=False)
    first, second = fill(store, "a"), fill(store, "b")
    assert not (tmp_path / ".store").exists()
    assert not weights(first).samefile(weights(second))
    assert weights(first).read_bytes() == weights(second).read_bytes()


def test_an_edited_shared_file_is_not_linked_into_another_run(store: Store) -> None:
    first = fill(store, "a")
    weights(first).chmod(0o644)
    weights(first).write_text("poison")
    second = fill(store, "b")
    assert weights(second).read_text() != "poison"
    with pytest.raises(StoreError, match=r"model\.safetensors"):
        first.read_directory(0)


def test_where_links_are_impossible_files_are_copied(store: Store, tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    elsewhere = other / f"selfreward-test-{os.getpid()}"
    elsewhere.mkdir()
    try:
        store.root.mkdir()
        (store.root / ".store").symlink_to(elsewhere)
        first, second = fill(store, "a"), fill(store, "b")
        assert happened(second, "linked") == 2
        assert weights(first).read_bytes() == weights(second).read_bytes()
        assert not weights(first).samefile(weights(second))
        second.read_directory(0)
        # The runs have their own copies, so the shared ones are needed by nobody.
        assert store.gc().removed == 2
    finally:
        shutil.rmtree(elsewhere)


def test_gc_removes_only_what_no_run_links(store: Store) -> None:
    first, _ = fill(store, "a"), fill(store, "b")
    with open_run(store, "c") as other:
        other.complete(responses_work(made_from={"temperature": 0.3}))
    assert (store.gc().removed, store.gc().kept) == (0, 3)
    shutil.rmtree(other.path)
    report = store.gc()
    assert (report.removed, report.kept) == (1, 2)
    assert report.freed_bytes > 4000
    shutil.rmtree(first.path)
    assert (store.gc().removed, store.gc().kept) == (0, 2)
    shutil.rmtree(store.root / "b")
    assert store.gc().removed == 2
    assert list((store.root / ".store").iterdir()) == []


def test_a_lock_file_that_was_deleted_protects_nobody(tmp_path: Path) -> None:
    """Whoever waited for a lock that `gc` deletes must not end up beside a third one with the new file."""
    path = tmp_path / "f.lock"
    waiting, acquired, done = threading.Event(), threading.Event(), threading.Event()

    def wait_and_hold() -> None:
        with locked(path, on_wait=waiting.set):
            acquired.set()
            done.wait(10)

    thread = threading.Thread(target=wait_and_hold)
    with locked(path):
        thread.start()
        assert waiting.wait(10)
        path.unlink()
    try:
        assert acquired.wait(10)
        with locked(path, wait=False) as mine:
            assert not mine
    finally:
        done.set()
        thread.join()


def test_gc_leaves_what_is_being_computed_and_what_is_not_its_own(store: Store) -> None:
    reports = []

    def collect(_: int) -> None:
        (store.root / ".store" / "README").write_text("not an entry")
        reports.append(store.gc())

    with open_run(store, "a") as run:
        run.complete(responses_work(before=collect))
        assert [report.removed for report in reports] == [0] * 4
        assert (store.root / ".store" / "README").exists()
        locks = list((store.root / ".store").glob("*.lock"))
    assert len(locks) == 1
    assert happened(fill(store, "b", rounds=2), "linked") == 1


def test_discarding_weights_frees_them_once_no_run_needs_them(store: Store) -> None:
    first, second = fill(store, "a"), fill(store, "b")
    entries = set((store.root / ".store").rglob("model.safetensors"))
    assert len(entries) == 1
    first.discard_weights(0)
    assert weights(second).exists() and entries.pop().exists()
    second.discard_weights(0)
    assert not list((store.root / ".store").rglob("model.safetensors"))
    assert not list(store.root.rglob("model.safetensors"))
    for name in ("a", "b"):
        fill(store, name)
    assert not list(store.root.rglob("model.safetensors")), "a pruned checkpoint was built again"


def test_a_fork_inherits_rounds_and_goes_its_own_way_from_there(store: Store) -> None:
    source = fill(store, "a", rounds=3)
    changed = Recipe(generate=GenerateRecipe(samples=2))
    store.fork("a", 1, "b", changed, ENVIRONMENT)
    with store.open_run("b", changed, environment=ENVIRONMENT) as fork:
        assert fork.rounds() == [0, 1]
        assert weights(fork, 1).samefile(weights(source, 1))
        inherited = fork.complete(responses_work(round=1, made_from={"temperature": 0.1}))
        assert inherited == source.read(1, "responses", Response)
        fork.complete_directory(1, "checkpoint", {"another": "recipe"}, train())
        assert happened(fork, "chunk_started") == 0
        fork.complete(responses_work(round=2, made_from={"temperature": 0.1}))
        assert happened(fork, "chunk_started") == 4
        with pytest.raises(StoreError, match=r"temperature = 0\.1, now it is 0\.2"):
            fork.complete(responses_work(round=2, made_from={"temperature": 0.2}))
    origin = store.existing("b").info()["forked_from"]
    assert (origin["run"], origin["round"], len(origin["artifacts"])) == ("a", 1, 4)
    assert store.existing("b").recipe() == changed
    assert not list(store.root.glob(".fork-*"))


def test_what_a_fork_inherits_is_checked_like_everything_else(store: Store) -> None:
    fill(store, "a")
    store.fork("a", 0, "b", Recipe(), ENVIRONMENT)
    with open_run(store, "b") as fork:
        weights(fork).unlink()
        weights(fork).write_text("other")
        with pytest.raises(StoreError, match="torn or edited"):
            fork.complete_directory(0, "checkpoint", {"round": 0}, train())


@pytest.fixture
def stopped(store: Store) -> Iterator[Run]:
    """A run whose round 1 is not finished."""

    def stop(index: int) -> None:
        if index == 2:
            raise StoppedError("stopped")

    with open_run(store, "a") as run:
        run.complete(responses_work(round=0))
        with pytest.raises(StoppedError):
            run.complete(responses_work(round=1, before=stop))
    yield run


def test_a_fork_needs_finished_rounds_and_a_new_name(store: Store, stopped: Run) -> None:
    for number, name, complaint in [(1, "b", "not finished"), (7, "b", "no round 7"), (0, stopped.name, "exists")]:
        with pytest.raises(StoreError, match=complaint):
            store.fork("a", number, name, Recipe(), ENVIRONMENT)
    assert [path.name for path in store.root.iterdir() if path.name != ".store"] == ["a"]
