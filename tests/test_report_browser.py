"""The HTML report in a headless browser: it works without a network, opens fast, and everybody can read it."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from run_factory import Story, write_run

from selfreward.report.html import write_report
from selfreward.store.results import Store

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
]
DARK = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"]
ATTACK = "</script><script>document.title='taken'</script><!-- <b>\u2028 & \"quoted\" <img src=x onerror=alert(1)>"

PROBE = """
while (document.documentElement.dataset.ready === undefined) await new Promise((done) => setTimeout(done, 5));
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const by = (id) => document.getElementById(id);
const choose = (control, value) => { control.value = value; control.dispatchEvent(new Event("input")); };
const shown = () => all("#prompt-list button").length;
document.body.offsetHeight;
const height = document.documentElement.scrollHeight;
const headings = all("h1, h2, h3, h4").map((node) => Number(node.tagName[1]));
const skipped = headings.filter((level, place) => place && level > headings[place - 1] + 1).length;
const unnamed = all("a, button, select, input, summary, svg[role=img], [role=group]").filter((node) =>
  !(node.textContent.trim() || node.getAttribute("aria-label") || node.closest("label"))).length;
const ids = all("[id]").map((node) => node.id);
const within = all('a[href^="#"]').filter((link) => !link.hash.startsWith("#prompt="));
const dead = within.filter((link) => !by(decodeURIComponent(link.hash.slice(1)))).length;
const closed = all("details:not([open])").length;
by("open-all").click();
const still_closed = all("details:not([open])").length;
const luminance = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (node) => {
  const colour = getComputedStyle(node).backgroundColor;
  return colour === "rgba(0, 0, 0, 0)" && node.parentElement ? behind(node.parentElement) : colour;
};
const contrast = (node) => {
  const [one, other] = [getComputedStyle(node).color, behind(node)].map(luminance);
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
};
const outside = all("figure svg").filter((svg) => {
  const frame = svg.getBoundingClientRect();
  return !frame.width || [...svg.querySelectorAll(".dot, text")].some((mark) => {
    const box = mark.getBoundingClientRect();
    const aside = box.left < frame.left - 1 || box.right > frame.right + 1;
    return aside || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
  });
}).map((svg) => svg.getAttribute("aria-label").slice(0, 80));
const listed = shown();
const found = { outside, listed, height, skipped, unnamed, dead, closed, still_closed };
found.twice = ids.length - new Set(ids).size;
found.requests = performance.getEntriesByType("resource").filter((entry) => !entry.name.startsWith("data:")).length;
found.title = document.title;
found.plots = all("figure svg polyline").length;
found.tooltips = all("figure svg .dot title").filter((node) => /\\d/.test(node.textContent)).length;
found.dots = all("figure svg .dot").length;
found.packed = by("prompts").dataset.packed || "";
found.prompts = found.packed ? listed : JSON.parse(by("prompts").textContent).length;
found.marks = all("mark").length;
const sorter = document.querySelector("[data-sort]");
const questions = () => all(".q", by(sorter.dataset.sort)).map((node) => node.textContent);
found.as_given = questions();
choose(sorter, "text");
found.by_text = questions();
choose(sorter, "");
found.again = questions();
all("details").forEach((part) => { part.open = false; });
const deep = document.querySelector('.case a[href^="#right-"], .case a[href^="#pleasing-"]');
location.hash = deep.hash;
dispatchEvent(new HashChangeEvent("hashchange"));
found.deep = by(deep.hash.slice(1)).closest("details").open && deep.closest("details.group").open;
found.others = all("details.case[open]").length;
const every = document.querySelector('.case a[href^="#prompt="]');
location.hash = every.hash;
dispatchEvent(new HashChangeEvent("hashchange"));
found.every_round = all("#prompt-view h3").length;
found.same_prompt = by("prompt-view").textContent.includes(every.closest("[data-prompt]").dataset.prompt);
by("open-all").click();
by("open-all").click();
found.dark = matchMedia("(prefers-color-scheme: dark)").matches;
found.width = innerWidth;
found.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
found.links = all("nav a").filter((link) => !by(link.getAttribute("href").slice(1))).length;
const one = by("by-run").options[1].value;
choose(by("by-run"), one);
found.of_one_run = shown();
found.first = document.querySelector("#prompt-view td.text").textContent.slice(0, 40);
all("#prompt-list button")[3].click();
found.selected = all('#prompt-list button[aria-pressed="true"]').length;
found.changed = all("#prompt-view .quiet")[0].textContent;
choose(by("by-pool"), "train");
found.trained = shown();
found.fate = /chosen|no answer pair/.test(by("prompt-view").textContent);
choose(by("by-text"), "no prompt says this");
found.none = shown();
found.images = document.images.length;
found.contrast = Object.fromEntries(["body", ".quiet", "nav a", ".lead", "tbody th", "td", ".caption",
  ".asked", ".word", ".remedy", "mark", ".term", "button"]
  .filter((selector) => document.querySelector(selector))
  .map((selector) => [selector, contrast(document.querySelector(selector))]));
