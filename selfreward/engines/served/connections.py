"""Kept connections to one server, by httpcore: an exchange ends in time whatever the server does, or when it is cut.

httpcore's own timeouts are for one read, which a server that sends a byte a second never exceeds. So every read and
write here may take what is left of its exchange. A sync exchange lives in one thread, and so does what is left of it.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpcore2

IDLE = 2.0
"""Seconds that a connection is kept unused: shorter than any usual server keeps it, so that none closes it under us."""

PIECE = 2**16
"""Bytes of one write."""


class Connections(httpcore2.NetworkBackend):
    """All connections to a server; `pool` exchanges over them. While `ended` is set, a new one is cut at once."""

    def __init__(self, ended: threading.Event) -> None:
        self._own, self._exchange = httpcore2.SyncBackend(), threading.local()
        self._open: set[_Connection] = set()
        self._lock, self._ended = threading.Lock(), ended
        self.pool = httpcore2.ConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=None,
            keepalive_expiry=IDLE,
            network_backend=self,
        )

    @contextmanager
    def exchange(self, seconds: float) -> Iterator[None]:
        """All that this thread does over its connection inside takes `seconds` at most."""
        self._exchange.until = time.monotonic() + seconds
        yield

    def left(self) -> float:
        """Of this thread's exchange."""
        seconds: float = self._exchange.until - time.monotonic()
        if seconds <= 0:
            raise httpcore2.ReadTimeout("the exchange took too long")
        return seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        plain = self._own.connect_tcp(host, port, self.left(), local_address, socket_options)
        connection = _Connection(plain, self)
        with self._lock:
            self._open.add(connection)
        if self._ended.is_set():
            connection.cut()  # it came too late to be cut with the others
        return connection

    def forget(self, connection: "_Connection") -> None:
        with self._lock:
            self._open.discard(connection)

    def cut(self) -> None:
        """End reads and writes on every connection, in whatever thread they are."""
        with self._lock:
            for connection in self._open:
                connection.cut()


class _Connection(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, connections: Connections) -> None:
        self._stream, self._connections = stream, connections

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._connections.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for begin in range(0, len(buffer), PIECE):
            self._stream.write(buffer[begin : begin + PIECE], self._connections.left())

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        self._stream = self._stream.start_tls(ssl_context, server_hostname, self._connections.left())
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._connections.forget(self)
        self._stream.close()

    def cut(self) -> None:
        with suppress(OSError):
            # Not the TLS socket's own method, which would pull the session from under the reading thread.
            socket.socket.shutdown(self.get_extra_info("socket"), socket.SHUT_RDWR)
