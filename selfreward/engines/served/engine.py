"""A model behind an OpenAI-compatible server (`vllm serve`, a provider): a judge, a meta-judge or a teacher.

Such a model has no tokens and no weights here: it can be asked, but not trained, not scored by teacher forcing, and its
hand-off cannot be verified. Its policy's digest is the hash of URL and model name, so a server that changes the weights
behind the name goes unnoticed.

Every reply is a request of its own with its own seed, so servers without `n` will do. What can be transient is asked
again, after a wait that doubles and has jitter. What then still fails, or was refused (HTTP 400, 401, 404),
ends the call with an EngineError that quotes the server: a verdict, even an unreadable one, is kept and shared, and the
cause is one that somebody can mend. Nothing of the call is written, and the same command asks it again.

One refusal is about the question: it is longer than the server's context. Where the server has answered others, that
one gets the completion TOO_LONG, which every parser calls "question too long".
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_result, sleep_using_event, stop_after_attempt

from selfreward.engines.protocol import TOO_LONG, Completion, Request
from selfreward.engines.served.server import ChatServer, Failure, Reply
from selfreward.engines.thinking import split_reasoning
from selfreward.errors import EngineError, RecipeError
from selfreward.recipe import ServedRecipe
from selfreward.records import seed_for

LONGEST_WAIT = 60.0
SEEDS = 2**31
"""Servers take seeds of 31 bits."""


@dataclass
class Counts:
    """What was asked, what came of it and what the server says it cost."""

    requests: int = 0
    retries: int = 0
    replies: int = 0
    no_reply: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    failures: Counter[str] = field(default_factory=Counter)


def served_digest(recipe: ServedRecipe) -> str:
    """What stands for the weights: the hash of URL and model name; never of the key."""
    return sha256(f"served {recipe.url.rstrip('/')} {recipe.model}".encode()).hexdigest()


def key_of(name: str, recipe: ServedRecipe) -> str:
    """The key from the environment; empty where none is wanted. Raises RecipeError where it is wanted and not there."""
    if recipe.key_env is None:
        return ""
    key = os.environ.get(recipe.key_env, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        # The name is not quoted: it may be the key itself, put here by mistake.
        raise RecipeError(
            f"served.{name}.key_env names an environment variable that is not set or holds no printable key; "
            "export it, or set the key to null for a server that needs none"
        )
    return key


class ServedEngine:
    """Asks one served model. `generate` blocks until every reply is there or given up."""

    kind = "served"
    CALLS = 2
    """Chunks at the same time: the next one is asked while the last replies to this one are waited for."""

    def __init__(self, name: str, recipe: ServedRecipe) -> None:
        self._name, self._recipe = name, recipe
        self._server = ChatServer(recipe.url, recipe.model, key_of(name, recipe), recipe.timeout)
        self._counts = Counts()
        self._lock = Lock()
        self._jitter = random.Random()
        self._fatal: EngineError | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._calls, self._hung_up = 0, False
        self.told: Callable[[int, float], None] = lambda tokens, share: None

    @property
    def policy(self) -> str | None:
        return served_digest(self._recipe)

    def generate(self, requests: Sequence[Request], seed: int) -> list[list[Completion]]:
        """Replies depend on each request's own seed, as far as the server honours it; the chunk's is not needed.

        Several threads may call; together they ask no more at a time than the recipe allows, the earlier call first.
        Raises EngineError, with the server's words, where one request got no reply.
        """
        asked = [(request, sample) for request in requests for sample in range(request.n)]
        replies: list[Future[Completion]] = []
        pool = self._begin()
        try:
            replies = [pool.submit(self._reply, request, sample) for request, sample in asked]
            drawn = []
            for reply in replies:
                drawn.append(reply.result())
                self.told(0, len(drawn) / len(asked))
            ended = self._server.ended.is_set()
        except BaseException:
            # Ctrl-C too: nobody waits for a slow server's last word.
            self._server.hang_up()
            raise
        finally:
            self._end(replies)
        if ended:
            raise self._fatal or EngineError(f"served:{self._name}: was hung up on; nothing of these replies is kept")
        if TOO_LONG in drawn and not self._counts.replies:
            raise EngineError(
                f"served:{self._name} ({self._recipe.url}) answers nothing, because every question is too long for it; "
                "serve the model with a longer context, or lower max_tokens"
            )
        given = iter(drawn)
        return [[next(given) for _ in range(request.n)] for request in requests]

    def _begin(self) -> ThreadPoolExecutor:
        """One more call. The first of several clears what ended those before it."""
        with self._lock:
            if not self._calls and not self._hung_up:
                self._fatal = None
                self._server.ended.clear()
            self._calls += 1
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._recipe.concurrency, thread_name_prefix=f"served-{self._name}")
            return self._pool

    def _end(self, replies: Sequence[Future[Completion]]) -> None:
        """One call less, and none of its requests goes on. The last one takes the threads along."""
        for reply in replies:
            reply.cancel()
        wait(replies)
        with self._lock:
            self._calls -= 1
            pool, self._pool = (self._pool, None) if not self._calls else (None, self._pool)
        if pool is not None:
            pool.shutdown(wait=True)

    def hang_up(self) -> None:
        """End every call that is going on or begun later, with an error, until `pick_up`."""
        self._hung_up = True
        self._server.hang_up()

    def pick_up(self) -> None:
        self._hung_up = False

    def _reply(self, request: Request, sample: int) -> Completion:
        question = {
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_tokens,
            "seed": seed_for("served", request.seed, sample) % SEEDS,
        }
        asking = Retrying(
            retry=retry_if_result(lambda answer: isinstance(answer, Failure) and answer.again),
            stop=stop_after_attempt(self._recipe.retries + 1),
            wait=self._pause,
            sleep=sleep_using_event(self._server.ended),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )
        answer = asking(lambda: self._asked(question, asking.statistics["attempt_number"]))
        if isinstance(answer, Reply):
            text, thought = split_reasoning(answer.text)
            reasoning = "\n".join(part for part in (answer.reasoning.strip(), thought) if part)
            return Completion(text, reasoning, (), "stop" if answer.finished else "length")
        if answer is not None and not answer.too_long:
            self._give_up(answer, request, asking.statistics["attempt_number"])
        # Where the question is not too long, nobody reads it: the call ends with this thread's error or another's.
        return TOO_LONG

    def _asked(self, question: Mapping[str, Any], attempt: int) -> Reply | Failure | None:
        """What the server says, counted; None where the call has ended, which is no failure of the server's."""
        answer = None if self._server.ended.is_set() else self._server.ask(question)
        if answer is None or (isinstance(answer, Failure) and self._server.ended.is_set()):
            return None
        self._count(answer, attempt)
        return answer

    def _give_up(self, answer: Failure, request: Request, tries: int) -> None:
        """End the call for all threads. The first cause is the one that is told."""
        server = f"served:{self._name} ({self._recipe.url})"
        again = "then run the same command again: nothing of these replies was written"
        if answer.reason == "unreachable":
            said = f"no connection to {self._recipe.url} in {tries} tries ({answer.detail})"
            advice = f"start the server or correct served.{self._name}.url"
        elif answer.status in (401, 403, 404):
            said = f"refuses model {self._recipe.model!r}: {answer.detail}"
            advice = "check url, model and the key that key_env names"
        elif answer.reason == "refused":
            said, advice = (
                f"refuses request {request.id}: {answer.detail}",
                "correct the server or the recipe's sampling",
            )
        else:
            said = f"gave no reply to request {request.id} in {tries} tries: {answer.reason} ({answer.detail})"
            advice = f"mend the server, or raise served.{self._name}.retries or timeout"
        with self._lock:
            if self._fatal is not None or self._server.ended.is_set():
                return
            self._counts.no_reply += 1
            self._fatal = EngineError(f"{server} {said}; {advice}, {again}")
        self._server.hang_up()

    def _pause(self, state: RetryCallState) -> float:
        """Doubling, with jitter so that the callers do not come back together; at least what the server asked for."""
        answer = state.outcome and state.outcome.result()
        wanted = answer.wait if isinstance(answer, Failure) else 0.0
        doubled = self._recipe.backoff * 2.0 ** (state.attempt_number - 1)
        return min(LONGEST_WAIT, max(wanted, doubled) * (1 + self._jitter.random() / 2))

    def _count(self, answer: Reply | Failure, attempt: int) -> None:
        with self._lock:
            self._counts.requests += 1
            self._counts.retries += attempt > 1
            if isinstance(answer, Failure):
                self._counts.failures[answer.reason] += 1
                return
            self._counts.replies += 1
            self._counts.prompt_tokens += answer.prompt_tokens
            self._counts.completion_tokens += answer.completion_tokens

    def report(self) -> Mapping[str, Any]:
        """Requests, retries, failures by reason, the server's token counts, and their price (per million tokens)."""
        counts, recipe = self._counts, self._recipe
        cost = (counts.prompt_tokens * recipe.price_in + counts.completion_tokens * recipe.price_out) / 1e6
        return {
            "kind": self.kind,
            "url": recipe.url,
            "model": recipe.model,
            "requests": counts.requests,
            "retries": counts.retries,
            "replies": counts.replies,
            "no_reply": counts.no_reply,
            "failures": dict(sorted(counts.failures.items())),
            "prompt_tokens": counts.prompt_tokens,
            "completion_tokens": counts.completion_tokens,
            "cost": round(cost, 6),
        }

    def close(self) -> None:
        self._server.close()
