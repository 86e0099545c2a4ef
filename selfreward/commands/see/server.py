"""`selfreward view`: the pages, served to this machine alone (`loopback.py`).

It reads and never writes, and knows no path but those below: a name in an address is looked up among the runs and never
joined to a directory. Whoever has an account on this machine can read the pages too.
"""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from selfreward.commands.exits import Stopped
from selfreward.commands.loopback import ADDRESS, HTML, OWN, LoopbackHandler, LoopbackServer, on_port
from selfreward.commands.see.pages import Pages
from selfreward.errors import SelfRewardError

REPORT = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
"""The report is one file, so its style and script stand in it."""


class Server(LoopbackServer):
    """`pages` answers."""

    def __init__(self, pages: Pages, port: int) -> None:
        super().__init__(port, Handler)
        self.pages = pages


class Handler(LoopbackHandler):
    """One request. Anything but GET and HEAD is not implemented."""

    server: Server

    def get(self) -> None:
        try:
            status, kind, text, policy = self._found()
        except SelfRewardError as problem:
            status, kind, policy = HTTPStatus.NOT_FOUND, HTML, OWN
            text = self.server.pages.problem(str(problem))
        self.send(status, kind, text, policy)

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


def listening(directory: Path, port: int) -> Server:
    """A server that has its port. Raises RecipeError where that is taken."""
    return on_port(port, lambda free: Server(Pages(directory), free))


def serve(directory: Path, port: int, say: Callable[[str], None]) -> None:
    """Until it is stopped, which is how it ends."""
    with listening(directory, port) as server:
        say(f"http://{ADDRESS}:{server.port}/   shows {directory}, to this machine only; Ctrl-C ends it")
        try:
            server.serve_forever()
        except Stopped:
            return
