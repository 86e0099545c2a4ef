"""The store is judged by what is on disk after it was interrupted, torn, edited or asked for something else."""

import dataclasses
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_child import ENVIRONMENT, STEPS, drops_work, response, responses_work, train

from selfreward.errors import RunBusyError, StoppedError, StoreError
from selfreward.recipe import JudgeRecipe, MeanAggregate, Recipe
from selfreward.records import Drop, Labelled, Measurement, Message, Prompt, Response
from selfreward.store.chunks import UnfinishedArtifact, row_key
from selfreward.store.results import Run, Store, Work
from selfreward.store.seals import first_difference, stamp


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results", share=False)


def open_run(store: Store, name: str = "run", recipe: Recipe | None = None) -> Run:
    return store.open_run(name, recipe or Recipe(), environment=ENVIRONMENT)


def stop_at(chunk: int) -> Any:
    def stop(index: int) -> None:
        if index == chunk:
            raise StoppedError("stopped")

    return stop


def computed(run: Run) -> list[int]:
    return [event["chunk"] for event in run.events() if event["event"] == "chunk_started"]


def test_rows_come_back_sorted_sealed_and_are_not_computed_again(store: Store) -> None:
    with open_run(store) as run:
        rows = run.complete(responses_work())
        assert [row.id for row in rows] == sorted(row.id for row in rows)
        assert set(rows) == {response(prompt, sample) for prompt in range(12) for sample in range(2)}
        assert run.complete(responses_work(before=stop_at(0))) == rows
        assert computed(run) == [0, 1, 2, 3]
        seal = run.seal(1, "responses")
        assert seal is not None
        assert (seal.rows, seal.tokens) == (24, sum(len(row.token_ids) for row in rows))
        assert [event["event"] for event in run.events()][-2:] == ["sealed", "reused"]
    view = store.existing("run")
    assert view.read(1, "responses", Response) == rows
    assert view.rounds() == [1]
    assert not list(view.path.rglob("*.part")) and not list(view.path.rglob("*.chunks.jsonl"))


def test_two_equal_runs_have_equal_bytes(store: Store) -> None:
    for name in ("a", "b"):
        with open_run(store, name) as run:
            run.complete(responses_work())
    files = [store.existing(name).directory(1) / "responses.jsonl" for name in ("a", "b")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].stat().st_ino != files[1].stat().st_ino


def test_progress_starts_at_what_is_there(store: Store) -> None:
    seen: list[tuple[str, int, int]] = []
    with open_run(store) as run, pytest.raises(StoppedError):
        run.complete(responses_work(before=stop_at(2)))
    with store.open_run(
        "run",
        Recipe(),
        environment=ENVIRONMENT,
        progress=lambda work, done, all_: seen.append((work.artifact, done, all_)),
    ) as run:
        run.complete(responses_work())
    assert seen == [("responses", 2, 4), ("responses", 3, 4), ("responses", 4, 4)]


@pytest.mark.parametrize("interrupt", [StoppedError, KeyboardInterrupt])
def test_an_interrupt_inside_a_chunk_leaves_only_whole_chunks(store: Store, interrupt: type[BaseException]) -> None:
    """The generator is stopped after some rows of chunk 2 were already yielded."""
    work = responses_work()

    def compute(prompts: Any, index: int) -> Iterator[Response]:
        for number, row in enumerate(work.compute(prompts, index)):
            if (index, number) == (2, 3):
                raise interrupt
            yield row

    with open_run(store) as run:
        with pytest.raises(interrupt):
            run.complete(dataclasses.replace(work, compute=compute))
        assert run.seal(1, "responses") is None
        assert (run.directory(1) / "responses.jsonl.part").read_bytes().count(b"\n") == 12
        rows = run.complete(work)
        assert computed(run) == [0, 1, 2, 2, 3]
    with open_run(store, "whole") as run:
        assert run.complete(work) == rows


def test_a_part_begun_under_another_fingerprint_is_thrown_away(store: Store) -> None:
    with open_run(store) as run:
        with pytest.raises(StoppedError):
            run.complete(responses_work(before=stop_at(3), made_from={"temperature": 0.5}))
        run.complete(responses_work())
        assert computed(run) == [0, 1, 2, 3, 0, 1, 2, 3]


