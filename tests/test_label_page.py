"""People label on a local page: who gets which rows, what is on disk when, whom it answers, what it hides."""

import dataclasses
import html
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from run_factory import Story, write_run
from sklearn.metrics import cohen_kappa_score
from typer.testing import CliRunner

from selfreward.commands.anchors.key import Key, KeyRow, key_path, read_key, write_key
from selfreward.commands.anchors.labels import settle
from selfreward.commands.anchors.page.closing import closing
from selfreward.commands.anchors.page.desk import Desk
from selfreward.commands.anchors.page.pages import Pages
from selfreward.commands.anchors.page.server import Server
from selfreward.commands.anchors.sample import Wanted, make_key
from selfreward.commands.anchors.sheet import read_sheet
from selfreward.commands.cli import app
from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.roles.catalogue import version, words
from selfreward.store.results import Store
from selfreward.store.view import RunView
from selfreward.tasks.verifiers.sandbox import SandboxVerifier

ATTACK = "</p><script>document.title='taken'</script><img src=x onerror=alert(1)> \u2028 \"quoted\""
TRUTH = SandboxVerifier()


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return write_run(Store(tmp_path_factory.mktemp("results")), "told", Story(skill=(0.3, 0.5), train=8, report=12))


@pytest.fixture
def desk(view: RunView, tmp_path: Path) -> Desk:
    return desk_of(view, tmp_path)


def desk_of(view: RunView, folder: Path, rows: int = 12, against: int | None = None, double: float = 0.5) -> Desk:
    key, _ = make_key(view, 1, Wanted(rows, against=against, double=double))
    write_key(key_path(folder / "sheet.csv"), key)
    return Desk(folder / "sheet.csv", key)


def quality(row: KeyRow) -> int:
    return int(TRUTH.check(Prompt("", row.candidate.messages, "gate", "sandbox"), row.shown[0]).quality)


def ids(rows: tuple[KeyRow, ...]) -> list[str]:
    return [row.id for row in rows]


