"""One question to an OpenAI-compatible server: POST <url>/chat/completions. Every way to fail is a typed `Failure`.

The server is not trusted. The whole exchange has a deadline (a server that sends a byte a second is cut), the body a
size limit, and what is not the expected JSON is a failure, never a guess. Redirects are not followed, so the key goes
to the host of the recipe only; should the server repeat the key, it is blacked out before anything is kept. Proxies of
the environment are not used.
"""

import http.client
import json
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event, Lock, Timer
from typing import Any, Literal
from urllib.parse import urlsplit

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
        parts = urlsplit(url)
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname or "", parts.port
        self._path = parts.path.rstrip("/") + "/chat/completions"
        self._model, self._key, self._timeout = model, key, timeout
        self.ended = Event()
        self._open: set[http.client.HTTPConnection] = set()
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"ChatServer({self._host}, {self._model})"

    def ask(self, question: Mapping[str, Any]) -> Reply | Failure:
        """The reply to `question`, a request body without the model, or why there is none."""
        connection = self._connection()
        overdue: list[bool] = []

        def cut() -> None:
            overdue.append(True)
            _shut(connection)

        clock = Timer(self._timeout, cut)
        clock.daemon = True
        with self._lock:
            self._open.add(connection)
        clock.start()
        try:
            body = json.dumps({**question, "model": self._model})
            try:
                connection.connect()
            except TimeoutError:
                return Failure("timed out", f"no connection within {self._timeout:g} s")
            except OSError as problem:
                return Failure("unreachable", self._safe(str(problem)))
            if self.ended.is_set():
                return Failure("cut", "hung up here", again=False)
            connection.request("POST", self._path, body, self._headers())
            answer = connection.getresponse()
            return self._read(answer, answer.read(BODY_LIMIT + 1))
        except (OSError, http.client.HTTPException, ValueError) as problem:
            # ValueError: http.client's word for a chunk size or a length that is no number.
            late = bool(overdue) or isinstance(problem, TimeoutError)
            why = f"no whole answer within {self._timeout:g} s" if late else self._safe(repr(problem))
            return Failure("timed out" if late else "cut", why)
        finally:
            clock.cancel()
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def hang_up(self) -> None:
        """Cut every exchange that is going on."""
        self.ended.set()
        with self._lock:
            for connection in self._open:
                _shut(connection)

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout)

    def _headers(self) -> dict[str, str]:
        key = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return {"Content-Type": "application/json", "Accept": "application/json", **key}

    def _read(self, answer: http.client.HTTPResponse, data: bytes) -> Reply | Failure:
        text = self._safe(data.decode("utf-8", errors="replace"))
        # A server's words go to a terminal: no control characters.
        shown = "".join(letter if letter.isprintable() else " " for letter in text.strip()[:200])
        status, quoted = answer.status, f"HTTP {answer.status}: {shown}"
        if status in (408, 425, 429) or status >= 500:
            return Failure("server error", quoted, wait=_seconds(answer.getheader("Retry-After")), status=status)
        if status != 200:
            too_long = status in (400, 413, 422) and bool(TOO_LONG.search(text))
            return Failure("refused", quoted, again=False, status=status, too_long=too_long)
        if len(data) > BODY_LIMIT:
            return Failure("no reply in it", f"more than {BODY_LIMIT} bytes")
        promised = answer.getheader("Content-Length")
        if promised is not None and promised.isdecimal() and len(data) < int(promised):
            return Failure("cut", f"{len(data)} of {promised} bytes")
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


def _seconds(header: str | None) -> float:
    """Retry-After in seconds; its other form, a date, is ignored."""
    return float(header) if header is not None and header.isascii() and header.isdecimal() else 0.0


def _shut(connection: http.client.HTTPConnection) -> None:
    """End reads and writes on the connection, in whatever thread they are."""
    held = connection.sock
    if held is not None:
        with suppress(OSError):
            # Not the TLS socket's own method, which would pull the session from under the reading thread.
            socket.socket.shutdown(held, socket.SHUT_RDWR)
