"""The local page: what it shows, whom it answers, and that it changes nothing."""

import html
import http.client
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from run_factory import Story, recipe_of, write_run

from selfreward.commands.see.pages import PAGE, Pages
from selfreward.commands.see.server import Server, listening
from selfreward.errors import RecipeError
from selfreward.report.reading import Reading
from selfreward.store.beat import Beat, write_beat
from selfreward.store.results import Store

ATTACK = "</script><script>document.title='taken'</script><b>\u2028 & \"quoted\" <img src=x onerror=alert(1)>"
BEAT = Beat(1, "judgments", "round 1: judgments", 30, 120, 6.0, 500, 5.0, 15.0, 40.0, 100.0, "", 1000.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("results"), share=False)
    write_run(made, "honest", Story((0.4, 0.7), train=60))
    write_run(made, "attacked", Story((0.4, 0.5), texts={"report": ATTACK, "train": ATTACK}, report=12, train=8))
    made.open_run("empty", recipe_of(Story((0.4, 0.5))), environment={}).close()
    return made


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[Server]:
    with listening(store.root, 0) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


class Answer:
    def __init__(self, found: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.text = found.status, found.headers, found.read().decode()

    @property
    def links(self) -> list[str]:
        return [html.unescape(link) for link in re.findall(r'href="(/[^"]*|\?[^"]*)"', self.text)]


def ask(server: Server, path: str, method: str = "GET", host: str | None = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, path, headers={"Host": host} if host else {})
    return Answer(connection.getresponse())


def test_all_runs_their_reports_and_every_prompt_can_be_reached_by_links(server: Server, store: Store) -> None:
    runs = ask(server, "/")
    assert {"/run/honest", "/run/attacked", "/run/empty"} <= set(runs.links)
    run = ask(server, "/run/honest")
    assert "finished: round 1 of 1" in run.text and "true accuracy" in run.text and run.text.count("<svg") >= 4
    assert "The policy really improved" in run.text
    assert "/run/honest/report" in run.links and "Round by round" in ask(server, "/run/honest/report").text
    reading = Reading(store.existing("honest"))
    wanted = {*reading.pools, *(prompt.id for prompt in reading.prompts_of(1))}
    seen: set[str] = set()
    first = ask(server, "/run/honest/prompts")
    for place in re.findall(r"<option[^>]*>([^<]+)</option>", first.text):
        page = ask(server, f"/run/honest/prompts?pool={place.replace(' ', '%20')}")
        while page is not None:
            found = [link.rpartition("/")[2] for link in page.links if "/prompt/" in link]
            assert 0 < len(found) <= PAGE
            seen.update(found)
            further = re.search(r'href="([^"]*)">further<', page.text)
            page = ask(server, f"/run/honest/prompts{html.unescape(further[1])}") if further else None
    assert seen == wanted
    one = next(prompt for prompt in reading.prompts_of(1))
    shown = ask(server, f"/run/honest/prompt/{one.id}")
    assert html.escape(one.text) in shown.text.replace("&#39;", "&#x27;") and "judge" in shown.text


def test_prompts_are_found_by_their_words_and_an_odd_page_is_the_nearest(server: Server, store: Store) -> None:
    prompt = next(iter(Reading(store.existing("honest")).prompts_of(1)))
    query = "+".join(prompt.text.split()[:4])
    assert prompt.id in ask(server, f"/run/honest/prompts?pool=round+1&text={query}").text
    assert "0 prompts" in ask(server, "/run/honest/prompts?text=nobody-asks-this").text
    for page in ("9999", "-1", "x", "1" * 5000, "%00"):
        assert ask(server, f"/run/honest/prompts?page={page}").status == 200


def test_what_models_wrote_is_text(server: Server, store: Store) -> None:
    prompt = next(iter(Reading(store.existing("attacked")).prompts_of(1)))
    page = ask(server, f"/run/attacked/prompt/{prompt.id}").text
    assert "<script>document" not in page and "<img" not in page
    assert "&lt;script&gt;document.title" in page


def test_only_a_browser_that_calls_it_by_its_own_name_is_answered(server: Server) -> None:
    for name in ("127.0.0.1", "localhost"):
        assert ask(server, "/", host=f"{name}:{server.port}").status == 200
    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example"):
        found = ask(server, "/", host=host)
        assert found.status == 403 and "honest" not in found.text
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "path",
    [
        "/run/../../etc/passwd",
        "/run/..%2f..%2fetc%2fpasswd",
        "/run/..",
        "/run/%2e%2e",
        "/run/honest%2f..%2fattacked",
        "/run/honest/../attacked",
        "/run//etc/passwd",
        "/run/honest/recipe.yaml",
        "/run/honest/round-00/checkpoint/config.json",
        "/run/honest/prompt/..%2f..%2frecipe.yaml",
        "/run/none",
        "/results",
        "//evil.example/",
        "/run/%00",
        "/run/" + "a" * 5000,
    ],
)
def test_no_path_leads_to_a_file(server: Server, path: str) -> None:
    found = ask(server, path)
    assert found.status == 404
    assert "root:" not in found.text and "rounds:" not in found.text and "model_type" not in found.text


