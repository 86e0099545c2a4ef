"""A real server on loopback that answers, lies, cuts and delays as it is told, and remembers what it was asked."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[[BaseHTTPRequestHandler, dict[str, Any], int], None]
"""Writes the answer to a question; the number counts the questions from 0."""


@dataclass
class Told:
    """What arrived: bodies and headers in order, and how many were being answered at the same time at most."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    connections: int = 0


def send(handler: BaseHTTPRequestHandler, status: int, data: bytes, promised: int | None = None, **more: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data) if promised is None else promised))
    for name, value in more.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)


def completion(text: Any, finish: str = "stop", prompt: int = 10, completion: int = 5, **message: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()


def says(text: Any, finish: str = "stop", **message: Any) -> Behaviour:
    return lambda handler, body, number: send(handler, 200, completion(text, finish, **message))


def sends(status: int, data: bytes = b"", **headers: str) -> Behaviour:
    return lambda handler, body, number: send(handler, status, data, **headers)


def first(count: int, then: Behaviour, *, before: Behaviour) -> Behaviour:
    return lambda handler, body, number: (before if number < count else then)(handler, body, number)


def cuts(handler: BaseHTTPRequestHandler, body: dict[str, Any], number: int) -> None:
    """Half of a good answer, then the end of the connection."""
    whole = completion("It is right. Score: 5")
    send(handler, 200, whole[: len(whole) // 2], promised=len(whole))
    handler.close_connection = True


def hangs_up(handler: BaseHTTPRequestHandler, body: dict[str, Any], number: int) -> None:
    handler.close_connection = True


def delays(seconds: float, then: Behaviour) -> Behaviour:
    def answer(handler: BaseHTTPRequestHandler, body: dict[str, Any], number: int) -> None:
        time.sleep(seconds)
        then(handler, body, number)

    return answer


def drips(handler: BaseHTTPRequestHandler, body: dict[str, Any], number: int) -> None:
    """A byte now and then: no single read ever takes long."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 200:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.05)


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # the default of 5 resets connections of its own accord


@contextmanager
def server(behaviour: Behaviour, protocol: str = "HTTP/1.1") -> Iterator[Told]:
    """HTTP/1.1 keeps a connection for further questions, HTTP/1.0 closes it after each."""
    told, lock = Told(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = protocol

        def setup(self) -> None:
            super().setup()
            with lock:
                told.connections += 1

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(told.bodies)
                told.bodies.append(body)
                told.headers.append(dict(self.headers.items()))
                told.paths.append(self.path)
                told.times.append(time.monotonic())
            try:
                behaviour(self, body, number)
            except OSError:
                self.close_connection = True  # the caller hung up

        def log_message(self, format: str, *args: Any) -> None:
            pass

    listening = _Listening(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{listening.server_port}/v1"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        listening.shutdown()
        listening.server_close()


def grade_by_answer(grades: Sequence[str]) -> Behaviour:
    """A judge whose verdict depends on the words that it is shown, and on nothing else."""

    def answer(handler: BaseHTTPRequestHandler, body: dict[str, Any], number: int) -> None:
        shown = body["messages"][-1]["content"]
        send(handler, 200, completion(f"I looked. Score: {grades[sum(map(ord, shown)) % len(grades)]}"))

    return answer
