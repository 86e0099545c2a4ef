"""`selfreward anchors label`: whom the labelling pages answer (`loopback.py`), and what a press does.

The address holds a random token, new at each start: only who was given it can read or write, and another site's form
cannot send where it does not know. A form that a browser says came from elsewhere is refused as well. One process has
a key at a time.
"""

import fcntl
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from selfreward.commands.anchors.key import key_path
from selfreward.commands.anchors.page.closing import closing
from selfreward.commands.anchors.page.desk import Desk
from selfreward.commands.anchors.page.pages import Pages
from selfreward.commands.exits import Stopped
from selfreward.commands.loopback import ADDRESS, HTML, PLAIN, LoopbackHandler, LoopbackServer, on_port
from selfreward.errors import DataError, RecipeError, SelfRewardError
from selfreward.store.files import on_disk

LONGEST_FORM = 64_000


class Server(LoopbackServer):
    """The pages of a desk, under a token."""

    def __init__(self, desk: Desk, port: int) -> None:
        super().__init__(port, Handler)
        self.token = secrets.token_urlsafe(16)
        self.pages = Pages(desk, f"/{self.token}/")

    @property
    def address(self) -> str:
        return f"http://{ADDRESS}:{self.port}{self.pages.root}"


class Handler(LoopbackHandler):
    """One request: a page, or a press that is answered with where to look next."""

    server: Server
    # Without a referrer a browser would not say of a form where it comes from.
    referrer = "same-origin"

    def get(self) -> None:
        self._answer(self._shown)

    def post(self) -> None:
        self._answer(self._pressed)

    def _answer(self, act: Callable[[list[str]], None]) -> None:
        token, *parts = [unquote(part) for part in urlsplit(self.path).path.split("/")[1:]]
        if not secrets.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            self.send(HTTPStatus.NOT_FOUND, PLAIN, "open the address that `selfreward anchors label` printed, whole\n")
            return
        try:
            with self.server.pages.desk.held():
                act(parts)
        except SelfRewardError as problem:
            self.send(HTTPStatus.CONFLICT, HTML, self.server.pages.problem(str(problem)))

    def _shown(self, parts: list[str]) -> None:
        pages = self.server.pages
        asked = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        match parts:
            case [""]:
                self.send(HTTPStatus.OK, HTML, pages.start())
            case ["label.css"]:
                self.send(HTTPStatus.OK, "text/css; charset=utf-8", pages.style())
            case ["label.js"]:
                self.send(HTTPStatus.OK, "text/javascript; charset=utf-8", pages.script())
            case ["by", name]:
                self.send(HTTPStatus.OK, HTML, pages.row(name, asked))
            case ["adjudicate"]:
                self.send(HTTPStatus.OK, HTML, pages.row(None, asked))
            case _:
                self.send(HTTPStatus.NOT_FOUND, HTML, pages.problem("There is no such page."))

    def _pressed(self, parts: list[str]) -> None:
        desk, root = self.server.pages.desk, self.server.pages.root
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 9 or int(length) > LONGEST_FORM:
            self.send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, PLAIN, f"expected a form of at most {LONGEST_FORM} bytes\n")
            return
        body = self.rfile.read(int(length)).decode("utf-8", "replace")
        if self.headers.get("Origin", self._own()) != self._own():
            self.send(HTTPStatus.FORBIDDEN, PLAIN, "expected a form of this page\n")
            return
        form = {name: values[-1] for name, values in parse_qs(body, keep_blank_values=True).items()}
        match parts:
            case ["begin"]:
                self._see(f"{root}by/{quote(desk.begin(form.get('name', '')))}")
            case ["by", name]:
                self._see(f"{root}by/{quote(name)}?{self._said(name, form)}")
            case ["adjudicate"]:
                self._see(f"{root}adjudicate?{self._said(None, form)}")
            case _:
                self.send(HTTPStatus.NOT_FOUND, HTML, self.server.pages.problem("There is no such page."))

    def _said(self, name: str | None, form: dict[str, str]) -> str:
        """Write what a form says, and what the next page is to be asked."""
        desk = self.server.pages.desk
        if "undo" in form:
            desk.say(name, form["undo"], None, desk.of(name).comments.get(form["undo"], ""))
            return f"at={quote(form['undo'])}&undone=1"
        if not (form.get("label", "").isdecimal() and len(form["label"]) == 1 and "row" in form):
            raise DataError("the form: expected a row and a label")
        desk.say(name, form["row"], int(form["label"]), form.get("comment", ""))
        return f"after={quote(form['row'])}"

    def _own(self) -> str:
        return f"http://{self.headers.get('Host')}"

    def _see(self, address: str) -> None:
        self.send(HTTPStatus.SEE_OTHER, PLAIN, "", location=address)


def serve(desk: Desk, sheet: Path, port: int, say: Callable[[str], None]) -> None:
    """Until it is stopped; then how far the annotators agree."""
    with _alone(key_path(sheet)), on_port(port, lambda free: Server(desk, free)) as server:
        say(f"{server.address}   labels, on this machine only; Ctrl-C ends it, and the same command goes on")
        try:
            server.serve_forever()
        except Stopped:
            # A label that is being written is written first.
            with desk.held():
                say("\n".join(closing(desk, sheet)))


@contextmanager
def _alone(key: Path) -> Iterator[None]:
    """Two processes would each write a sheet without the other's labels."""
    with on_disk(key), key.open("rb") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise RecipeError(f"{key}: `selfreward anchors label` is at work on it already; open its page") from problem
        yield