def test_it_reads_only(server: Server, store: Store) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert ask(server, "/", method).status == 501
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    for path in ("/", "/run/honest", "/run/honest/report", "/run/honest/prompts", "/run/empty", "/view.js"):
        assert ask(server, path, "HEAD").text == ""
        assert ask(server, path).status == 200
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before


def test_nothing_is_loaded_from_elsewhere(server: Server) -> None:
    for path in ("/", "/run/honest", "/run/honest/report", "/run/honest/prompts", "/view.css", "/view.js", "/nix"):
        found = ask(server, path)
        assert "default-src 'none'" in found.headers["Content-Security-Policy"]
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        loaded = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)|url\(([^)]*)\)|@import""", found.text)
        foreign = [one for pair in loaded for one in pair if re.match(r"(https?:)?//", one)]
        assert not foreign


def test_a_run_that_is_not_measured_or_torn_is_a_sentence(server: Server, store: Store, tmp_path: Path) -> None:
    assert "interrupted" in ask(server, "/run/empty").text
    found = ask(server, "/run/empty/report")
    assert found.status == 404 and "no round is measured yet" in found.text
    torn = write_run(Store(tmp_path, share=False), "torn", Story((0.4, 0.5), report=12, train=8))
    (torn.directory(1) / "eval_responses.jsonl").chmod(0o644)
    (torn.directory(1) / "eval_responses.jsonl").write_text("{}\n")
    pages = Pages(tmp_path)
    assert "finished" in pages.runs()


def test_a_port_that_is_taken_is_an_error_that_says_so(server: Server, store: Store) -> None:
    with pytest.raises(RecipeError, match=rf"--port {server.port}: cannot be had"):
        listening(store.root, server.port)


def test_what_was_read_is_read_again_when_more_is_sealed(tmp_path: Path) -> None:
    store = Store(tmp_path, share=False)
    view = write_run(store, "grows", Story((0.4, 0.5, 0.6), report=12, train=8))
    kept = {path: path.read_bytes() for path in view.directory(2).glob("*.done.json")}
    for path in kept:
        path.unlink()
    pages = Pages(tmp_path)
    assert '<th scope="col">round 2</th>' not in pages.run("grows")
    for path, data in kept.items():
        path.write_bytes(data)
    assert '<th scope="col">round 2</th>' in pages.run("grows")


class Counting(Pages):
    """The run is one row further whenever its page is asked for."""

    asked = 0

    def run(self, name: str) -> str:
        self.asked += 1
        write_beat(self.directory / name, replace(BEAT, done=self.asked))
        return super().run(name)


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_long_name_leaves_room_for_what_a_run_shows_on_a_narrow_screen(tmp_path: Path) -> None:
    own = Store(tmp_path / "results", share=False)
    own.open_run("a_run_with_quite_a_long_name_of_its_own", recipe_of(Story((0.4, 0.5))), environment={}).close()
    wide = "(() => { const box = document.querySelector('.scroll'); return box.scrollWidth - box.clientWidth; })()"
    with Server(Pages(own.root), 0) as server, Browser(tmp_path / "profile", width=500) as browser:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        browser.open(f"http://127.0.0.1:{server.port}/")
        assert browser.js(wide) == 0
        assert "in 0/1" in browser.js("document.querySelector('tbody').textContent"), "as `selfreward ls` has it"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_in_a_browser_the_page_of_a_run_goes_on_by_itself(store: Store, tmp_path: Path) -> None:
    own = Store(tmp_path / "results", share=False)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--virtual-time-budget=9000"]
    with own.open_run("goes", recipe_of(Story((0.4, 0.5))), environment={}), Server(Counting(own.root), 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        page = f"http://127.0.0.1:{server.port}/run/goes"
        done = subprocess.run(
            [str(CHROMIUM), *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        server.shutdown()
        thread.join()
    shown = re.search(r"round 1: judgments: (\d+)/120", done.stdout)
    assert shown and int(shown[1]) > 1, done.stdout[-2000:]
    assert 'id="gone" role="status" hidden' in done.stdout
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not complaints
