"""What every source of text offers. An engine holds one policy at a time; a role is a prompt and sampling parameters.

The unit of sampling is one `generate` call: a chunk of requests, fixed by the stage's whole input. An engine may batch
inside the call as it likes, but the same call on the same weights gives the same tokens.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from selfreward.records import FinishReason, Message


@dataclass(frozen=True, slots=True)
class Request:
    """Ask for `n` replies to `messages`. `seed` is the request's own, for engines that seed each request.

    `logprob`: whether the replies' log-probability is kept; with a real vocabulary it costs a pass over all logits.
    """

    id: str
    messages: tuple[Message, ...]
    n: int
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    logprob: bool = True


@dataclass(frozen=True, slots=True)
class Completion:
    """One reply. `token_ids` end with the end-of-turn token exactly when `finish_reason` is "stop".

    `text` has no special tokens and no reasoning; `reasoning` is what stood inside thinking tags. `logprob` is the sum
    over `token_ids` of log-probabilities at temperature 1 (nats), or None where it was not asked for or the engine does
    not give it.
    """

    text: str
    reasoning: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    logprob: float | None = None


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """A prompt and a completion as token ids, to be scored by teacher forcing."""

    prompt_token_ids: tuple[int, ...]
    completion_token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReplyStart:
    """A question and the beginning of the reply to it; what is asked is which words may come next.

    They come after a space or, `joined`, without one: then they go on with the reply's last word.
    """

    id: str
    messages: tuple[Message, ...]
    reply: str
    joined: bool = False


TOO_LONG = Completion(text="", reasoning="", token_ids=(), finish_reason="too long")
"""What stands for the reply to a question that does not fit; every parser calls it "question too long"."""


class Asker(Protocol):
    """What can be asked: all that a judge, a meta-judge or a teacher needs, and all that a served model is."""

    kind: str

    @property
    def policy(self) -> str | None:
        """Digest of the weights that answer, or None."""
        ...

    def generate(self, requests: Sequence[Request], seed: int) -> list[list[Completion]]:
        """`n` completions per request, in the order of `requests`. `seed` is the chunk's."""
        ...

    def close(self) -> None:
        """Free what the engine holds. Safe to call twice."""
        ...


@runtime_checkable
class Engine(Asker, Protocol):
    """An asker that holds weights of ours: they can be given, shown, and asked what they think of given tokens."""

    def load(self, directory: Path, digest: str) -> None:
        """Hold the weights in `directory`, which must have this digest. Raises HandOffError or DataError."""
        ...

    def prompt_token_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The tokens of `messages` as every role and the trainer see them, ready for the assistant's turn."""
        ...

    def logprobs(self, texts: Sequence[TokenSequence]) -> list[tuple[float, ...]]:
        """Per-token log-probabilities of each completion (nats, temperature 1), in order."""
        ...

    def checksums(self) -> Mapping[str, str]:
        """SHA-256 of every tensor that the engine computes with, by parameter name."""
        ...


@runtime_checkable
class Sleeper(Protocol):
    """An engine that can give its weights' memory away. It holds no policy afterwards; `load` wakes it."""

    def sleep(self) -> None: ...


@runtime_checkable
class TokenReader(Protocol):
    """An engine that gives the probabilities of the next token without decoding anything."""

    def next_token_logprobs(self, starts: Sequence[ReplyStart], candidates: Sequence[str]) -> list[tuple[float, ...]]:
        """Log-probability (nats, temperature 1) of each candidate as the next word of each reply, in order.

        A candidate must be one token where it stands. Raises NotOneTokenError naming the one that is not.
        """
        ...


Dialogue = Generator[Sequence[Request], list[list[Completion]], None]
"""Yields requests, is sent what `generate` would return for them, and so on until it has nothing more to ask."""


@runtime_checkable
class Converser(Protocol):
    """An engine that takes further requests while others are running."""

    def converse(self, dialogues: Sequence[Dialogue]) -> None:
        """Hold all dialogues to their ends, none waiting for the replies to another."""


@runtime_checkable
class Overlapping(Protocol):
    """An engine that several threads may ask at the same time."""

    def hang_up(self) -> None:
        """End what they are asking and will ask, with an error. Safe to call from another thread."""
        ...

    def pick_up(self) -> None:
        """Answer again."""
        ...


@runtime_checkable
class Talker(Protocol):
    """An engine that says how far it is inside a call. `told(tokens, share)`: tokens that were sampled or read since it
    last spoke, and which share of the call's replies is finished.
    """

    told: Callable[[int, float], None]


@runtime_checkable
class Compiler(Protocol):
    """An engine that finds what it compiled again by the path that it was built on.

    `built_on(directory, architecture)` gives that path: during the block it leads to `directory`. As long as nobody
    says otherwise it is `directory` itself.
    """

    built_on: Callable[[Path, Mapping[str, Any]], AbstractContextManager[Path]]


@runtime_checkable
class Accountant(Protocol):
    """An engine that counts what it did: builds, swaps, tokens, cache hits."""

    def report(self) -> Mapping[str, Any]: ...
