"""Local pages: served to this machine alone, and loading nothing from elsewhere.

The server listens on the loopback address and answers only requests that name it so (another site's page that lets its
own name point here is refused by its Host). Each answer brings a policy (Content-Security-Policy) under which a browser
would load nothing foreign.
"""

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from selfreward.errors import RecipeError

ADDRESS = "127.0.0.1"
OWN = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; "
CLOSED = "base-uri 'none'; frame-ancestors 'none'"
HTML = "text/html; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"


class LoopbackServer(ThreadingHTTPServer):
    """The port is the one that was really taken."""

    daemon_threads = True

    def __init__(self, port: int, handler: type["LoopbackHandler"]) -> None:
        super().__init__((ADDRESS, port), handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def names(self) -> set[str]:
        """How a browser on this machine may call it."""
        return {f"{host}:{self.port}" for host in (ADDRESS, "localhost")}


class LoopbackHandler(BaseHTTPRequestHandler):
    """One request, to `get` or `post` where it calls us rightly. HEAD is GET without the body."""

    server: LoopbackServer
    server_version, sys_version = "selfreward", ""
    referrer = "no-referrer"

    def do_GET(self) -> None:
        if not self.called_otherwise():
            self.get()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        if not self.called_otherwise():
            self.post()

    def get(self) -> None:
        self.send_error(HTTPStatus.NOT_IMPLEMENTED)

    def post(self) -> None:
        self.send_error(HTTPStatus.NOT_IMPLEMENTED)

    def called_otherwise(self) -> bool:
        """True where the Host is not ours; that has then been answered."""
        if self.headers.get("Host") in self.server.names:
            return False
        said = f"expected a Host of {' or '.join(sorted(self.server.names))}; forward the same port on both sides"
        self.send(HTTPStatus.FORBIDDEN, PLAIN, f"{said}\n")
        return True

    def send(self, status: HTTPStatus, kind: str, text: str, policy: str = OWN, location: str | None = None) -> None:
        # A lone surrogate of a file that is no text must not end the answer.
        body = text.encode("utf-8", "replace")
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy + CLOSED,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": self.referrer,
            "Cross-Origin-Resource-Policy": "same-origin",
            **({"Location": location} if location else {}),
        }
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except ConnectionError:
            # The browser went on before it had all of it.
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal belongs to whoever started it."""


Made = TypeVar("Made", bound=LoopbackServer)


def on_port(port: int, make: Callable[[int], Made]) -> Made:
    """A server that has its port. Raises RecipeError where that is taken."""
    try:
        return make(port)
    except OSError as problem:
        raise RecipeError(f"--port {port}: cannot be had ({problem.strerror}); name another one, or 0") from problem
