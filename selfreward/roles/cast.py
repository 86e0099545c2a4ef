"""Who plays a role, and the one engine that plays them all.

A role is a reference: `policy` or `previous` (the round's start), `initial`, `round:K`, `sandbox:seed-K`, a directory,
or `reward_model`, the newest that is not newer than the round's start, which scores and says nothing. `Cast` puts the
right weights into the engine when they are first needed, verifies every hand-off, and never builds a second engine.
`served:NAME` is a model behind a server: it may be asked, but there are no weights here to train or to verify.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any

from selfreward.engines import build_engine
from selfreward.engines.checkpoints import chat_digest
from selfreward.engines.handoff import HandOffReport, verify
from selfreward.engines.protocol import Accountant, Asker, Compiler, Engine, Overlapping, Sleeper, Talker
from selfreward.engines.served.engine import ServedEngine, served_digest
from selfreward.engines.tensors import weights_digest
from selfreward.errors import EngineError, RecipeError
from selfreward.progress import Progress
from selfreward.recipe import REWARD_MODEL, EngineRecipe, ModelReference, Recipe, VllmRecipe, replicas_of
from selfreward.roles.player import Player, Policy, chunk_tokens, engine_facts
from selfreward.store.ahead import ALONE, Ahead
from selfreward.store.standing_path import standing_path
from selfreward.tasks.sandbox.seeds.cache import seed_directory
from selfreward.tasks.sandbox.seeds.names import parse_seed_name


def _says_nothing() -> Asker:
    raise EngineError(
        f"{REWARD_MODEL} gives numbers and no text; only a judge with reading=scalar may be a reward model"
    )


def _calls(engine: EngineRecipe) -> int:
    """Chunks that the engine is given at the same time: a module is asked one by one, and so is what is in process.

    Replicas have one each, and one waits, so that none is idle while rows are written.
    """
    if replicas_of(engine) > 1:
        return replicas_of(engine) + 1
    return 2 if isinstance(engine, VllmRecipe) and not engine.in_process else 1


def engine_of(recipe: Recipe, day: date | None = None) -> Engine:
    """The engine that the recipe names. One that compiles finds it again, whichever checkpoint it begins with."""
    engine = build_engine(recipe.model, recipe.engine, day)
    if isinstance(engine, Compiler):
        engine.built_on = standing_path
    return engine


@dataclass
class Cast:
    """The policies of a run, by round, and the engine that holds one of them at a time.

    `day` is the run's date, for chat templates that write one into every prompt (checkpoints.chat_digest).
    """

    recipe: Recipe
    on_handoff: Callable[[Policy, HandOffReport], None]
    policies: list[Policy] = field(default_factory=list)
    reward_models: dict[int, Policy] = field(default_factory=dict)
    starts: dict[int, int] = field(default_factory=dict)
    day: date | None = None
    listener: Callable[[int, float], None] | None = None
    """Told what an engine says while it answers: tokens since it last spoke, and the share of the call that is done."""
    _engine: Engine | None = None
    _text_files: str = ""
    _served: dict[str, ServedEngine] = field(default_factory=dict)
    _building: Lock = field(default_factory=Lock)
    _outside: dict[str, Policy] = field(default_factory=dict)

    def resolve(self, reference: ModelReference, round: int) -> Policy:
        """The policy that `reference` names in `round`.

        Raises RecipeError for a round that is not there yet.
        """
        if reference.kind in ("policy", "previous"):
            return self.policies[self.start_of(round)]
        if reference.kind == "initial":
            return self.policies[0]
        if reference.number is not None:
            # Before round K exists, the reference is the newest policy that does.
            return self.policies[min(reference.number, round - 1)]
        if reference.kind == "reward_model":
            start = self.start_of(round)
            trained = [number for number in self.reward_models if number <= start]
            if not trained:
                raise RecipeError(
                    f"role {reference!r}: none is trained here; a run trains one by its section reward_model, and "
                    "outside of that run nobody is asked by this name: name another judge.model"
                )
            return self.reward_models[max(trained)]
        if reference not in self._outside:
            directory = Path(reference)
            if reference.kind == "sandbox":
                directory = seed_directory(parse_seed_name(reference), Progress().say)
            if not directory.is_dir():
                raise RecipeError(
                    f"role {reference!r}: expected policy, previous, initial, round:K, sandbox:seed-K or an existing "
                    "directory"
                )
            self._outside[reference] = Policy(
                None, weights_digest(directory), directory, chat_digest(directory, self.day)
            )
        return self._outside[reference]

    def start_of(self, round: int) -> int:
        """The round whose policy `round` starts from: the one before it, unless a gate rolled back (`starts`)."""
        return self.starts.get(round, round - 1)

    def lineage(self, round: int) -> list[int]:
        """The rounds whose training made the policy that `round` starts from, in order; a rolled-back one made none."""
        found: list[int] = []
        number = self.start_of(round)
        while number > 0:
            found.append(number)
            number = self.start_of(number)
        return found[::-1]

    def player(self, policy: Policy) -> Player:
        """`policy`, ready to be asked; the engine is built and loaded only when `hold` is called."""
        return Player(
            policy=policy,
            hold=lambda: self._hold(policy),
            facts=engine_facts(self.recipe),
            chunk=self.recipe.engine.chunk,
            seed=self.recipe.seed,
            chunk_tokens=chunk_tokens(self.recipe.engine),
            ahead=self._ahead(_calls(self.recipe.engine), lambda: self._hold(policy), lambda: self._engine),
        )

    def role(self, reference: ModelReference, round: int) -> Player:
        """The player that `reference` names in `round`; the only way to a served model."""
        if reference.server is not None:
            return self._served_player(reference, reference.server)
        found = self.player(self.resolve(reference, round))
        return replace(found, hold=_says_nothing) if reference.kind == "reward_model" else found

    def _served_player(self, reference: ModelReference, name: str) -> Player:
        server = self.recipe.served[name]
        policy = Policy(round=None, digest=served_digest(server), directory=Path(reference))

        def hold() -> Asker:
            with self._building:
                if name not in self._served:
                    self._served[name] = ServedEngine(name, server)
                    self._listen_to(self._served[name])
                    margin = self.recipe.handoff.margin
                    self.on_handoff(policy, HandOffReport("not verified", policy.digest, 0, 0.0, None, None, margin))
            return self._served[name]

        facts = {"kind": "served", "url": server.url.rstrip("/"), "model": server.model}
        ahead = self._ahead(ServedEngine.CALLS, hold, lambda: self._served.get(name))
        return Player(policy, hold, facts, chunk=self.recipe.engine.chunk, seed=self.recipe.seed, ahead=ahead)

    def _ahead(self, calls: int, hold: Callable[[], Asker], held: Callable[[], Asker | None]) -> Ahead:
        """Chunks in flight for the engine that `hold` makes ready and `held` finds."""

        def ready() -> None:
            engine = hold()
            if isinstance(engine, Overlapping):
                engine.pick_up()

        def hang_up() -> None:
            engine = held()
            if isinstance(engine, Overlapping):
                engine.hang_up()

        return Ahead(calls, hang_up, ready) if calls > 1 else ALONE

    def _hold(self, policy: Policy) -> Engine:
        with self._building:
            return self._held(policy)

    def _held(self, policy: Policy) -> Engine:
        if self._engine is None:
            self._engine = engine_of(self.recipe, self.day)
            self._listen_to(self._engine)
        if (self._engine.policy, self._text_files) != (policy.digest, policy.text_files):
            self._text_files = policy.text_files
            self._engine.load(policy.directory, policy.digest)
            self.on_handoff(
                policy, verify(self._engine, policy.directory, self.recipe.handoff, self.recipe.model.dtype)
            )
        return self._engine

    def _listen_to(self, engine: Asker) -> None:
        if isinstance(engine, Talker):
            engine.told = self._heard

    def _heard(self, tokens: int, share: float) -> None:
        if self.listener is not None:
            self.listener(tokens, share)

    def rest(self) -> None:
        """Free the device for a trainer, where the engine can; the next role wakes it."""
        if isinstance(self._engine, Sleeper):
            self._engine.sleep()

    def report(self) -> Mapping[str, Any] | None:
        """What the engine counted so far, where there is one and it counts."""
        return self._engine.report() if isinstance(self._engine, Accountant) else None

    def served_report(self) -> dict[str, Mapping[str, Any]]:
        """What every served model that was asked has cost so far, and how it failed."""
        return {name: engine.report() for name, engine in self._served.items()}

    def served_cost(self) -> float:
        """What they cost together, in the unit of their prices."""
        return sum(float(report["cost"]) for report in self.served_report().values())

    def close(self) -> None:
        for served in self._served.values():
            served.close()
        if self._engine is not None:
            self._engine.close()
            self._engine = None
