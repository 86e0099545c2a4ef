"""`selfreward plan --learn` against runs of different sizes: each is expected from the others alone.

    python benchmarks/plan_learns.py RESULTS                 runs that are there (directories of finished runs)
    python benchmarks/plan_learns.py RESULTS --make          first makes eight small ones of recipes/smoke.yaml

Prints a Markdown table: taken, expected, their ratio, the range and whether it holds. Make the runs on a machine that
does nothing else.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from selfreward.commands.plan.learnt import LEAST, expected, finished_like
from selfreward.commands.plan.plan import Assumptions, plan
from selfreward.commands.plan.roofline import DEVICES
from selfreward.commands.plan.shapes import read_shape
from selfreward.commands.plan.workload import recipe_lengths
from selfreward.commands.preflight_models import shape_directory
from selfreward.report.state import runs_in

SIZES = ((1, 40, 2), (1, 80, 4), (2, 60, 4), (2, 150, 3), (1, 300, 4), (3, 100, 4), (2, 200, 6), (1, 120, 8))
"""Rounds, prompts a round, answers to a prompt."""
DEVICE = DEVICES["cpu-core"]


def make(results: Path) -> None:
    for rounds, prompts, samples in SIZES:
        keys = [f"rounds={rounds}", f"prompts.per_round={prompts}", f"generate.samples={samples}"]
        name = f"size-{rounds}-{prompts}-{samples}"
        command = [sys.executable, "-m", "selfreward", "run", "smoke", "--name", name, "--results", str(results), *keys]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def table(results: Path) -> list[str]:
    views = runs_in(results)
    found = [
        "| run | taken (s) | expected (s) | taken / expected | range (s) | holds |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for view in views:
        recipe = view.recipe()
        shape = read_shape(shape_directory(recipe.model.path))
        mine = finished_like(recipe, shape, DEVICE, [view])
        others = finished_like(recipe, shape, DEVICE, [other for other in views if other.path != view.path])
        if not mine or len(others) < LEAST:
            continue
        made = plan(recipe, shape, DEVICE, Assumptions(recipe_lengths(recipe)))
        told = expected(made, others)
        if told is None or told.low is None or told.high is None:
            continue
        taken = mine[0].seconds
        holds = "yes" if told.low <= taken <= told.high else "no"
        cells = f"{taken:.1f} | {told.seconds:.1f} | {taken / told.seconds:.2f} | {told.low:.1f} to {told.high:.1f}"
        found.append(f"| {view.name} | {cells} | {holds} |")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--make", action="store_true", help="make the runs first")
    given = parser.parse_args()
    if given.make:
        make(given.results)
    print("\n".join(table(given.results)))
