"""One engine of a fleet, in a process of its own: an ordinary one, built as the recipe says, that proves its weights.

Nothing here knows Ray. An error that a user can do something about goes back as a value, so that it arrives as what it
is and not as the failure of a worker.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from selfreward.engines.handoff import HandOffReport, verify
from selfreward.engines.protocol import Sleeper
from selfreward.errors import SelfRewardError
from selfreward.recipe import EngineRecipe, HandOffRecipe, ModelRecipe


@dataclass(frozen=True, slots=True)
class Proof:
    """How a replica that comes later is verified: as the others were."""

    handoff: HandOffRecipe
    dtype: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """The policy that all replicas hold. Its directory must be the same for all: one machine, or a shared disk."""

    directory: Path
    digest: str


class Replica:
    """What a fleet calls; one call at a time."""

    def __init__(self, model: ModelRecipe, engine: EngineRecipe, day: date | None) -> None:
        from selfreward.engines import build_engine

        self._engine = build_engine(model, engine, day)

    def number(self) -> int:
        """Of this process."""
        return os.getpid()

    def load(self, held: Held) -> SelfRewardError | None:
        try:
            self._engine.load(held.directory, held.digest)
        except SelfRewardError as problem:
            return problem
        return None

    def prove(self, held: Held, proof: Proof) -> HandOffReport | SelfRewardError:
        try:
            return verify(self._engine, held.directory, proof.handoff, proof.dtype)
        except SelfRewardError as problem:
            return problem

    def answer(self, method: str, parameters: Sequence[Any]) -> Any:
        """What the engine's method returns, or the SelfRewardError that it raises."""
        try:
            return getattr(self._engine, method)(*parameters)
        except SelfRewardError as problem:
            return problem

    def sleep(self) -> None:
        if isinstance(self._engine, Sleeper):
            self._engine.sleep()
