"""The questions of a chunk to an engine; one that does not fit into its context has an answer of its own."""

from collections.abc import Sequence

from selfreward.engines.protocol import TOO_LONG, Asker, Completion, ReplyStart, Request, TokenReader
from selfreward.errors import EngineError


def ask(engine: Asker, requests: Sequence[Request], seed: int) -> list[list[Completion]]:
    """The replies, with TOO_LONG to every question that does not fit into the engine's context."""
    too_long: set[str] = set()
    while True:
        fitting = [request for request in requests if request.id not in too_long]
        try:
            replies = iter(engine.generate(fitting, seed) if fitting else [])
        except EngineError as problem:
            if not problem.too_long:
                raise
            too_long |= problem.too_long
            continue
        return [[TOO_LONG] * one.n if one.id in too_long else next(replies) for one in requests]


def ask_next(engine: TokenReader, starts: Sequence[ReplyStart], words: Sequence[str]) -> list[tuple[float, ...]]:
    """The words' log-probabilities, with nothing for every start that does not fit into the engine's context."""
    too_long: set[str] = set()
    while True:
        fitting = [start for start in starts if start.id not in too_long]
        try:
            found = iter(engine.next_token_logprobs(fitting, words) if fitting else [])
        except EngineError as problem:
            if not problem.too_long:
                raise
            too_long |= problem.too_long
            continue
        return [() if start.id in too_long else next(found) for start in starts]
