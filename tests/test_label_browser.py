"""The labelling page in a headless browser: two annotators and adjudication by keys alone, and everybody can use it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser
from run_factory import Story, write_run
from test_label_page import Server, desk_of, quality, serving

from selfreward.commands.anchors.labels import settle
from selfreward.commands.anchors.page.desk import Desk
from selfreward.commands.anchors.sheet import read_sheet
from selfreward.store.results import Store
from selfreward.store.view import RunView

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

CONTRAST = """
(() => {
  const luminance = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    const colour = getComputedStyle(node).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" && node.parentElement ? behind(node.parentElement) : colour;
  };
  const low = [...document.querySelectorAll("body *")].filter((node) => node.innerText && node.checkVisibility())
    .filter((node) => {
      const [one, other] = [getComputedStyle(node).color, behind(node)].map(luminance);
      return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05) < 4.5;
    });
  return low.map((node) => node.outerHTML.slice(0, 80));
})()
"""
ROLES = {"button", "link", "textbox", "checkbox", "progressbar", "region", "heading", "DisclosureTriangle"}


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return write_run(Store(tmp_path_factory.mktemp("results")), "told", Story(skill=(0.3, 0.5), train=8, report=12))


@pytest.fixture
def browser(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Browser]:
    how: dict[str, Any] = getattr(request, "param", {})
    with Browser(tmp_path / "profile", **how) as made:
        yield made
        assert made.console == []


def shown(browser: Browser) -> str | None:
    found: str | None = browser.js("document.querySelector('form.label input[name=row]')?.value ?? null")
    return found


def begin(browser: Browser, server: Server, name: str) -> None:
    browser.open(server.address)
    browser.js("document.querySelector('input[name=name]').focus()")
    browser.type(name)
    browser.press("Enter")
    browser.until("document.readyState === 'complete' && document.title.startsWith('Row')")


def press(browser: Browser, key: str) -> None:
    """A key that changes what is shown."""
    browser.js("window.former = document.querySelector('main')")
    browser.press(key)
    browser.until("document.querySelector('main') !== window.former")


def on_disk(desk: Desk, name: str) -> dict[str, int]:
    return read_sheet(desk.annotators()[name], desk.key).labels


def test_two_annotators_and_adjudication_by_keys(view: RunView, tmp_path: Path, browser: Browser) -> None:
    desk = desk_of(view, tmp_path)
    rows = {row.id: row for row in desk.key.rows}
    with serving(desk) as server:
        begin(browser, server, "ann")
        while (name := shown(browser)) is not None:
            press(browser, str(quality(rows[name])))
            assert on_disk(desk, "ann")[name] == quality(rows[name]), "written before the page goes on"
        assert on_disk(desk, "ann") == {name: quality(row) for name, row in rows.items()}
        press(browser, "Backspace")
        again = shown(browser)
        assert (
            again
            and len(on_disk(desk, "ann")) == len(rows) - 1
            and browser.js("said.textContent") == (f"Taken back. Row {len(rows)} of {len(rows)}")
        )
        press(browser, "s")
        assert shown(browser) == again, "the only one that is left"
        press(browser, str(quality(rows[again])))
        assert "to the start" in browser.js("document.body.innerText")
        begin(browser, server, "bea")
        wrong = shown(browser)
        while (name := shown(browser)) is not None:
            press(browser, str((quality(rows[name]) + 2 * (name == wrong)) % 6))
        assert wrong and desk.settled().waiting == (wrong,)
        browser.open(server.address)
        assert "1 rows have two different labels" in browser.js("document.body.innerText")
        assert "Krippendorff's alpha" in browser.js("document.body.innerText")
        browser.open(f"{server.address}adjudicate")
        both = sorted({quality(rows[wrong]), (quality(rows[wrong]) + 2) % 6})
        assert browser.js("given.textContent") == f"The annotators said: {both[0]} and {both[1]}."
        press(browser, str(quality(rows[wrong])))
    settled = settle(desk.key, desk.sheets(), read_sheet(desk.adjudicated, desk.key))
    assert settled.labels == {name: quality(row) for name, row in rows.items()} and settled.adjudicated == 1


def test_pairs_by_arrows_and_letters_are_what_was_pressed(view: RunView, tmp_path: Path, browser: Browser) -> None:
    desk = desk_of(view, tmp_path, rows=6, against=0)
    with serving(desk) as server:
        begin(browser, server, "ann")
        given = {}
        for key, label in (("ArrowLeft", 2), ("ArrowRight", 0), ("t", 1), ("a", 2), ("b", 0)):
            given[shown(browser)] = label
            press(browser, key)
        assert on_disk(desk, "ann") == given


def test_keys_in_a_comment_are_its_words_and_keys_can_be_turned_off(
    view: RunView, tmp_path: Path, browser: Browser
) -> None:
    desk = desk_of(view, tmp_path)
    with serving(desk) as server:
        begin(browser, server, "ann")
        first = shown(browser)
        browser.js("document.querySelector('[name=comment]').focus()")
        for key in ("3", "s", "u", "Enter"):
            browser.press(key)
        assert shown(browser) == first and on_disk(desk, "ann") == {}
        browser.js("document.querySelector('h1').focus()")
        browser.js("keys.click()")
        browser.press("2")
        browser.js("keys.click()")
        press(browser, "4")
        assert on_disk(desk, "ann") == {first: 4}
        assert read_sheet(desk.annotators()["ann"], desk.key).comments == {first: "3su"}


def test_when_the_command_has_ended_the_page_says_that_nothing_was_saved(
    view: RunView, tmp_path: Path, browser: Browser
) -> None:
    desk = desk_of(view, tmp_path)
    with serving(desk) as server:
        begin(browser, server, "ann")
    assert browser.js("gone.hidden")
    browser.press("3")
    browser.until("!gone.hidden")
    assert on_disk(desk, "ann") == {} and browser.console
    browser.console.clear()


@pytest.mark.parametrize(
    "browser",
    [{"width": width, "dark": dark} for width in (500, 1200) for dark in (False, True)],
    ids=lambda how: f"{how['width']}-{'dark' if how['dark'] else 'light'}",
    indirect=True,
)
@pytest.mark.parametrize("against", [None, 0], ids=["score", "pairs"])
def test_everybody_can_use_it(view: RunView, tmp_path: Path, browser: Browser, against: int | None) -> None:
    desk = desk_of(view, tmp_path, rows=6, against=against)
    with serving(desk) as server:
        browser.open(server.address)
        assert browser.js(CONTRAST) == []
        begin(browser, server, "ann")
        press(browser, "0" if against is None else "t")
        browser.js("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        assert browser.js(CONTRAST) == []
        assert browser.js("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert browser.js("document.activeElement.tagName") == "H1", "what is new is read from its heading"
        assert browser.js("said.getAttribute('aria-live')") == "polite"
        assert browser.js("said.textContent").startswith("Saved: " + ("0" if against is None else "tie"))
        names = browser.names()
        assert [role for role, name in names if role in ROLES and not name] == []
        legend = "Label, by the rubric below" if against is None else "Which answer is better?"
        assert ("group", legend) in names
        found = {name for role, name in names if role == "button"}
        wanted = set("012345") if against is None else {"A is better ← a", "tie t", "B is better → b"}
        assert wanted | {"undo u", "skip for now s"} <= found
        small = browser.js(
            "[...document.querySelectorAll('button:not([hidden])')].filter((one) => one.offsetHeight < 24).length"
        )
        assert small == 0, "WCAG 2.2: targets of 24 pixels"
