"""A round as its steps see it: who plays, where rows are sealed, what is asked and what is true.

Every verb of the loop (`draw_prompts`, `respond`, `judge`, `compare`, `pair`, `train`, `measure`) takes one and returns
sealed rows. It holds nothing that a step would change; what rounds share is in `loop.Course`.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from selfreward.engines.checkpoints import chat_digest
from selfreward.progress import Progress
from selfreward.progress.stage import Stage
from selfreward.recipe import ModelReference, Recipe
from selfreward.records import Rows
from selfreward.roles.cast import Cast
from selfreward.roles.player import Player, Policy
from selfreward.store.allowance import Allowance
from selfreward.store.beat import Beat, write_beat
from selfreward.store.directories import Build
from selfreward.store.run import Row, Run, Work
from selfreward.store.run_clock import RunClock
from selfreward.tasks.source import Source
from selfreward.tasks.verifiers.protocol import Verifier


@dataclass(frozen=True)
class Round:
    """Round `number`. Round 0 is the start policy, which nothing made."""

    number: int
    recipe: Recipe
    cast: Cast
    artifacts: Run
    source: Source
    verifier: Verifier | None
    progress: Progress
    clock: RunClock = field(default_factory=RunClock)
    allowance: Allowance = field(default_factory=Allowance)

    def role(self, reference: ModelReference) -> Player:
        """The player that `reference` names in this round."""
        return self.cast.role(reference, self.number)

    @property
    def say(self) -> Callable[[str], None]:
        return self.progress.say

    def complete(self, work: Work[Any, Row]) -> Rows[Row]:
        """The work's rows, read back or computed; a stage is shown only while chunks of it are owed."""
        ends = [0, *itertools.accumulate(len(chunk) for chunk in work.chunks)]
        with ExitStack() as shown:
            stages: list[Stage] = []

            def show(_: Work[Any, Any], done: int, total: int) -> None:
                if not stages and done < total:
                    name = f"round {work.round}: {work.artifact}"
                    stages.append(shown.enter_context(self.stage(name, ends[-1], ends[done], work.artifact)))
                if stages:
                    stages[0].count(0, ends[done])
                    self.cast.listener = partial(stages[0].within, ends[done], ends[min(done + 1, total)])

            def permit(_: Work[Any, Any], chunk: int) -> None:
                self.allowance.require(f"round {work.round}, {work.artifact}, chunk {chunk + 1} of {len(work.chunks)}")

            self.artifacts.progress, self.artifacts.permit = show, permit
            shown.callback(setattr, self.cast, "listener", None)
            rows = self.artifacts.complete(work)
        if self.artifacts.taken_over == (work.round, work.artifact) and rows:
            told = f"round {work.round}: {work.artifact}: {len(rows)} taken over from a run that asked the same"
            self.progress.say(told)
        seal = self.artifacts.seal(work.round, work.artifact)
        self.clock.done(work.round, work.artifact, seal.seconds if seal else 0.0)
        return Rows(rows, seal.digest if seal else "")

    def _run_left(self, artifact: str, stage: Stage, last: int | None = None) -> float | None:
        return self.clock.left(self.number, artifact, stage.share, stage.seconds, owed=stage.owed, last=last)

    def _beat(self, artifact: str, stage: Stage) -> None:
        """What is going on, left in the run's directory for whoever looks on."""
        told: dict[str, Any] = {name: getattr(stage, name) for name in ("done", "total", "rate", "tokens", "seconds")}
        told |= {"left": stage.left, "note": stage.note, "time": time.time()}
        told["round_left"] = self._run_left(artifact, stage, self.number)
        told["run_left"] = self._run_left(artifact, stage)
        write_beat(self.artifacts.path, Beat(self.number, artifact, stage.name, **told))

    @contextmanager
    def stage(self, name: str, total: int | None, done: int, artifact: str) -> Iterator[Stage]:
        """A stage of the round's progress that also tells what the whole run still takes."""
        with self.progress.stage(name, total, done) as stage:
            stage.run_left = partial(self._run_left, artifact)
            stage.watcher = partial(self._beat, artifact)
            yield stage

    def checkpoint(self, determined_by: Mapping[str, Any], build: Build) -> None:
        """The round's policy: read back, or built into a directory of its own, and known to the cast from now on."""

        def build_if_allowed(out: Path, scratch: Path) -> Mapping[str, Any]:
            self.allowance.require(f"round {self.number}, training")
            return build(out, scratch)

        directory = self.artifacts.complete_directory(self.number, "checkpoint", determined_by, build_if_allowed)
        seal = self.artifacts.seal(self.number, "checkpoint")
        self.clock.done(self.number, "checkpoint", seal.seconds if seal else 0.0)
        digest = str(self.facts()["digest"])
        self.cast.policies.append(Policy(self.number, digest, directory, chat_digest(directory, self.cast.day)))

    def facts(self) -> Mapping[str, Any]:
        """What the seal of the round's checkpoint says about it."""
        seal = self.artifacts.seal(self.number, "checkpoint")
        return seal.facts if seal else {}