def torn_copy(origin: Path, copy: Path, part_size: int, journal_size: int, junk: bytes = b"") -> None:
    copy.mkdir(parents=True, exist_ok=True)
    for name, size in (("dropped.jsonl.part", part_size), ("dropped.chunks.jsonl", journal_size)):
        data = (origin / name).read_bytes()
        (copy / name).write_bytes(data[:size] + junk)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A round directory in which two of three chunks are there, and the bytes of the finished artifact."""
    store = Store(tmp_path_factory.mktemp("interrupted"), share=False)
    with open_run(store, "cut") as cut, pytest.raises(StoppedError):
        cut.complete(drops_work(stop_at(2)))
    with open_run(store, "whole") as whole:
        whole.complete(drops_work())
    return cut.directory(1), (whole.directory(1) / "dropped.jsonl").read_bytes()


def survivors(directory: Path) -> int:
    """How many chunks are kept; afterwards part and journal hold these and nothing else."""
    wanted = stamp(1, "dropped", drops_work().made_from)
    unfinished = UnfinishedArtifact(directory, wanted, 3)
    end = unfinished.entries[-1].end if unfinished.entries else 0
    assert unfinished.part.stat().st_size == end
    assert unfinished.journal.read_bytes().count(b"\n") == len(unfinished.entries) + 1
    return len(unfinished.entries)


def test_a_torn_tail_at_every_byte_keeps_exactly_the_whole_chunks(
    interrupted: tuple[Path, bytes], tmp_path: Path
) -> None:
    origin, _ = interrupted
    part, journal = ((origin / f"dropped.{ending}").read_bytes() for ending in ("jsonl.part", "chunks.jsonl"))
    part_ends = [0, *(offset + 1 for offset, byte in enumerate(part) if byte == ord("\n"))]
    journal_ends = [offset + 1 for offset, byte in enumerate(journal) if byte == ord("\n")][1:]
    assert (len(part_ends), len(journal_ends)) == (3, 2)
    for size in range(len(part) + 1):
        torn_copy(origin, tmp_path / "torn", size, len(journal))
        assert survivors(tmp_path / "torn") == sum(end <= size for end in part_ends[1:]), f"part cut at {size}"
    for size in range(len(journal) + 1):
        torn_copy(origin, tmp_path / "torn", len(part), size)
        assert survivors(tmp_path / "torn") == sum(end <= size for end in journal_ends), f"journal cut at {size}"


def test_a_chunk_whose_bytes_changed_is_computed_again(interrupted: tuple[Path, bytes], tmp_path: Path) -> None:
    """The length is right and the row is whole JSON; only the journal's digest tells."""
    origin, _ = interrupted
    part = (origin / "dropped.jsonl.part").read_bytes()
    assert b"e" in part
    for position, kept in ((part.index(b"e"), 0), (part.rindex(b"e"), 1)):
        torn_copy(origin, tmp_path / "edited", 1 << 20, 1 << 20)
        edited = part[:position] + b"a" + part[position + 1 :]
        (tmp_path / "edited" / "dropped.jsonl.part").write_bytes(edited)
        assert survivors(tmp_path / "edited") == kept


@settings(max_examples=25)
@given(st.floats(0, 1), st.floats(0, 1), st.binary(max_size=40))
def test_whatever_a_crash_leaves_the_finished_bytes_are_the_same(
    interrupted: tuple[Path, bytes], tmp_path_factory: pytest.TempPathFactory, part: float, journal: float, junk: bytes
) -> None:
    origin, expected = interrupted
    store = Store(tmp_path_factory.mktemp("crash"), share=False)
    sizes = [(origin / f"dropped.{ending}").stat().st_size for ending in ("jsonl.part", "chunks.jsonl")]
    with open_run(store) as run:
        torn_copy(origin, run.directory(1), round(part * sizes[0]), round(journal * sizes[1]), junk)
        run.complete(drops_work())
        assert (run.directory(1) / "dropped.jsonl").read_bytes() == expected
        assert len(set(computed(run))) == len(computed(run))


def test_an_edited_artifact_is_refused_by_name_and_computed_again_when_deleted(store: Store) -> None:
    with open_run(store) as run:
        rows = run.complete(responses_work())
        path = run.directory(1) / "responses.jsonl"
        path.chmod(0o644)
        path.write_bytes(path.read_bytes().replace(b"short", b"SHORT", 1))
        for read in (lambda: run.complete(responses_work()), lambda: run.read(1, "responses", Response)):
            with pytest.raises(StoreError, match=r"responses\.jsonl.*torn or edited.*delete.*responses\.done\.json"):
                read()
        path.unlink()
        with pytest.raises(StoreError, match=r"responses\.jsonl is missing"):
            run.complete(responses_work())
        (run.directory(1) / "responses.done.json").unlink()
        assert run.complete(responses_work()) == rows


def test_a_cut_seal_counts_as_none(store: Store) -> None:
    with open_run(store) as run:
        run.complete(drops_work())
        seal = run.directory(1) / "dropped.done.json"
        whole, seal_bytes = (run.directory(1) / "dropped.jsonl").read_bytes(), seal.read_bytes()
        for size in range(0, len(seal_bytes) - 2, 37):
            seal.unlink()
            seal.write_bytes(seal_bytes[:size])
            assert run.seal(1, "dropped") is None
            with pytest.raises(StoreError, match="not finished"):
                run.read(1, "dropped", Drop)
        run.complete(drops_work())
        assert run.seal(1, "dropped") is not None
        assert (run.directory(1) / "dropped.jsonl").read_bytes() == whole


