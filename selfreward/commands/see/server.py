"""`selfreward view`: the pages, served to this machine alone.

It listens on the loopback address, answers only requests that name it so (another site's page that lets its own name
point here is refused by its Host), reads and never writes, and knows no path but those below: a name in an address is
looked up among the runs and never joined to a directory. The pages load nothing from elsewhere, and their policy
(Content-Security-Policy) would not let them. Whoever has an account on this machine can read them too.
"""

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from selfreward.commands.exits import Stopped
from selfreward.commands.see.pages import Pages
from selfreward.errors import RecipeError, SelfRewardError

ADDRESS = "127.0.0.1"
OWN = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; "
REPORT = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
"""The report is one file, so its style and script stand in it."""
CLOSED = "base-uri 'none'; frame-ancestors 'none'"
HTML = "text/html; charset=utf-8"


class Server(ThreadingHTTPServer):
    """`pages` answers; the port is the one that was really taken."""

    daemon_threads = True

    def __init__(self, pages: Pages, port: int) -> None:
        super().__init__((ADDRESS, port), Handler)
        self.pages = pages

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def names(self) -> set[str]:
        """How a browser on this machine may call it."""
        return {f"{host}:{self.port}" for host in (ADDRESS, "localhost")}


class Handler(BaseHTTPRequestHandler):
    """One request. Anything but GET and HEAD is not implemented, here as in the parent class."""

    server: Server
    server_version, sys_version = "selfreward", ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        if self.headers.get("Host") not in self.server.names:
            said = f"expected a Host of {' or '.join(sorted(self.server.names))}; forward the same port on both sides"
            self._send(HTTPStatus.FORBIDDEN, "text/plain; charset=utf-8", f"{said}\n", OWN, with_body)
            return
        try:
            status, kind, text, policy = self._found()
        except SelfRewardError as problem:
            status, kind, policy = HTTPStatus.NOT_FOUND, HTML, OWN
            text = self.server.pages.problem(str(problem))
        self._send(status, kind, text, policy, with_body)

    def _found(self) -> tuple[HTTPStatus, str, str, str]:
        """Status, kind, text and policy of what was asked for."""
        pages, address = self.server.pages, urlsplit(self.path)
        asked = {name: values[-1] for name, values in parse_qs(address.query).items()}
        parts = [unquote(part) for part in address.path.split("/")[1:]]
        done = HTTPStatus.OK
        match parts:
            case [""]:
                return done, HTML, pages.runs(), OWN
            case ["view.css"]:
                return done, "text/css; charset=utf-8", pages.style(), OWN
            case ["view.js"]:
                return done, "text/javascript; charset=utf-8", pages.script(), OWN
            case ["run", name]:
                return done, HTML, pages.run(name), OWN
            case ["run", name, "report"]:
                return done, HTML, pages.report(name), REPORT
            case ["run", name, "prompts"]:
                page = asked.get("page", "0")
                number = int(page) if page.isdecimal() and len(page) < 10 else 0
                return done, HTML, pages.prompts(name, asked.get("pool", ""), asked.get("text", ""), number), OWN
            case ["run", name, "prompt", prompt_id]:
                return done, HTML, pages.prompt(name, prompt_id), OWN
        return HTTPStatus.NOT_FOUND, HTML, pages.problem("There is no such page."), OWN

    def _send(self, status: HTTPStatus, kind: str, text: str, policy: str, with_body: bool) -> None:
        # A lone surrogate of a file that is no text must not end the answer.
        body = text.encode("utf-8", "replace")
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy + CLOSED,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)
        except ConnectionError:
            # The browser went on before it had all of it.
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal belongs to whoever started it."""


def listening(directory: Path, port: int) -> Server:
    """A server that has its port. Raises RecipeError where that is taken."""
    try:
        return Server(Pages(directory), port)
    except OSError as problem:
        raise RecipeError(f"--port {port}: cannot be had ({problem.strerror}); name another one, or 0") from problem


def serve(directory: Path, port: int, say: Callable[[str], None]) -> None:
    """Until it is stopped, which is how it ends."""
    with listening(directory, port) as server:
        say(f"http://{ADDRESS}:{server.port}/   shows {directory}, to this machine only; Ctrl-C ends it")
        try:
            server.serve_forever()
        except Stopped:
            return