const probe = document.createElement("pre");
probe.id = "probe";
probe.textContent = JSON.stringify(found);
document.body.append(probe);
""".replace("</", "<\\/")


def probed(page: Path, tmp_path: Path, script: str, *flags: str) -> dict[str, Any]:
    """What a script at the page's end found, where nothing was said on the console."""
    path = tmp_path / "probed.html"
    path.write_text(page.read_text().replace("</body>", f"{script}</body>"))
    assert CHROMIUM
    command = [CHROMIUM, *FLAGS, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    found: dict[str, Any] = json.loads(html.unescape(re.search(r'id="probe">(.*?)<', done.stdout)[1]))
    return found


def opened(page: Path, tmp_path: Path, *flags: str) -> dict[str, Any]:
    """What the probe sees once the page has been loaded, laid out and used. Time is virtual: it waits for the page."""
    return probed(page, tmp_path, f'<script type="module">{PROBE}</script>', "--virtual-time-budget=20000", *flags)


def milliseconds(page: Path, tmp_path: Path) -> float:
    """From the start of the navigation until everything can be read: parsed and laid out."""
    script = (
        'const all = document.createElement("pre"); document.body.offsetHeight; all.id = "probe";'
        "all.textContent = JSON.stringify({ ready: performance.now() }); document.body.append(all);"
    )
    return float(probed(page, tmp_path, f"<script>{{{script}}}</script>")["ready"])


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("results")
    store = Store(directory, share=False)
    stories = {
        "attacked": Story((0.4, 0.5), texts={"report": ATTACK, "train": ATTACK}),
        "honest": Story((0.4, 0.55, 0.75)),
    }
    return write_report([write_run(store, name, story) for name, story in stories.items()], directory / "r.html")[0]


@pytest.fixture(scope="module")
def found(page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return opened(page, tmp_path_factory.mktemp("wide"), "--window-size=1200,900")


def test_plots_and_prompt_browser_work_without_network_or_console_errors(found: dict[str, Any]) -> None:
    assert found["requests"] == 0 and found["images"] == 0
    assert found["title"].startswith("selfreward")
    assert found["plots"] > 10 and found["outside"] == []
    assert found["tooltips"] == found["dots"] > found["plots"]
    assert found["links"] == found["dead"] == found["twice"] == 0
    assert found["listed"] == found["prompts"] > 100
    assert 0 < found["trained"] < found["of_one_run"] < found["listed"] and found["none"] == 0
    assert found["first"].startswith("</script><script>")
    assert found["selected"] == 1 and "attacked" in found["changed"] and found["fate"]


def test_prompts_that_changed_are_sorted_and_linked_to(found: dict[str, Any]) -> None:
    assert found["marks"] > 10
    assert found["again"] == found["as_given"] and sorted(found["by_text"]) == sorted(found["as_given"])
    assert found["by_text"] != found["as_given"] and len(found["by_text"]) > 2
    assert found["deep"] and found["others"] == 1, "a link opens what it leads to and nothing else"
    assert found["every_round"] >= 2 and found["same_prompt"]


def test_the_page_is_short_and_its_headings_and_names_are_in_order(found: dict[str, Any]) -> None:
    assert found["height"] < 8000, "two runs, of 18,000 pixels before what does not move was folded away"
    assert found["skipped"] == found["unnamed"] == 0
    assert found["closed"] > 20 and found["still_closed"] == 0


@pytest.mark.parametrize("flags", [[], DARK], ids=["light", "dark"])
def test_text_can_be_read_on_a_narrow_screen_in_both_colour_schemes(
    page: Path, tmp_path: Path, flags: list[str]
) -> None:
    found = opened(page, tmp_path, "--window-size=500,900", *flags)
    assert found["width"] <= 500 and found["dark"] is bool(flags)
    assert found["overflow"] <= 0 and found["outside"] == []
    # WCAG 2, level AA: 4.5 for text.
    assert {name: value for name, value in found["contrast"].items() if value < 4.5} == {}


@pytest.mark.slow
def test_five_rounds_of_2000_prompts_open_in_two_seconds_and_stay_small(tmp_path: Path) -> None:
    long = "All of these words were written by a model that does not come to an end. " * 25
    story = Story((0.4, 0.5, 0.55, 0.6, 0.65, 0.7), train=2000, texts={"report": long, "train": long})
    view = write_run(Store(tmp_path, share=False), "big", story)
    written = write_report([view], tmp_path / "report.html")[0]
    megabytes = written.stat().st_size / 1e6
    found, ready = opened(written, tmp_path), milliseconds(written, tmp_path)
    print(f"{megabytes:.1f} MB, usable after {ready:.0f} ms")
    assert 200 <= found["prompts"] <= 300 and found["packed"] == "gzip"
    assert megabytes < 3
    assert ready < 2000