def test_another_fingerprint_is_refused_with_the_first_differing_field(store: Store) -> None:
    with open_run(store) as run:
        run.complete(responses_work(made_from={"judge": {"samples": 3, "template": "a"}, "zeta": 1}))
        with pytest.raises(StoreError, match=r"round 1, responses.*judge\.samples = 3, now it is 4.*fork run@0"):
            run.complete(responses_work(made_from={"judge": {"samples": 4, "template": "a"}, "zeta": 2}))


def test_the_order_of_fields_and_tuples_do_not_change_a_fingerprint() -> None:
    assert stamp(1, "a", {"x": (1, 2), "y": 0}).fingerprint == stamp(1, "a", {"y": 0, "x": [1, 2]}).fingerprint
    others = [stamp(2, "a", {"x": 1}), stamp(1, "b", {"x": 1}), stamp(1, "a", {"x": 2}), stamp(1, "a", {"x": 1})]
    assert len({other.fingerprint for other in others}) == 4


@given(st.dictionaries(st.text(max_size=3), st.integers() | st.dictionaries(st.text(max_size=2), st.integers())))
def test_a_value_differs_from_itself_nowhere_and_from_an_extension_there(value: dict[str, Any]) -> None:
    assert first_difference(value, json.loads(json.dumps(value))) is None
    assert first_difference(value, {**value, "longer-than-any": 1}) == ("longer-than-any", "absent", 1)


def test_two_rows_with_one_id_are_refused(store: Store) -> None:
    work: Work[int, Response] = dataclasses.replace(responses_work(), compute=lambda _, __: [response(1, 1)])
    with open_run(store) as run:
        with pytest.raises(StoreError, match=f"two rows of Response have the id {response(1, 1).id}"):
            run.complete(work)
        assert run.seal(1, "responses") is None


def test_rows_without_an_id_are_told_apart_by_their_key_fields() -> None:
    base = Measurement(1, "p", "accuracy", "all", "report", 0.5, 0.4, 0.6, 9, 0, "higher")
    assert row_key(base) == row_key(dataclasses.replace(base, value=0.7))
    for change in ({"round": 2}, {"policy": "q"}, {"metric": "m"}, {"cohort": "c"}, {"pool": "gate"}):
        assert row_key(base) != row_key(dataclasses.replace(base, **change))
    prompt = Prompt("p", (Message("user", "sort"),), "frozen", "sandbox")
    answers = [Labelled(prompt, response(1, sample), 3.0) for sample in range(2)]
    assert row_key(answers[0]) != row_key(answers[1])


def test_identity_keys_are_refused_by_name_and_horizon_keys_may_change(store: Store) -> None:
    open_run(store, recipe=Recipe(rounds=3)).close()
    with pytest.raises(
        StoreError, match=r"made with judge\.aggregate\.samples=\d+, now it is judge\.aggregate\.samples=9.*--name"
    ):
        open_run(store, recipe=Recipe(judge=JudgeRecipe(aggregate=MeanAggregate(samples=9))))
    assert store.existing("run").recipe() == Recipe(rounds=3)
    open_run(store, recipe=Recipe(rounds=5)).close()
    assert store.existing("run").recipe() == Recipe(rounds=5)


def test_another_environment_is_recorded_not_refused(store: Store) -> None:
    open_run(store).close()
    open_run(store).close()
    store.open_run("run", Recipe(), environment={"torch": "2.1", "device": "cuda"}).close()
    info = store.existing("run").info()
    assert [entry["environment"]["torch"] for entry in info["environments"]] == ["2.0", "2.1"]
    assert info["seed"] == Recipe().seed


def test_a_run_is_open_once_and_again_after_it_was_closed(store: Store) -> None:
    with open_run(store), pytest.raises(RunBusyError, match="is working on it"):
        open_run(store)
    open_run(store).close()


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".store", "-x"])
def test_a_name_that_is_not_one_directory_is_refused(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="run name"):
        open_run(store, name)


def test_an_unknown_run_is_named_with_those_that_exist(store: Store) -> None:
    open_run(store, "alpha").close()
    with pytest.raises(StoreError, match=r"no run 'beta'.*alpha"):
        store.existing("beta")
    assert store.existing(store.root / "alpha").name == "alpha"


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses to write on, as a full disk does; this also holds for the superuser."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 1000, 2500, 4500, 7000])
def test_no_space_is_said_and_what_was_sealed_stays(store: Store, size: int) -> None:
    with open_run(store, "whole") as run:
        rows = run.complete(responses_work())
    with open_run(store) as run:
        run.complete(drops_work())
        with no_file_larger_than(size), pytest.raises(StoreError, match=r"run.*: cannot be written.*free space"):
            run.complete(responses_work())
        assert run.read(1, "dropped", Drop)
        assert run.seal(1, "responses") is None
        assert run.complete(responses_work()) == rows


