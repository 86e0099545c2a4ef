"""One question to an OpenAI-compatible server: POST <url>/chat/completions. Every way to fail is a typed `Failure`.

The server is not trusted. The whole exchange has a deadline (connections.py), the body a size limit, and what is not
the expected JSON is a failure, never a guess. httpcore follows no redirect and reads no proxy of the environment, so
the key goes to the host of the recipe only; should the server repeat the key, it is blacked out before anything is
kept.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Any, Literal

import httpcore2

from selfreward.engines.served.connections import Connections

FailureReason = Literal["unreachable", "timed out", "cut", "not JSON", "no reply in it", "refused", "server error"]

FINISHED = ("stop", "eos_token", "eos", "end_turn")
"""What servers call it when the model ended its turn: OpenAI's word, and those of text-generation-inference and others.
"""

TOO_LONG = re.compile(
    r"context_length_exceeded|(?:maximum|max) context|context (?:length|window|size)|prompt is too long"
    r"|max_model_len|too many (?:input )?tokens",
    re.IGNORECASE,
)
"""How servers say that a question does not fit; every other refusal is about the server or the recipe."""

OK = 200
BODY_LIMIT = 8 * 2**20
BLACKED_OUT = "[key]"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said. Token counts are the server's own, 0 where it gives none that could be true."""

    text: str
    reasoning: str
    finished: bool
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply. `again`: asking once more may help; `wait` is what the server asked for, in seconds.

    `too_long`: the server says that the question does not fit into its context.
    """

    reason: FailureReason
    detail: str
    again: bool = True
    wait: float = 0.0
    status: int = 0
    too_long: bool = False


class ChatServer:
    """A server, a model on it and the key. `ask` may be called by many threads; `hang_up` ends what they wait for.

    `ended` is set from then on, and nothing is asked until somebody clears it.
    """

    def __init__(self, url: str, model: str, key: str, timeout: float) -> None:
        self._url = url.rstrip("/") + "/chat/completions"
        self._model, self._key, self._timeout = model, key, timeout
        self.ended = Event()
        self._connections = Connections(self.ended)

    def __repr__(self) -> str:
        return f"ChatServer({self._url}, {self._model})"

    def ask(self, question: Mapping[str, Any]) -> Reply | Failure:
        """The reply to `question`, a request body without the model, or why there is none."""
        body = json.dumps({**question, "model": self._model}).encode()
        try:
            with self._connections.exchange(self._timeout):
                return self._exchanged(body)
        except httpcore2.ConnectTimeout:
            return Failure("timed out", f"no connection within {self._timeout:g} s")
        except httpcore2.TimeoutException:
            return Failure("timed out", f"no whole answer within {self._timeout:g} s")
        except httpcore2.ConnectError as problem:
            return Failure("unreachable", self._safe(str(problem)))
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as problem:
            return Failure("cut", self._safe(repr(problem)))

    def _exchanged(self, body: bytes) -> Reply | Failure:
        if self.ended.is_set():
            return Failure("cut", "hung up here", again=False)
        with self._connections.pool.stream("POST", self._url, headers=self._headers(), content=body) as answer:
            data = b""
            try:
                for part in answer.iter_stream():
                    data += part
                    if len(data) > BODY_LIMIT:
                        break
            except (httpcore2.NetworkError, httpcore2.ProtocolError):
                if answer.status == OK:
                    raise
                # What is refused is refused, though its words were cut.
            return self._read(answer, data)

    def hang_up(self) -> None:
        """Cut every exchange that is going on."""
        self.ended.set()
        self._connections.cut()

    def close(self) -> None:
        self.hang_up()
        self._connections.pool.close()

    def _headers(self) -> dict[bytes | str, bytes | str]:
        headers: dict[bytes | str, bytes | str] = dict.fromkeys(("Content-Type", "Accept"), "application/json")
        headers["Accept-Encoding"] = "identity"
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        return headers

    def _read(self, answer: httpcore2.Response, data: bytes) -> Reply | Failure:
        text = self._safe(data.decode("utf-8", errors="replace"))
        # A server's words go to a terminal: no control characters.
        shown = "".join(letter if letter.isprintable() else " " for letter in text.strip()[:200])
        status, quoted = answer.status, f"HTTP {answer.status}: {shown}"
        if status in (408, 425, 429) or status >= 500:
            return Failure("server error", quoted, wait=_seconds(answer.headers), status=status)
        if status != OK:
            too_long = status in (400, 413, 422) and bool(TOO_LONG.search(text))
            return Failure("refused", quoted, again=False, status=status, too_long=too_long)
        if len(data) > BODY_LIMIT:
            return Failure("no reply in it", f"more than {BODY_LIMIT} bytes")
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return Failure("not JSON", text[:200])
        reply = read_reply(content)
        if reply is None:
            return Failure("no reply in it", text[:200])
        # Once more: JSON may have spelled the key with escapes.
        return replace(reply, text=self._safe(reply.text), reasoning=self._safe(reply.reasoning))

    def _safe(self, text: str) -> str:
        return text.replace(self._key, BLACKED_OUT) if self._key else text


def read_reply(content: Any) -> Reply | None:
    """The first choice of a chat completion, or None for anything else."""
    choices = content.get("choices") if isinstance(content, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return None
    text = message.get("content")
    thoughts = [message.get(name) for name in ("reasoning_content", "reasoning")]
    reasoning = next((thought for thought in thoughts if isinstance(thought, str)), "")
    finish = choice.get("finish_reason")
    if text is None and (reasoning or finish in ("length", "content_filter")):
        text = ""  # it thought until its limit, or its words were withheld
    if not isinstance(text, str):
        return None
    usage = content.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    spent = [_count(counts.get(name)) for name in ("prompt_tokens", "completion_tokens")]
    # A content filter or an unknown word says that the turn was cut.
    return Reply(_whole(text), _whole(reasoning), finish in FINISHED, *spent)


def _whole(text: str) -> str:
    """`text` as it can be written: JSON may spell half of a surrogate pair, which no file holds."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else 0


def _seconds(headers: Sequence[tuple[bytes, bytes]]) -> float:
    """Retry-After in seconds; its other form, a date, is ignored."""
    said = next((value for name, value in headers if name.lower() == b"retry-after"), b"")
    return float(said) if said.isdigit() else 0.0
