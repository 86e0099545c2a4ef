"""Several engines asked as one: each call goes to a replica that is free, whole.

A call is a chunk with its seed, so what comes back is what a single engine answers, to the byte with transformers; and
several chunks are in flight (store/ahead.py), appended in their order. `load` is a barrier: all replicas are idle, each
loads, and each proves its weights; one that holds others is refused as a single engine is. A replica that dies is
replaced by a new one, which loads and proves the same before it is asked, and the call is asked again. One that dies
`DEATHS` times under one call is not: the call itself ends it, or there is no memory for it.

What needs no weights (the tokens of a prompt) is done here.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

from selfreward.engines.chat import ChatRenderer, load_renderer
from selfreward.engines.fleet import runtime
from selfreward.engines.fleet.replica import Held, Proof
from selfreward.engines.handoff import HandOffReport
from selfreward.engines.protocol import Completion, ReplyStart, Request, TokenSequence
from selfreward.errors import EngineError, SelfRewardError
from selfreward.recipe import HandOffRecipe, ModelRecipe, TransformersRecipe, VllmRecipe
from selfreward.records import Message

DEATHS = 3
Replicated = TransformersRecipe | VllmRecipe


class Fleet:
    """`engine.replicas` engines of `engine.kind`."""

    def __init__(
        self, model: ModelRecipe, engine: TransformersRecipe | VllmRecipe, day: date | None, on_gpu: bool
    ) -> None:
        self.kind: str = engine.kind
        self._size = engine.replicas
        self._made_of = (of_replica(model, on_gpu), replace(engine, replicas=1), day, on_gpu)
        self._free: SimpleQueue[Any] = SimpleQueue()
        self._counting, self._lost = Lock(), 0
        self._held: Held | None = None
        self._proof: Proof | None = None
        self._chat: ChatRenderer | None = None
        self._wanted = True
        runtime.start(engine, self._size, on_gpu)
        for _ in range(self._size):
            self._free.put(runtime.make(*self._made_of))

    @property
    def policy(self) -> str | None:
        return self._held.digest if self._held else None

    def load(self, directory: Path, digest: str) -> None:
        """Every replica holds the weights in `directory`, or none answers."""
        self._held = self._proof = None
        self._chat = load_renderer(directory, self._made_of[0], self._made_of[2])
        held = Held(directory.resolve(), digest)
        self._each("load", held)
        self._held = held

    def prove(self, handoff: HandOffRecipe, dtype: str | None) -> HandOffReport:
        """Every replica shows that it holds them; the report is that of one, since all hold the same."""
        assert self._held is not None
        proof = Proof(handoff, dtype)
        report: HandOffReport = self._each("prove", self._held, proof)[0]
        self._proof = proof
        return report

    def generate(self, requests: Sequence[Request], seed: int) -> list[list[Completion]]:
        return self._ask("answer", "generate", (requests, seed))

    def logprobs(self, texts: Sequence[TokenSequence]) -> list[tuple[float, ...]]:
        return self._ask("answer", "logprobs", (texts,))

    def next_token_logprobs(self, starts: Sequence[ReplyStart], candidates: Sequence[str]) -> list[tuple[float, ...]]:
        return self._ask("answer", "next_token_logprobs", (starts, candidates))

    def checksums(self) -> Mapping[str, str]:
        return self._ask("answer", "checksums", ())

    def prompt_token_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        if self._chat is None:
            raise EngineError("the fleet holds no policy; load one first")
        return self._chat.prompt_token_ids([messages])[0]

    def sleep(self) -> None:
        """Free the devices for a trainer. A replica that is not there any more holds nothing."""
        self._held = self._proof = None
        self._each("sleep")

    def hang_up(self) -> None:
        self._wanted = False

    def pick_up(self) -> None:
        self._wanted = True

    def report(self) -> Mapping[str, Any]:
        return {"replicas": self._size, "replaced": self._lost}

    def close(self) -> None:
        self._wanted = False
        self._held = self._proof = None
        idle = [self._free.get() for _ in range(self._free.qsize())]
        runtime.stop([replica for replica in idle if replica is not None])
        for _ in idle:
            self._free.put(None)

    def _ask(self, method: str, *parameters: Any) -> Any:
        """What one replica answers, the first that is free."""
        replica = self._free.get()
        try:
            replica, answer = self._on(replica, method, parameters)
        except BaseException:
            # Ctrl-C too: it may still be at work, on what nobody will read.
            if replica is not None:
                runtime.kill(replica)
            replica = None
            raise
        finally:
            self._free.put(replica)
        return _raised(answer)

    def _each(self, method: str, *parameters: Any) -> list[Any]:
        """What all replicas answer, at the same time, once all are idle."""
        replicas = [self._free.get() for _ in range(self._size)]
        try:
            with ThreadPoolExecutor(self._size, thread_name_prefix="replica") as pool:
                found = list(pool.map(lambda replica: self._on(replica, method, parameters), replicas))
            replicas = [replica for replica, _ in found]
        finally:
            for replica in replicas:
                self._free.put(replica)
        return [_raised(answer) for _, answer in found]

    def _on(self, replica: Any, method: str, parameters: Sequence[Any]) -> tuple[Any, Any]:
        """The replica that answered, a new one where this one has died or is None, and its answer."""
        ends: list[str] = []
        while len(ends) < DEATHS:
            try:
                replica = replica if replica is not None else self._ready()
                return replica, runtime.wait_for(replica, method, *parameters, wanted=lambda: self._wanted)
            except runtime.Lost as problem:
                replica = None
                ends.append(str(problem))
                with self._counting:
                    self._lost += 1
        asked = parameters[0] if method == "answer" else method
        raise EngineError(
            f"{DEATHS} replicas died one after the other while they were asked for {asked}; expected one to answer: "
            "lower engine.batch_tokens or engine.replicas if memory is short. The last one, as Ray says: " + ends[-1]
        )

    def _ready(self) -> Any:
        """A new replica that holds what the others hold, and has shown it if they have; none once closed."""
        if not self._wanted:
            raise EngineError("the replica's answer is not waited for any more; no new one is made")
        replica = runtime.make(*self._made_of)
        steps: dict[str, tuple[Any, ...]] = {"load": (self._held,), "prove": (self._held, self._proof)}
        for method, parameters in steps.items():
            if None not in parameters:
                _raised(runtime.wait_for(replica, method, *parameters, wanted=lambda: self._wanted))
        return replica


def of_replica(model: ModelRecipe, on_gpu: bool) -> ModelRecipe:
    """The model as a replica is told of it: Ray shows each its own GPUs alone, whatever their numbers are here."""
    return replace(model, device="cuda") if on_gpu else model


def _raised(answer: Any) -> Any:
    """An answer; an error that came as one is raised here."""
    if isinstance(answer, SelfRewardError):
        raise answer
    return answer