def test_no_space_while_a_checkpoint_is_built(store: Store) -> None:
    with open_run(store) as run:
        with no_file_larger_than(2000), pytest.raises(StoreError, match=r"checkpoint.*cannot be written"):
            run.complete_directory(1, "checkpoint", {}, train())
        assert not (run.directory(1) / "checkpoint").exists()
        run.complete_directory(1, "checkpoint", {}, train())
        assert (run.path / "steps.log").read_text().split() == [str(step + 1) for step in range(STEPS)]


def test_a_path_that_cannot_be_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StoreError, match=r"file.*is a file, not a directory"):
        open_run(Store(tmp_path / "file" / "results"))


def test_a_checkpoint_is_built_once_and_carries_its_facts(store: Store) -> None:
    with open_run(store) as run:
        path = run.complete_directory(1, "checkpoint", {"rate": 0.1}, train())
        inode = (path / "model.safetensors").stat().st_ino
        assert run.complete_directory(1, "checkpoint", {"rate": 0.1}, train()) == path
        assert (path / "model.safetensors").stat().st_ino == inode
        seal = run.seal(1, "checkpoint")
        assert (
            seal is not None
            and seal.facts["steps"] == STEPS
            and sorted(seal.files or {})
            == [
                "config.json",
                "model.safetensors",
            ]
        )
        assert sorted(item.name for item in path.parent.iterdir()) == ["checkpoint", "checkpoint.done.json"]
        with pytest.raises(StoreError, match=r"checkpoint: it was made with rate = 0\.1, now it is 0\.2"):
            run.complete_directory(1, "checkpoint", {"rate": 0.2}, train())


def test_a_whole_checkpoint_whose_seal_waits_is_sealed_not_built_again(store: Store) -> None:
    """The state that a kill leaves between naming the directory and naming its seal."""

    def must_not_build(out: Path, scratch: Path) -> dict[str, Any]:
        raise AssertionError(f"built again in {out} from {scratch}")

    with open_run(store) as run:
        path = run.complete_directory(1, "checkpoint", {}, train())
        (path.parent / "checkpoint.done.json").rename(path.parent / "checkpoint.sealing.json")
        assert run.seal(1, "checkpoint") is None
        assert run.complete_directory(1, "checkpoint", {}, must_not_build) == path
        assert run.seal(1, "checkpoint") is not None


@pytest.mark.parametrize("harm", ["swap", "remove", "add"])
def test_a_checkpoint_that_changed_on_disk_is_refused(store: Store, harm: str) -> None:
    with open_run(store) as run:
        weights = run.complete_directory(1, "checkpoint", {}, train()) / "model.safetensors"
        if harm == "swap":
            weights.unlink()
            weights.write_text("other weights")
        elif harm == "remove":
            weights.unlink()
        else:
            (weights.parent / "adapter.bin").write_text("more")
        with pytest.raises(StoreError, match=r"(model\.safetensors|adapter\.bin).*delete"):
            run.complete_directory(1, "checkpoint", {}, train())
        with pytest.raises(StoreError, match="torn or edited"):
            store.existing("run").read_directory(1)


def test_a_checkpoint_path_without_a_seal_is_never_overwritten(store: Store) -> None:
    with open_run(store) as run:
        path = run.directory(1) / "checkpoint"
        path.mkdir(parents=True)
        (path / "precious.safetensors").write_text("mine")
        with pytest.raises(StoreError, match=r"checkpoint: exists without a whole seal.*never overwritten"):
            run.complete_directory(1, "checkpoint", {}, train())
        assert (path / "precious.safetensors").read_text() == "mine"


def test_discarded_weights_leave_a_seal_that_still_counts(store: Store) -> None:
    with open_run(store) as run:
        path = run.complete_directory(1, "checkpoint", {}, train())
        before = run.seal(1, "checkpoint")
        run.discard_weights(1)
        run.discard_weights(1)
        assert [item.name for item in path.iterdir()] == ["config.json"]
        after = run.seal(1, "checkpoint")
        assert before is not None and after == dataclasses.replace(before, pruned=True)
        assert run.complete_directory(1, "checkpoint", {}, train()) == path
        assert [event["event"] for event in run.events()].count("pruned") == 1
        (path / "config.json").chmod(0o644)
        (path / "config.json").write_text("edited")
        with pytest.raises(StoreError, match=r"config\.json"):
            run.complete_directory(1, "checkpoint", {}, train())
