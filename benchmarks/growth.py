"""What rows cost: a round's rows through the store, and `report` of a run with as many, from a thousand to a million.

    python benchmarks/growth.py [--rows 1000 10000 100000 1000000] [--rounds 2] [--beside RUN ...] [--out FILE]

Store: prompts with four answers of 64 tokens and two judgments each, in chunks of 384 units that are made durable as in
a run, sealed, and read back; what makes the rows is left out of the time. Report: a planted run (tests/run_factory.py).
Each in a process of its own: seconds of the processor, so that what else runs here counts little, and in brackets by
the clock; peak memory. `--beside` takes finished runs: what the store's seconds a row at its dearest are of the seconds
that the seals of their last round say it took, without what reads and reports.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from report_size import ROOT, cost

CHUNK, ANSWERS, JUDGMENTS, TOKENS = 384, 4, 2, 64
ROWS_OF_A_PROMPT = 1 + ANSWERS + ANSWERS * JUDGMENTS
BESIDE = 400
"""Rows of a planted round that are about no prompt of it: measurements, and judgments of labelled answers."""
TEXT = " ".join(["these are the words of an answer"] * 8)


class Spent:
    """What was spent on making rows, which is not the store's."""

    def __init__(self) -> None:
        self.processor = self.clock = 0.0

    def making(self, make: Callable[[int], list[Any]]) -> Callable[[Sequence[int], int], list[Any]]:
        def compute(chunk: Sequence[int], index: int) -> list[Any]:
            begun = now()
            rows = [row for unit in chunk for row in make(unit)]
            processor, clock = since(begun)
            self.processor += processor
            self.clock += clock
            return rows

        return compute


def now() -> tuple[float, float]:
    """Seconds of the processor, and of the clock."""
    return time.process_time(), time.perf_counter()


def since(begun: tuple[float, float]) -> tuple[float, float]:
    processor, clock = now()
    return processor - begun[0], clock - begun[1]


def works(count: int, spent: Spent) -> Iterator[Any]:
    """The works of a round: prompts, answers in units of a prompt, judgments in units of an answer."""
    from selfreward.records import Judgment, Message, Prompt, Response, stable_id
    from selfreward.store.given import chunked
    from selfreward.store.run import Work

    def prompt(unit: int) -> list[Prompt]:
        return [Prompt(stable_id("p", unit), (Message("user", f"{TEXT} {unit}"),), "train", "planted")]

    def answers(unit: int) -> list[Response]:
        asked, tokens = stable_id("p", unit), tuple(range(100, 100 + TOKENS))
        return [
            Response(stable_id("r", unit, k), asked, k, "policy", f"{TEXT} {k}", "", tokens, "stop", 0, "plain", -50.0)
            for k in range(ANSWERS)
        ]

    def judgments(unit: int) -> list[Judgment]:
        asked, about = stable_id("p", unit // ANSWERS), stable_id("r", unit // ANSWERS, unit % ANSWERS)
        said = ("policy", "; Score: 4", tuple(range(16)), "stop", 0, "template", 4.0, None)
        return [Judgment(stable_id("j", unit, n), about, asked, n, *said) for n in range(JUDGMENTS)]

    yield Work(1, "prompts", Prompt, {"count": count}, chunked(range(count), CHUNK), spent.making(prompt))
    yield Work(1, "responses", Response, {"count": count}, chunked(range(count), CHUNK), spent.making(answers))
    asked = range(count * ANSWERS)
    yield Work(1, "judgments", Judgment, {"count": count}, chunked(asked, CHUNK), spent.making(judgments))


def store(rows: int, scratch: Path) -> dict[str, float]:
    """What the store costs alone. The process holds all rows of the round, as a run does."""
    from selfreward.recipe.read import build_recipe
    from selfreward.store.results import Store

    results, count, spent, times = Store(scratch, share=False), rows // ROWS_OF_A_PROMPT, Spent(), list[float]()
    for _ in ("written", "read back"):
        with results.open_run("rows", build_recipe([], []), environment={"device": "none"}) as run:
            begun = now()
            held = [run.complete(work) for work in works(count, spent)]
            times += since(begun)
    on_disk = sum(path.stat().st_size for path in run.directory(1).glob("*.jsonl"))
    return {
        "rows": sum(map(len, held)),
        "written": times[0] - spent.processor,
        "written by the clock": times[1] - spent.clock,
        "read": times[2],
        "read by the clock": times[3],
        # Linux tells KiB, macOS bytes.
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2),
        "on disk": on_disk / 1e6,
    }


