"""A round as its steps see it: who plays, where rows are sealed, what is asked and what is true.

Every verb of the loop (`draw_prompts`, `respond`, `judge`, `compare`, `pair`, `train`, `measure`) takes one and returns
sealed rows. It holds nothing that a step would change; what rounds share is in `loop.Course`.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from selfreward.engines.checkpoints import chat_digest
from selfreward.progress import Progress, Stage
from selfreward.recipe import Recipe
from selfreward.records import Rows
from selfreward.roles.cast import Cast, Player, Policy
from selfreward.store.directories import Build
from selfreward.store.run import Row, Run, Work
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

    def role(self, reference: str) -> Player:
        """The player that `reference` names in this round."""
        return self.cast.role(reference, self.number)

    @property
    def say(self) -> Callable[[str], None]:
        return self.progress.say

    def complete(self, work: Work[Any, Row]) -> Rows[Row]:
        """The work's rows, read back or computed; a stage is shown only while chunks of it are owed."""
        with ExitStack() as shown:
            stages: list[Stage] = []

            def show(_: Work[Any, Any], done: int, total: int) -> None:
                if not stages and done < total:
                    name = f"round {work.round}: {work.artifact}"
                    stages.append(shown.enter_context(self.progress.stage(name, total, done)))
                for stage in stages:
                    stage.advance(done - stage.done)

            self.artifacts.progress = show
            rows = self.artifacts.complete(work)
        seal = self.artifacts.seal(work.round, work.artifact)
        return Rows(rows, seal.digest if seal else "")

    def checkpoint(self, determined_by: Mapping[str, Any], build: Build) -> None:
        """The round's policy: read back, or built into a directory of its own, and known to the cast from now on."""
        directory = self.artifacts.complete_directory(self.number, "checkpoint", determined_by, build)
        digest = str(self.facts()["digest"])
        self.cast.policies.append(Policy(self.number, digest, directory, chat_digest(directory)))

    def facts(self) -> Mapping[str, Any]:
        """What the seal of the round's checkpoint says about it."""
        seal = self.artifacts.seal(self.number, "checkpoint")
        return seal.facts if seal else {}
