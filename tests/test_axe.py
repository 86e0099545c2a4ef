"""Axe, the accessibility checker, finds nothing to complain of on any page: light and dark, wide and narrow screens.

The checker is one script, which a package carries (`pip install axe-core-python`, of the dev extra; the newer one in
`axe-playwright-python` is taken where that is installed). It is asked all its rules: WCAG 2.0 to 2.2, A and AA, and its
best practices.
"""

import importlib.util
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser
from run_factory import Story, recipe_of, write_run
from test_grid import finish, outcome_of, two_factors
from test_label_browser import begin, press
from test_label_page import desk_of, serving
from test_view import BEAT

from selfreward.commands.ablate import factors_of
from selfreward.commands.see.server import listening
from selfreward.report.ablation_page import ablation_page
from selfreward.report.html import write_report
from selfreward.report.reading import Reading
from selfreward.store.beat import write_beat
from selfreward.store.results import Store


def axe_script() -> Path | None:
    for package in ("axe_playwright_python", "axe_core_python"):
        found = importlib.util.find_spec(package)
        if found and found.origin:
            return Path(found.origin).with_name("axe.min.js")
    return None


AXE = axe_script()
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
    pytest.mark.skipif(AXE is None, reason="needs axe (pip install axe-core-python)"),
]
HOW = [(500, True), (1200, False)]
THE_OTHERS = [pytest.param((500, False), marks=pytest.mark.slow), pytest.param((1200, True), marks=pytest.mark.slow)]
ASK = """
(async () => {
  const every = document.getElementById("open-all");
  if (every) every.click();
  for (const part of document.querySelectorAll("details")) part.open = true;
  const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const found = await axe.run(document, { runOnly: rules, resultTypes: ["violations"] });
  const places = (nodes) => nodes.slice(0, 3).map((node) => node.html.slice(0, 160));
  const broken = found.violations.map((one) => [one.id, one.help, one.nodes.length, places(one.nodes)]);
  return JSON.stringify({ tried: found.passes.length, broken });
})()
"""


MOST_LINES = """
Math.max(...[...document.querySelectorAll("td.number")].map((cell) => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  return range.getClientRects().length;
}))
"""


def complaints(browser: Browser) -> list[Any]:
    """What axe holds against the page that is open, every fold of it opened."""
    assert AXE is not None
    browser.js(AXE.read_text(encoding="utf-8"))
    found = json.loads(browser.js(ASK))
    assert found["tried"] > 10, "the checker read the page"
    broken: list[Any] = found["broken"]
    return broken


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("results"), share=False)
    write_run(made, "honest", Story((0.4, 0.55, 0.75)))
    write_run(made, "pleaser", Story((0.5, 0.45, 0.3), generosity=(0.0, 1.0, 2.5), seed=1))
    write_run(made, "same", Story((0.4, 0.4, 0.4), seed=2))
    write_run(made, "untold", Story((0.4, 0.5), verifier="none", generosity=(0.0, 1.0)))
    return made


@pytest.fixture(scope="module")
def pages(store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of the pages that are files."""
    root = tmp_path_factory.mktemp("pages")
    reports = {
        "report": ["honest"],
        "alarmed": ["pleaser"],
        "three": ["honest", "pleaser", "same"],
        "untold": ["untold"],
    }
    made = {
        name: write_report([store.existing(run) for run in runs], root / f"{name}.html")[0]
        for name, runs in reports.items()
    }
    finish(two_factors(), {"0": root / "one", "1": root / "two"})
    made["ablation"] = root / "ablation.html"
    outcome = outcome_of((root / "one", root / "two"))
    made["ablation"].write_text(ablation_page("tried", outcome, factors_of(two_factors())), encoding="utf-8")
    return {name: path.as_uri() for name, path in made.items()}


@pytest.fixture(scope="module", params=[*HOW, *THE_OTHERS], ids=lambda how: f"{how[0]}-{'dark' if how[1] else 'light'}")
def browser(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Browser]:
    width, dark = request.param
    with Browser(tmp_path_factory.mktemp("profile"), width=width, dark=dark) as made:
        yield made
        assert made.console == []


@pytest.mark.parametrize("name", ["report", "alarmed", "three", "untold", "ablation"])
def test_reports_and_the_page_of_a_grid(pages: dict[str, str], browser: Browser, name: str) -> None:
    browser.open(pages[name])
    if name != "ablation":
        browser.until("document.documentElement.dataset.ready !== undefined")
    assert complaints(browser) == []
    if name == "ablation":
        assert browser.js(MOST_LINES) in (1, 2), "an interval is one piece on a narrow screen too"


def test_the_live_page(browser: Browser, tmp_path: Path) -> None:
    own = Store(tmp_path, share=False)
    view = write_run(own, "honest", Story((0.4, 0.7), report=12, train=8))
    prompt = next(iter(Reading(view).prompts_of(1)))
    with own.open_run("goes", recipe_of(Story((0.4, 0.5))), environment={}), listening(own.root, 0) as server:
        write_beat(own.root / "goes", BEAT)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        paths = ["", "run/honest", "run/goes", "run/honest/prompts", f"run/honest/prompt/{prompt.id}", "run/none"]
        found = {}
        for path in paths:
            browser.open(f"http://127.0.0.1:{server.port}/{path}")
            found[path] = complaints(browser)
        browser.console[:] = [said for said in browser.console if "404" not in said]  # of run/none
        server.shutdown()
        thread.join()
    assert {path: broken for path, broken in found.items() if broken} == {}


@pytest.mark.parametrize("against", [None, 0], ids=["score", "pairs"])
def test_the_labelling_page(tmp_path: Path, browser: Browser, against: int | None) -> None:
    view = write_run(Store(tmp_path / "results", share=False), "told", Story((0.4, 0.7), report=12, train=8))
    desk = desk_of(view, tmp_path, rows=2, against=against, double=1.0)
    found = {}
    with serving(desk) as server:
        browser.open(server.address)
        found["start"] = complaints(browser)
        for name, key in (("ann", "0" if against is None else "a"), ("bea", "4" if against is None else "b")):
            begin(browser, server, name)
            found[name] = complaints(browser)
            press(browser, key)
            press(browser, key)
            found[f"{name} at the end"] = complaints(browser)
        browser.open(server.address)
        found["agreement"] = complaints(browser)
        browser.open(f"{server.address}adjudicate")
        found["adjudication"] = complaints(browser)
    assert {path: broken for path, broken in found.items() if broken} == {}
