"""What a report of 10,000 prompts costs: bytes, seconds and memory of `selfreward report`, first paint in Chromium.

    python benchmarks/report_size.py [--prompts 10000] [--times 5] [--out results/tables/report_size.md]

The run is planted (tests/run_factory.py): two rounds, four answers to a prompt, two readings of each by the judge; it
is written once, by the real store, and measured by the real metrics. The report is written and opened several times,
each time by a new process and in a new profile of the browser: the median is told, and the least and the most. Seconds
of the command are of the processor, so that what else runs on the machine does not count; the paint is by the page's
clock, and is an upper bound on a busy machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
PAINT = "JSON.stringify(performance.getEntriesByType('paint').map((one) => [one.name, one.startTime]))"
READY = "document.documentElement.dataset.ready !== undefined"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=10_000, help="prompts of the whole run")
    parser.add_argument("--times", type=int, default=5, help="times that the report is written and opened")
    parser.add_argument("--out", type=Path, help="write the table to this file, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        text = table(options.prompts, options.times, Path(scratch))
    print(text, end="")
    if options.out:
        options.out.write_text(text, encoding="utf-8")


def table(prompts: int, times: int, scratch: Path) -> str:
    from run_factory import POOLS, SAMPLES, Story, write_run

    from selfreward.store.results import Store

    train = (prompts - sum(POOLS.values())) // 2
    write_run(Store(scratch / "results", share=False), "large", Story((0.4, 0.55, 0.7), train=train))
    page = scratch / "report.html"
    reports, lists, sizes, paints = [], [], [], []
    for number in range(times):
        reports.append(cost("report", "large", "--results", scratch / "results", "--out", page))
        lists.append(cost("ls", scratch / "results"))
        sizes.append(page.stat().st_size / 1e6)
        if found := browsed(page, scratch / f"profile-{number}"):
            paints.append(found)
    seconds, mebibytes = zip(*reports, strict=True)
    base, least = zip(*lists, strict=True)
    painted, usable = zip(*paints, strict=True) if paints else ((), ())
    rows = [
        ("prompts of the run (both rounds' and the pools')", f"{2 * train + sum(POOLS.values()):,}"),
        ("answers", f"{(2 * train + 3 * sum(POOLS.values())) * SAMPLES:,}"),
        ("`report`: seconds of the processor", f"{spread(seconds, 1)}; of `ls`: {spread(base, 1)}"),
        ("`report`: peak memory, MiB", f"{spread(mebibytes, 0)}; of `ls`: {spread(least, 0)}"),
        ("the page, MB", spread(sizes, 2)),
        ("first contentful paint in headless Chromium, s", spread(painted, 2)),
        ("prompts unpacked and listed after, s", spread(usable, 2)),
    ]
    lines = [f"| {name} | {value} |" for name, value in rows]
    load = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return "\n".join(
        [
            "# A large report",
            "",
            f"`python benchmarks/report_size.py --prompts {prompts} --times {times}`. One run, planted answers of few",
            f"words; its report is written and opened {times} times: the median, in brackets the least and the most.",
            f"The machine's load was {load}: seconds in the browser are by the clock, so they are upper bounds.",
            "With long answers in five rounds of 2,000 prompts the page stays below 3 MB",
            "(`tests/test_report_browser.py`, slow).",
            "",
            "| | |",
            "|---|---|",
            *lines,
            "",
        ]
    )


def spread(values: Sequence[float], digits: int) -> str:
    if not values:
        return "not measured"
    middle, low, high = (f"{value:.{digits}f}" for value in (median(values), min(values), max(values)))
    return f"{middle} [{low}, {high}]"


def cost(*words: object) -> tuple[float, float]:
    """Seconds of the processor and peak MiB of the command, in a process whose only child it is."""
    measure = (
        "import resource, subprocess, sys; subprocess.run([sys.executable, '-m', 'selfreward', *sys.argv[1:]], "
        "check=True, stdout=subprocess.DEVNULL); used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", measure, *map(str, words)]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
    # Linux tells KiB, macOS bytes.
    return float(said[0]), float(said[1]) / (1024 if sys.platform != "darwin" else 1024**2)


def browsed(page: Path, profile: Path) -> tuple[float, float] | None:
    """First paint and the moment from which prompts can be looked up, as the page's own clock has them."""
    import json

    from browser import CHROMIUM, Browser

    if CHROMIUM is None:
        return None
    with Browser(profile) as browser:
        browser.open(page.as_uri())
        browser.until(READY)
        ready = browser.js("performance.now()") / 1000
        browser.until(f"{PAINT} !== '[]'")
        paints = dict(json.loads(browser.js(PAINT)))
    return paints.get("first-contentful-paint", paints.get("first-paint")) / 1000, ready


if __name__ == "__main__":
    main()
