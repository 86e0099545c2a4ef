"""One run directory: reading it (RunView), and completing its artifacts under the run's lock (Run).

    results/<run>/recipe.yaml  run.json  journal.jsonl  round-NN/<artifact>.jsonl + <artifact>.done.json

To complete an artifact is to read it if it is sealed, to link it if another run has it, or to compute what it owes.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from selfreward.chunks import UnfinishedArtifact
from selfreward.config import Recipe, load_recipe
from selfreward.directories import build_directory, land_directory
from selfreward.errors import RecipeError, StoreError
from selfreward.files import digest_bytes, link_or_copy, on_disk, remove, write_durably
from selfreward.records import from_line
from selfreward.seals import (
    Seal,
    Stamp,
    damage,
    damaged,
    read_seal,
    refuse_other,
    seal_path,
    stamp,
    write_seal,
)
from selfreward.sharing import SharedStore, link_tree

Unit = TypeVar("Unit")
Row = TypeVar("Row")
WEIGHTS = ("*.safetensors", "*.bin", "*.pt")


@dataclass(frozen=True)
class Work(Generic[Unit, Row]):
    """A stage's work on one JSONL artifact.

    `made_from` is everything that determines the rows; `chunks` are fixed by the whole input list and the recipe;
    `compute` gets one chunk and its index and yields its rows.
    """

    round: int
    artifact: str
    record: type[Row]
    made_from: Mapping[str, Any]
    chunks: Sequence[Sequence[Unit]]
    compute: Callable[[Sequence[Unit], int], Iterable[Row]]


Progress = Callable[[Work[Any, Any], int, int], None]


class RunView:
    """A run directory to be read. Needs no lock: what carries a seal never changes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        return self.path.name

    def recipe(self) -> Recipe:
        """The recipe that the run was made with, all defaults written out."""
        try:
            return load_recipe(self.path / "recipe.yaml")
        except RecipeError as problem:
            raise StoreError(
                f"run {self.name!r}: its recipe.yaml cannot be used any more ({problem}); it was edited or written by "
                "another version. Restore it or start another run with --name"
            ) from problem

    def info(self) -> dict[str, Any]:
        """run.json: seed, where it came from, and the environments it ran in."""
        path = self.path / "run.json"
        try:
            return dict(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return {}
        except ValueError as problem:
            raise StoreError(f"{path}: not whole JSON ({problem}); restore it or delete it") from problem

    def directory(self, round: int) -> Path:
        return self.path / f"round-{round:02d}"

    def rounds(self) -> list[int]:
        """The rounds that have been begun, in order."""
        names = (path.name.removeprefix("round-") for path in self.path.glob("round-*") if path.is_dir())
        return sorted(int(name) for name in names if name.isdecimal())

    def seal(self, round: int, artifact: str) -> Seal | None:
        """What is known about a finished artifact, or None."""
        return read_seal(seal_path(self.directory(round), artifact))

    def read(self, round: int, artifact: str, record: type[Row]) -> list[Row]:
        """The rows of a finished artifact. Raises StoreError if it is not finished, or torn or edited since."""
        path, seal = self.directory(round) / f"{artifact}.jsonl", self._finished(round, artifact)
        if not path.is_file():
            raise damaged(path, seal_path(path.parent, artifact), f"{path} is missing")
        with on_disk(path):
            data = path.read_bytes()
        lines = data.split(b"\n")[:-1]
        if digest_bytes(data) != seal.digest or len(lines) != seal.rows:
            reason = f"{path} has {len(lines)} rows and other bytes than were sealed ({seal.rows} rows)"
            raise damaged(path, seal_path(path.parent, artifact), reason)
        return [from_line(record, line.decode(), f"{path}:{number}") for number, line in enumerate(lines, start=1)]

    def read_directory(self, round: int, artifact: str = "checkpoint") -> Path:
        """The path of a finished directory whose every file is what was sealed. Raises StoreError otherwise."""
        path, seal = self.directory(round) / artifact, self._finished(round, artifact)
        with on_disk(path):
            reason = damage(path, seal)
        if reason:
            raise damaged(path, seal_path(path.parent, artifact), reason)
        return path

    def events(self) -> list[dict[str, Any]]:
        """What happened here, in order (journal.jsonl); a line that a power cut tore is left out."""
        path = self.path / "journal.jsonl"
        found = []
        for line in path.read_bytes().split(b"\n") if path.exists() else []:
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def _finished(self, round_number: int, artifact: str) -> Seal:
        seal = self.seal(round_number, artifact)
        if seal is None:
            raise StoreError(
                f"run {self.name!r}, round {round_number}, {artifact}: not finished; the same command goes on"
            )
        return seal


class Run(RunView):
    """A run directory to be worked on by the one process that holds its lock. Use it as a context manager."""

    def __init__(self, path: Path, shared: SharedStore | None, lock: ExitStack, progress: Progress | None) -> None:
        super().__init__(path)
        self.progress = progress
        self._shared = shared
        self._lock = lock
        self._inherited: dict[str, str] = (self.info().get("forked_from") or {}).get("artifacts", {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another process work on this run. Safe to call twice."""
        self._lock.close()

    def complete(self, work: Work[Unit, Row]) -> list[Row]:
        """The rows of the artifact, in the order of their ids: read, linked, or computed where they are owed.

        Raises StoreError where it was made from something else, is torn or edited, or cannot be written.
        """
        wanted = stamp(work.round, work.artifact, work.made_from)
        path = self._prepare(wanted) / f"{work.artifact}.jsonl"
        seal = self._accepted(wanted)
        if seal is None:
            with self._claim(wanted):
                seal = self._linked(path, wanted)
                if seal is None:
                    return self._compute(work, wanted, path)
        self._sweep(path.parent, work.artifact)
        return self.read(work.round, work.artifact, work.record)

    def complete_directory(
        self,
        round: int,
        artifact: str,
        made_from: Mapping[str, Any],
        build: Callable[[Path, Path], Mapping[str, Any]],
    ) -> Path:
        """The directory of the artifact. `build(out, scratch)` fills a fresh `out` and returns facts for the seal.

        `scratch` keeps what `build` needs to go on after a kill; it is deleted at the seal. A path that was sealed is
        never written again.
        """
        wanted = stamp(round, artifact, made_from)
        path = self._prepare(wanted) / artifact
        if self._accepted(wanted) is not None:
            self._sweep(path.parent, artifact)
            return self.read_directory(round, artifact)
        with self._claim(wanted):
            if self._linked(path, wanted) is None:
                self._sealed(path, build_directory(path, wanted, build))
        self._sweep(path.parent, artifact)
        return path

    def discard_weights(self, round: int, artifact: str = "checkpoint") -> None:
        """Remove the weights of a sealed checkpoint to save space. Its seal stays, with all digests, marked pruned."""
        path, seal = self.directory(round) / artifact, self._finished(round, artifact)
        with on_disk(path):
            if not seal.pruned:
                write_seal(seal_path(path.parent, artifact), replace(seal, pruned=True))
                self._note("pruned", round, artifact)
            for pattern in WEIGHTS:
                for weights in path.rglob(pattern):
                    weights.unlink()
        if self._shared:
            self._shared.release(seal.fingerprint)

    def _prepare(self, wanted: Stamp) -> Path:
        directory = self.directory(wanted.round)
        with on_disk(directory):
            directory.mkdir(parents=True, exist_ok=True)
        return directory

    def _accepted(self, wanted: Stamp) -> Seal | None:
        """The seal of a finished artifact that is the wanted one, or that a fork inherited; None if it is owed."""
        seal = self.seal(wanted.round, wanted.artifact)
        if seal is None:
            return None
        inherited = self._inherited.get(f"{wanted.round}/{wanted.artifact}") == seal.digest
        if seal.fingerprint != wanted.fingerprint and not inherited:
            raise refuse_other(seal, wanted, self.name)
        self._note("reused", wanted.round, wanted.artifact)
        return seal

    @contextmanager
    def _claim(self, wanted: Stamp) -> Iterator[None]:
        """Hold the fingerprint's lock, so that an arm beside this one does not compute the same."""
        if self._shared is None:
            yield
            return
        with self._shared.claim(wanted.fingerprint, lambda: self._note("waiting", wanted.round, wanted.artifact)):
            yield

    def _linked(self, path: Path, wanted: Stamp) -> Seal | None:
        """Link the artifact from the shared store, if it is there."""
        found = self._shared.find(wanted.fingerprint, path.name) if self._shared else None
        if found is None:
            return None
        source, seal = found
        with on_disk(path):
            if seal.files is None:
                link_tree(source, path, seal)
                link_or_copy(seal_path(source.parent, "artifact"), seal_path(path.parent, wanted.artifact))
            else:
                land_directory(path, wanted, lambda out: link_tree(source, out, seal), lambda _: seal)
        self._note("linked", wanted.round, wanted.artifact)
        return seal

    def _compute(self, work: Work[Unit, Row], wanted: Stamp, path: Path) -> list[Row]:
        """Compute the chunks that are owed, then write the sorted file and, last, its seal."""
        unfinished = UnfinishedArtifact(path.parent, wanted, len(work.chunks))
        self._progress(work, len(unfinished.entries))
        for index in range(len(unfinished.entries), len(work.chunks)):
            self._note("chunk_started", work.round, work.artifact, chunk=index)
            begun = time.perf_counter()
            rows = list(work.compute(work.chunks[index], index))
            unfinished.append(rows, time.perf_counter() - begun)
            self._note("chunk_done", work.round, work.artifact, chunk=index)
            self._progress(work, index + 1)
        finished, data = unfinished.sorted_rows(work.record)
        seal = Seal(
            round=work.round,
            artifact=work.artifact,
            fingerprint=wanted.fingerprint,
            made_from=wanted.made_from,
            digest=digest_bytes(data),
            rows=len(finished),
            bytes=len(data),
            seconds=round(unfinished.seconds, 3),
            tokens=sum(len(getattr(row, "token_ids", ())) for row in finished),
        )
        with on_disk(path):
            write_durably(path, data, mode=0o444)
            write_seal(seal_path(path.parent, work.artifact), seal)
        self._sealed(path, seal)
        unfinished.discard()
        return finished

    def _progress(self, work: Work[Unit, Row], done: int) -> None:
        if self.progress:
            self.progress(work, done, len(work.chunks))

    def _sealed(self, path: Path, seal: Seal) -> None:
        self._note("sealed", seal.round, seal.artifact)
        if self._shared:
            self._shared.publish(path, seal_path(path.parent, seal.artifact), seal)

    def _sweep(self, directory: Path, artifact: str) -> None:
        """Remove what a kill between the seal and the cleaning left behind."""
        for ending in ("chunks.jsonl", "jsonl.part", "part", "scratch", "begun.json", "sealing.json"):
            with on_disk(directory):
                remove(directory / f"{artifact}.{ending}")

    def _note(self, event: str, round_number: int, artifact: str, **more: Any) -> None:
        """One line in journal.jsonl. It is for people and tests: nothing is decided by it, so it is not fsynced."""
        line = {"time": time.time(), "event": event, "round": round_number, "artifact": artifact, **more}
        path = self.path / "journal.jsonl"
        with on_disk(path), path.open("ab", buffering=0) as stream:
            stream.write(json.dumps(line).encode() + b"\n")
