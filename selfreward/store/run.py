"""Completing a run's artifacts, as the one process that holds its lock.

To complete an artifact is to read it if it is sealed, to link it if another run has it, or to compute what it owes.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from selfreward.store.ahead import ALONE, Ahead, in_order
from selfreward.store.chunks import UnfinishedArtifact, tokens_of
from selfreward.store.directories import Build, build_directory, land_directory
from selfreward.store.files import digest_bytes, link_or_copy, on_disk, remove, write_durably
from selfreward.store.seals import Seal, Stamp, refuse_other, seal_path, stamp, write_seal
from selfreward.store.sharing import SharedStore, link_tree
from selfreward.store.view import RunView

__all__ = ["Progress", "Row", "Run", "RunView", "Unit", "Work"]

Unit = TypeVar("Unit")
Row = TypeVar("Row")
WEIGHTS = ("*.safetensors", "*.bin", "*.pt")


@dataclass(frozen=True)
class Work(Generic[Unit, Row]):
    """A stage's work on one JSONL artifact.

    `made_from` is everything that determines the rows; `chunks` are fixed by the whole input list and the recipe;
    `compute` gets one chunk and its index and yields its rows; `ahead` says how many of them at the same time.
    """

    round: int
    artifact: str
    record: type[Row]
    made_from: Mapping[str, Any]
    chunks: Sequence[Sequence[Unit]]
    compute: Callable[[Sequence[Unit], int], Iterable[Row]]
    ahead: Ahead = ALONE


Progress = Callable[[Work[Any, Any], int, int], None]


class Run(RunView):
    """A run directory to be worked on by the one process that holds its lock. Use it as a context manager."""

    def __init__(self, path: Path, shared: SharedStore | None, lock: ExitStack, progress: Progress | None) -> None:
        super().__init__(path)
        self.progress = progress
        self.permit: Callable[[Work[Any, Any], int], None] | None = None
        """Called with the work and the index of each chunk before it is begun; raises LimitError to stop there."""
        self._shared = shared
        self._lock = lock
        self.tokens_underway = 0
        self.taken_over: tuple[int, str] | None = None
        """Sampled tokens of the finished chunks of an artifact that is not sealed yet."""
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
        build: Build,
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
                self.note("pruned", round, artifact)
            for pattern in WEIGHTS:
                for weights in path.rglob(pattern):
                    weights.unlink()
        if self._shared:
            self._shared.release(seal.fingerprint)

    def note(self, event: str, round: int | None, artifact: str | None = None, **more: Any) -> None:
        """One line in journal.jsonl. It is for people and tests: nothing is decided by it, so it is not fsynced."""
        line = {"time": time.time(), "event": event, "round": round, "artifact": artifact, **more}
        path = self.path / "journal.jsonl"
        with on_disk(path), path.open("ab", buffering=0) as stream:
            stream.write(json.dumps(line).encode() + b"\n")

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
        self.note("reused", wanted.round, wanted.artifact)
        return seal

    @contextmanager
    def _claim(self, wanted: Stamp) -> Iterator[None]:
        """Hold the fingerprint's lock, so that an arm beside this one does not compute the same."""
        if self._shared is None:
            yield
            return
        with self._shared.claim(wanted.fingerprint, lambda: self.note("waiting", wanted.round, wanted.artifact)):
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
        self.note("linked", wanted.round, wanted.artifact)
        self.taken_over = (wanted.round, wanted.artifact)
        return seal

    def _compute(self, work: Work[Unit, Row], wanted: Stamp, path: Path) -> list[Row]:
        """Compute the chunks that are owed, then write the sorted file and, last, its seal."""
        unfinished = UnfinishedArtifact(path.parent, wanted, len(work.chunks))
        self.tokens_underway = unfinished.tokens
        self._progress(work, len(unfinished.entries))

        def begin(index: int) -> None:
            if self.permit:
                self.permit(work, index)
            self.note("chunk_started", work.round, work.artifact, chunk=index)

        owed = range(len(unfinished.entries), len(work.chunks))
        chunks = in_order(lambda index: list(work.compute(work.chunks[index], index)), owed, work.ahead, begin)
        for index, rows, seconds in chunks:
            unfinished.append(rows, seconds)
            self.tokens_underway = unfinished.tokens
            self.note("chunk_done", work.round, work.artifact, chunk=index)
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
            tokens=tokens_of(finished),
        )
        with on_disk(path):
            write_durably(path, data, mode=0o444)
            write_seal(seal_path(path.parent, work.artifact), seal)
        self.tokens_underway = 0
        self._sealed(path, seal)
        unfinished.discard()
        return finished

    def _progress(self, work: Work[Unit, Row], done: int) -> None:
        if self.progress:
            self.progress(work, done, len(work.chunks))

    def _sealed(self, path: Path, seal: Seal) -> None:
        self.note("sealed", seal.round, seal.artifact)
        if self._shared:
            self._shared.publish(path, seal_path(path.parent, seal.artifact), seal)

    def _sweep(self, directory: Path, artifact: str) -> None:
        """Remove what a kill between the seal and the cleaning left behind."""
        for ending in ("chunks.jsonl", "jsonl.part", "part", "scratch", "begun.json", "sealing.json"):
            with on_disk(directory):
                remove(directory / f"{artifact}.{ending}")