def plant(rows: int, rounds: int, scratch: Path) -> dict[str, float]:
    """A run of about so many rows, through the store and measured by the real metrics."""
    sys.path.append(str(ROOT / "tests"))
    from run_factory import POOLS, SAMPLES, Story, write_run

    from selfreward.store.results import Store

    of_prompt = 1 + 3 * SAMPLES
    pools = {name: max(2, min(size, rows // 500)) for name, size in POOLS.items()}
    left = rows - 100 - (rounds + 1) * (BESIDE + sum(pools.values()) * of_prompt)
    skill = [0.4 + 0.3 * number / rounds for number in range(rounds + 1)]
    story = Story(skill, train=max(1, left // (rounds * (of_prompt + 1))), **pools)
    run = write_run(Store(scratch, share=False), "large", story)
    return {"rows": sum(seal.rows for number in run.rounds() for seal in run.seals(number))}


def report(rows: int, rounds: int, scratch: Path) -> dict[str, float]:
    found, page, begun = child("plant", rows, rounds, scratch), scratch / "page.html", time.monotonic()
    seconds, peak = cost("report", "large", "--results", scratch, "--out", page)
    clock = time.monotonic() - begun
    return found | {"report": seconds, "report by the clock": clock, "peak": peak, "page": page.stat().st_size / 1e6}


def child(what: str, rows: int, rounds: int, scratch: Path) -> dict[str, float]:
    """What a process of its own finds."""
    command = [sys.executable, __file__, "--child", what, "--rows", str(rows), "--rounds", str(rounds)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, "--scratch", str(scratch)], env=environment, check=True, stdout=subprocess.PIPE)
    return dict(json.loads(done.stdout))


def shares(runs: Sequence[Path], seconds_a_row: float) -> Iterator[str]:
    """The store's share of the last round of finished runs."""
    from selfreward.store.view import RunView

    for view in map(RunView, runs):
        seals = [seal for seal in view.seals(view.rounds()[-1]) if seal.seconds]
        rows, seconds = sum(seal.rows for seal in seals), sum(seal.seconds for seal in seals)
        share = seconds_a_row * rows / seconds
        yield f"| {Path(view.recipe().model.path).name} | {rows:,} | {seconds:.1f} | {share:.2%} |"


def table(sizes: Sequence[int], rounds: int, beside: Sequence[Path]) -> str:
    stored, reported = [], []
    for rows in sizes:
        for results, measure in ((stored, partial(child, "store")), (reported, report)):
            with tempfile.TemporaryDirectory() as scratch:
                results.append(measure(rows, rounds, Path(scratch)))
            print(rows, results[-1], file=sys.stderr, flush=True)
    lines = ["| rows | written, s | ms a row | read back, s | peak, MiB | on disk, MB |", f"|{'---:|' * 6}"]
    for row in stored:
        each = f"{1000 * row['written'] / row['rows']:.3f}"
        cells = [f"{row['rows']:,}", seconds(row, "written", 2), each, seconds(row, "read", 2)]
        lines.append(f"| {' | '.join(cells)} | {row['peak']:.0f} | {row['on disk']:.1f} |")
    lines += ["", "| rows of the run | `report`, s | peak, MiB | the page, MB |", f"|{'---:|' * 4}"]
    for row in reported:
        told = seconds(row, "report", 1)
        lines.append(f"| {row['rows']:,} | {told} | {row['peak']:.0f} | {row['page']:.2f} |")
    if beside:
        dearest = max(row["written"] / row["rows"] for row in stored[1:] or stored)
        lines += ["", "| the last round of | rows | seconds by its seals | the store's share |", "|---|---:|---:|---:|"]
        lines += shares(beside, dearest)
    return "\n".join(lines)


def seconds(row: dict[str, float], what: str, digits: int) -> str:
    return f"{row[what]:.{digits}f} ({row[f'{what} by the clock']:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=2, help="rounds that the reported run's rows are spread over")
    parser.add_argument("--beside", type=Path, nargs="*", default=[], help="directories of finished runs")
    parser.add_argument("--out", type=Path, help="write the table to this file, too")
    parser.add_argument("--child", choices=("store", "plant"), help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        (rows,) = asked.rows
        made = store(rows, asked.scratch) if asked.child == "store" else plant(rows, asked.rounds, asked.scratch)
        print(json.dumps(made))
        return
    text = "\n".join(["# What rows cost", "", *told(asked), "", table(asked.rows, asked.rounds, asked.beside), ""])
    print(text, end="")
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")


def told(asked: argparse.Namespace) -> list[str]:
    sizes, load = " ".join(map(str, asked.rows)), f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return [
        f"`python benchmarks/growth.py --rows {sizes} --rounds {asked.rounds}`. Planted rows, one run of each size:",
        "seconds of the processor, in brackets by the clock (an upper bound: the machine had other work, load",
        f"{load}). Rows are all lines of all artifacts. The store's share: its seconds a row at its dearest,",
        "of what a round took without it.",
    ]


if __name__ == "__main__":
    main()
