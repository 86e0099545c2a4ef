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
const all = (selector) => [...document.querySelectorAll(selector)];
const by = (id) => document.getElementById(id);
const choose = (control, value) => { control.value = value; control.dispatchEvent(new Event("input")); };
const shown = () => all("#prompt-list button").length;
document.body.offsetHeight;
const ready = performance.now();
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
const found = { ready, outside, listed };
found.requests = performance.getEntriesByType("resource").filter((entry) => !entry.name.startsWith("data:")).length;
found.title = document.title;
found.plots = all("figure svg polyline").length;
found.tooltips = all("figure svg .dot title").filter((node) => /\\d/.test(node.textContent)).length;
found.dots = all("figure svg .dot").length;
found.prompts = JSON.parse(by("prompts").textContent).length;
found.dark = matchMedia("(prefers-color-scheme: dark)").matches;
found.width = innerWidth;
found.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
found.links = all("nav a").filter((link) => !by(link.getAttribute("href").slice(1))).length;
const one = by("by-run").options[1].value;
choose(by("by-run"), one);
found.of_one_run = shown();
found.first = document.querySelector("#prompt-view td.text").textContent.slice(0, 40);
all("#prompt-list button")[3].click();
found.selected = all('#prompt-list button[aria-selected="true"]').length;
found.changed = all("#prompt-view .quiet")[0].textContent;
choose(by("by-pool"), "train");
found.trained = shown();
found.fate = /chosen|no answer pair/.test(by("prompt-view").textContent);
choose(by("by-text"), "no prompt says this");
found.none = shown();
found.images = document.images.length;
found.contrast = Object.fromEntries(["body", ".quiet", "nav a", ".lead", "tbody th", "td", ".caption", ".asked"]
  .filter((selector) => document.querySelector(selector))
  .map((selector) => [selector, contrast(document.querySelector(selector))]));
const probe = document.createElement("pre");
probe.id = "probe";
probe.textContent = JSON.stringify(found);
document.body.append(probe);
""".replace("</", "<\\/")


def opened(page: Path, tmp_path: Path, *flags: str) -> dict[str, Any]:
    """What the probe sees once the page has been loaded and laid out, used, and nothing was said on the console."""
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text().replace("</body>", f"<script>{{{PROBE}}}</script></body>"))
    assert CHROMIUM
    command = [CHROMIUM, *FLAGS, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", probed.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    found: dict[str, Any] = json.loads(html.unescape(re.search(r'id="probe">(.*?)<', done.stdout)[1]))
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("results")
    store = Store(directory, share=False)
    stories = {
        "attacked": Story((0.4, 0.5), texts={"report": ATTACK, "train": ATTACK}),
        "honest": Story((0.4, 0.55, 0.75)),
    }
    return write_report([write_run(store, name, story) for name, story in stories.items()], directory / "r.html")[0]


def test_plots_and_prompt_browser_work_without_network_or_console_errors(page: Path, tmp_path: Path) -> None:
    found = opened(page, tmp_path)
    assert found["requests"] == 0 and found["images"] == 0
    assert found["title"].startswith("selfreward")
    assert found["plots"] > 20 and found["outside"] == []
    assert found["tooltips"] == found["dots"] > found["plots"]
    assert found["links"] == 0
    assert found["listed"] == found["prompts"] > 100
    assert 0 < found["trained"] < found["of_one_run"] < found["listed"] and found["none"] == 0
    assert found["first"].startswith("</script><script>")
    assert found["selected"] == 1 and "attacked" in found["changed"] and found["fate"]


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
    found = opened(written, tmp_path)
    print(f"{megabytes:.1f} MB, usable after {found['ready']:.0f} ms")
    assert 200 <= found["prompts"] <= 300
    assert megabytes < 15
    assert found["ready"] < 2000
