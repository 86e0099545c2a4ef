"""What judging costs: tokens of questions and replies, counted where they pass, and seconds by the wall clock."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

from selfreward.engines.protocol import Asker, Completion, ReplyStart, Request, TokenReader
from selfreward.engines.served.engine import ServedEngine
from selfreward.recipe import ModelReference
from selfreward.roles.cast import Cast
from selfreward.roles.player import Player


@dataclass
class Meter:
    """`questions`: tokens that were read, once for each question however many replies it had; `replies`: sampled."""

    questions: int = 0
    replies: int = 0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        return self.questions + self.replies

    @contextmanager
    def running(self) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - began


class _Counted:
    """An engine that counts; what it does not count goes straight through."""

    def __init__(self, engine: Asker, meter: Meter) -> None:
        self._engine: Any = engine
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(self, requests: Sequence[Request], seed: int) -> list[list[Completion]]:
        if isinstance(self._engine, ServedEngine):
            return self._served(self._engine, requests, seed)
        found = self._engine.generate(requests, seed)
        self._meter.questions += sum(len(self._engine.prompt_token_ids(one.messages)) for one in requests)
        self._meter.replies += sum(len(reply.token_ids) for replies in found for reply in replies)
        return found

    def _served(self, engine: ServedEngine, requests: Sequence[Request], seed: int) -> list[list[Completion]]:
        """A server counts its own tokens, as it bills them."""
        before = engine.report()
        found = engine.generate(requests, seed)
        after = engine.report()
        self._meter.questions += int(after["prompt_tokens"]) - int(before["prompt_tokens"])
        self._meter.replies += int(after["completion_tokens"]) - int(before["completion_tokens"])
        return found


class _CountedReader(_Counted):
    """The same of an engine that gives probabilities of the next token: a question and its reply are read again."""

    def next_token_logprobs(self, starts: Sequence[ReplyStart], candidates: Sequence[str]) -> list[tuple[float, ...]]:
        self._meter.questions += sum(len(self._engine.prompt_token_ids(one.messages)) for one in starts)
        reader = cast(TokenReader, self._engine)
        return reader.next_token_logprobs(starts, candidates)


@dataclass
class MeteredCast(Cast):
    """A cast whose players are counted by `meter`, which may be exchanged between two judges."""

    meter: Meter | None = None

    def role(self, reference: ModelReference, round: int) -> Player:
        player = super().role(reference, round)

        def hold() -> Asker:
            engine = player.hold()
            if self.meter is None:
                return engine
            kind = _CountedReader if isinstance(engine, TokenReader) else _Counted
            return cast(Asker, kind(engine, self.meter))

        return replace(player, hold=hold)