@contextmanager
def serving(desk: Desk) -> Iterator[Server]:
    with Server(desk, 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Answer:
    def __init__(self, found: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.text = found.status, found.headers, found.read().decode()
        self.next = found.headers.get("Location", "")


def ask(server: Server, path: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
    """A path that begins with / is whole, any other is below the token."""
    whole = path if path.startswith("/") else server.pages.root + path
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
    body = urlencode(form) if form is not None else None
    connection.request("GET" if form is None else "POST", whole, body, {**kind, **headers})
    return Answer(connection.getresponse())


def row_of(page: str) -> str:
    return re.search(r'name="row" value="(\w+)"', page)[1]


def test_everybody_gets_the_rows_in_an_order_of_their_own_and_the_second_only_what_is_doubled(desk: Desk) -> None:
    assert desk.begin("ann") == "ann" and desk.begin("béa") == "béa"
    first, second = desk.of("ann").rows, desk.of("béa").rows
    assert sorted(ids(first)) == sorted(ids(desk.key.rows)) != ids(first)
    assert {row.id for row in second} == {row.id for row in desk.key.rows if row.double}
    assert len(second) == 6 and ids(second) != [one for one in ids(first) if one in set(ids(second))]
    assert desk.begin(" ANN ") == "ann", "the same person"
    for name, word in (
        ("cleo", "two label"),
        ("", "1 to 40"),
        ("../x", "1 to 40"),
        ("a b", "1 to 40"),
        ("a.b", "1 to"),
    ):
        with pytest.raises(DataError, match=word):
            desk.begin(name)
    assert sorted(path.name for path in desk.adjudicated.parent.iterdir()) == [
        *("sheet-by-ann.csv", "sheet-by-béa.csv", "sheet.key.json"),
    ]


def test_another_seed_is_another_order_and_the_sheet_keeps_the_one_it_began_with(desk: Desk, tmp_path: Path) -> None:
    orders = []
    for seed in range(3):
        (tmp_path / str(seed)).mkdir()
        own = Desk(tmp_path / str(seed) / "s.csv", desk.key, seed)
        own.begin("ann")
        orders.append(ids(own.of("ann").rows))
        assert ids(Desk(tmp_path / str(seed) / "s.csv", desk.key, 99).of("ann").rows) == orders[-1]
    assert len({tuple(order) for order in orders}) == 3


def test_no_second_annotator_where_nothing_is_doubled(view: RunView, tmp_path: Path) -> None:
    desk = desk_of(view, tmp_path, double=0.0)
    desk.begin("ann")
    with pytest.raises(DataError, match="no row is to be labelled twice"):
        desk.begin("bea")


def test_rows_come_in_order_skipped_ones_at_the_end_and_undo_goes_back(desk: Desk) -> None:
    desk.begin("ann")
    order = ids(desk.of("ann").rows)

    def now(after: str | None = None) -> str | None:
        row = desk.of("ann").after(after)
        return row and row.id

    assert now() == order[0]
    desk.say("ann", order[0], 4, "")
    assert now(order[0]) == now() == order[1]
    assert now(order[1]) == order[2], "skipped"
    for one in order[2:]:
        desk.say("ann", one, 1, "")
    assert now(order[-1]) == order[1] == now()
    assert desk.of("ann").before(order[1], itself=False).id == order[0]
    desk.say("ann", order[1], 2, "hard")
    assert now() is None and desk.of("ann").left == 0
    assert desk.of("ann").before(order[1], itself=True).id == order[1]
    desk.say("ann", order[1], None, "hard")
    assert now() == order[1] and desk.of("ann").comments == {order[1]: "hard"}
    assert desk.of("ann").before(None, itself=False).id == order[-1]


def test_what_two_say_differently_is_adjudicated_and_then_closed(desk: Desk) -> None:
    for name in ("ann", "bea"):
        desk.begin(name)
    both = ids(desk.of("bea").rows)
    for row in desk.of("ann").rows:
        desk.say("ann", row.id, quality(row), "")
    for row in desk.of("bea").rows:
        desk.say("bea", row.id, quality(row) if row.id != both[2] else (quality(row) + 3) % 6, "")
    third = desk.of(None)
    assert ids(third.rows) == [both[2]] and len(set(third.given[both[2]])) == 2 and not desk.adjudicated.exists()
    assert desk.settled().waiting == (both[2],)
    desk.say(None, both[2], 5, "both were wrong")
    assert read_sheet(desk.adjudicated, desk.key).labels == {both[2]: 5}
    assert desk.settled().waiting == () and desk.settled().labels[both[2]] == 5 and desk.settled().adjudicated == 1
    for name in ("ann", "bea"):
        with pytest.raises(DataError, match="adjudicated, its labels stand"):
            desk.say(name, both[2], None, "")
    assert desk.of("bea").before(both[2], itself=True).id != both[2]
    with pytest.raises(DataError, match="not among these"):
        desk.say(None, both[0], 1, "")
    desk.say(None, both[2], None, "")
    desk.say("bea", both[2], desk.of("ann").labels[both[2]], "")
    assert desk.of(None).rows == () and desk.settled().waiting == ()


def test_the_sheets_are_those_that_score_reads(desk: Desk, tmp_path: Path) -> None:
    for name, wrong in (("ann", 0), ("bea", 1)):
        desk.begin(name)
        for place, row in enumerate(desk.of(name).rows):
            desk.say(name, row.id, (quality(row) + wrong * (place == 0)) % 6, "=1+1")
    told = "\n".join(closing(desk, tmp_path / "sheet.csv"))
    command = re.search(r"selfreward (anchors score .*)", told)[1].split()
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0 and "11 of 12 rows have a final label" in done.output
    assert "1 disputed rows wait" in done.output
    pairs = settle(desk.key, desk.sheets()).doubles
    expected = cohen_kappa_score([one for _, one, _ in pairs], [other for _, _, other in pairs])
    for text in (told, done.output):
        assert f"kappa {expected:.3f}" in text and "Krippendorff's alpha (ordinal)" in text and "Fleiss' kappa" in text
    assert "judge with people" not in told, "whoever labels on may read it"
    assert read_sheet(tmp_path / "sheet-by-ann.csv", desk.key).comments.popitem()[1] == "=1+1"


def test_nothing_to_say_is_said(desk: Desk, tmp_path: Path) -> None:
    assert closing(desk, tmp_path / "sheet.csv") == ["nobody has labelled anything"]
    desk.begin("ann")
    assert closing(desk, tmp_path / "sheet.csv")[-1] == "nothing is labelled yet"
    desk.say("ann", desk.key.rows[0].id, 1, "")
    assert "no row has been labelled by both" in "\n".join(closing(desk, tmp_path / "sheet.csv"))


def test_a_page_says_nothing_of_model_round_score_or_run(view: RunView, desk: Desk, tmp_path: Path) -> None:
    """Another key with the same texts, and all else different, gives the same pages."""
    desk.begin("ann")

    def other(row: KeyRow) -> KeyRow:
        made = dataclasses.replace(row.candidate, judge=5 - row.candidate.judge, round=9, cohort="x", copies=7)
        return dataclasses.replace(row, candidate=made, locked=not row.locked, part="audit")

    rows = tuple(map(other, desk.key.rows))
    changed = dataclasses.replace(desk.key, run="another", round=9, pool="report", unread=5, rows=rows, population=())
    twin = Desk(tmp_path / "sheet.csv", changed)
    for row in desk.of("ann").rows:
        asked = {"at": row.id}
        page = Pages(desk, "/t/").row("ann", asked)
        assert page == Pages(twin, "/t/").row("ann", asked)
        assert html.escape(row.shown[0]) in page.replace("&#39;", "&#x27;").replace("&#34;", "&quot;")
    assert Pages(desk, "/t/").start() == Pages(twin, "/t/").start()


def test_what_models_wrote_is_text(tmp_path: Path) -> None:
    story = Story((0.4, 0.5), texts={"gate": ATTACK}, train=8, report=12)
    desk = desk_of(write_run(Store(tmp_path / "results"), "attacked", story), tmp_path, rows=200)
    desk.begin("ann")
    pages = [Pages(desk, "/t/").row("ann", {"at": row.id}) for row in desk.of("ann").rows]
    assert not any("<script>document" in page or "<img" in page for page in pages)
    assert any("&lt;script&gt;document.title" in page for page in pages)


def test_people_see_the_rubric_that_the_judge_was_given(desk: Desk, tmp_path: Path) -> None:
    template = version("judge", "additive")
    rows = tuple(
        dataclasses.replace(row, candidate=dataclasses.replace(row.candidate, template=f"{template}, own/mine@1"))
        for row in desk.key.rows
    )
    desk.begin("ann")
    page = Pages(Desk(tmp_path / "sheet.csv", dataclasses.replace(desk.key, rows=rows)), "/t/").row("ann", {})
    assert html.escape(words("judge", "additive")[:50], quote=False) in page and "own/mine@1: its words" in page


def test_without_a_script_every_button_is_a_form(desk: Desk) -> None:
    with serving(desk) as server:
        begun = ask(server, "begin", {"name": "ann"})
        assert begun.status == 303 and begun.next.endswith("/by/ann")
        page, order = ask(server, begun.next), ids(desk.of("ann").rows)
        assert row_of(page.text) == order[0] and "Row 1 of 12" in page.text and 'value="undo"' not in page.text
        assert re.findall(r'name="label" value="(\d)"', page.text) == list("012345")
        pressed = ask(server, "by/ann", {"row": order[0], "label": "4", "comment": "so"}, Origin=server.address[:-1])
        assert pressed.status == 403, "an origin has no path"
        pressed = ask(server, "by/ann", {"row": order[0], "label": "4", "comment": "so"})
        on_disk = read_sheet(desk.annotators()["ann"], desk.key)
        assert on_disk.labels == {order[0]: 4} and on_disk.comments == {order[0]: "so"}
        after = ask(server, pressed.next)
        assert row_of(after.text) == order[1] and 'data-said="Saved: 4. Row 2 of 12"' in after.text
        back = ask(server, "by/ann", {"undo": re.search(r'name="undo" value="(\w+)"', after.text)[1]})
        again = ask(server, back.next)
        assert row_of(again.text) == order[0] and 'value="so"' in again.text and "Taken back." in again.text
        assert read_sheet(desk.annotators()["ann"], desk.key).labels == {}
        for form in (
            {},
            {"row": order[0]},
            {"row": order[0], "label": "6"},
            {"row": "r0", "label": "1"},
            {"undo": "x"},
        ):
            assert ask(server, "by/ann", form).status == 409
        assert ask(server, "by/nobody").status == 409 and ask(server, "nothing").status == 404
        assert ask(server, "adjudicate", {"row": order[0], "label": "1"}).status == 409
        assert "Nothing to adjudicate" in ask(server, "adjudicate").text


def test_only_who_has_the_address_and_calls_it_rightly_is_answered(desk: Desk) -> None:
    desk.begin("ann")
    row = desk.of("ann").rows[0].id
    form = {"row": row, "label": "3"}
    with serving(desk) as server:
        assert server.server_address[0] == "127.0.0.1" and len(server.token) > 20
        for path in ("/", "/by/ann", f"/{server.token[:-1]}/by/ann", f"/{server.token}x/", "//", "/%ff/"):
            assert ask(server, path).status == 404 and ask(server, path, form).status == 404
        for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1"):
            assert ask(server, "by/ann", form, Host=host).status == 403
        for origin in ("http://evil.example", "null", f"http://127.0.0.1:{server.port + 1}", "https://127.0.0.1"):
            assert ask(server, "by/ann", form, Origin=origin).status == 403
        assert ask(server, "by/ann", {**form, "comment": "x" * 70_000}).status == 413
        for name in ("..%2fsheet", "%2e%2e", "ann%2f..%2fann", "ann.csv"):
            assert ask(server, f"by/{name}", form).status in (404, 409)
        assert desk.of("ann").labels == {}
        assert ask(server, "by/ann", form, Origin=f"http://127.0.0.1:{server.port}").status == 303
        assert desk.of("ann").labels == {row: 3}
        for path in ("", "by/ann", "label.css", "label.js", "adjudicate"):
            found = ask(server, path)
            assert found.status == 200 and "default-src 'none'" in found.headers["Content-Security-Policy"]
            loaded = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)|url\(([^)]*)\)|@import""", found.text)
            assert not [one for pair in loaded for one in pair if re.match(r"(https?:)?//", one)]


def test_the_start_tells_the_agreement_once_both_are_through(desk: Desk) -> None:
    pages = Pages(desk, "/t/")
    for name in ("ann", "bea"):
        desk.begin(name)
        for row in desk.of(name).rows:
            assert "Agreement" not in pages.start()
            desk.say(name, row.id, quality(row), "")
    assert "kappa 1.000" in pages.start() and "adjudicate</a>" not in pages.start()


class Command:
    """The command itself, in a process that can be killed."""

    def __init__(self, view: RunView, folder: Path, *words: str) -> None:
        command = [sys.executable, "-m", "selfreward", "anchors", "label", "told", *words]
        where = ["--results", str(view.path.parent)]
        self.process = subprocess.Popen(
            [*command, *where], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
        )
        self.before: list[str] = []
        while not (found := re.match(r"http://127.0.0.1:(\d+)(/\S+/)", line := self.process.stdout.readline())):
            assert line, self.process.stderr.read()
            self.before.append(line)
        self.port, self.root = int(found[1]), found[2]

    def ask(self, path: str, form: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        whole = path if path.startswith("/") else self.root + path
        connection.request("POST" if form else "GET", whole, urlencode(form) if form else None)
        return Answer(connection.getresponse())

    def label(self, name: str, count: int) -> None:
        page = self.ask(f"by/{name}")
        for _ in range(count):
            page = self.ask(self.ask(f"by/{name}", {"row": row_of(page.text), "label": "2"}).next)


@pytest.mark.slow
def test_a_command_that_was_killed_goes_on_where_it_was(view: RunView, tmp_path: Path) -> None:
    first = Command(view, tmp_path, "--n", "8", "--double", "1", "--against", "0")
    sheet = tmp_path / "labels" / "told-round-1-against-0.csv"
    assert "8 rows" in first.before[0] and key_path(sheet).exists()
    first.ask("begin", {"name": "ann"})
    first.label("ann", 5)
    first.process.kill()
    first.process.wait()
    key = read_key(key_path(sheet))
    again = Command(view, tmp_path, "--against", "0")
    assert again.root != first.root and "5 of 8 labelled" in again.ask("by/ann").text
    assert "Row 6 of 8" in again.ask("by/ann").text
    refused = ["anchors", "label", "told", "--results", str(view.path.parent), "--sheet", str(sheet)]
    against = ["--against", "0"]
    for more, said in (([*against, "--n", "9"], "for a new one"), ([], "is of told@1"), (against, "at work")):
        done = CliRunner().invoke(app, [*refused, *more])
        assert done.exit_code and said in str(done.exception)
    again.label("ann", 3)
    again.ask("begin", {"name": "bea"})
    again.label("bea", 8)
    again.process.send_signal(signal.SIGINT)
    said, complaint = again.process.communicate(timeout=60)
    assert again.process.returncode == 0, complaint
    assert "ann: 8 of 8 rows" in said and "raw agreement 1.000" in said
    assert read_sheet(sheet.with_name(f"{sheet.stem}-by-ann.csv"), key).labels == dict.fromkeys(ids(key.rows), 2)


@pytest.mark.slow
def test_a_key_of_another_sampling_is_labelled_on(view: RunView, tmp_path: Path) -> None:
    key: Key = desk_of(view, tmp_path).key
    one = Command(view, tmp_path, "--sheet", "sheet.csv")
    assert one.before == [] and f"{len(key.rows)} rows wait" in one.ask("").text
    one.process.kill()
    one.process.communicate()
