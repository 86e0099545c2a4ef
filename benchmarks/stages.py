"""Seconds and rows per second of every stage of a real run, and what the store itself costs at 100,000 rows.

    python benchmarks/stages.py [RECIPE] [key=value ...] [--rows 100000] [--repeats 3]

The store's share is its time to chunk, append, sort, write, fsync and seal that many response rows, divided by the time
of a round with as many rows, at the seconds per row (training and measuring included) just measured in this process.
"""

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from selfreward.commands.environment import environment
from selfreward.commands.run import run
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.records import Response, stable_id
from selfreward.store.given import chunked
from selfreward.store.results import Store
from selfreward.store.run import RunView, Work


def stage_table(view: RunView, rounds: Sequence[int]) -> dict[str, tuple[int, float, int]]:
    """Artifact -> rows, seconds, tokens, summed over `rounds`, from the seals."""
    totals: dict[str, tuple[int, float, int]] = {}
    for number in rounds:
        for path in sorted(view.directory(number).glob("*.done.json")):
            seal = view.seal(number, path.name.removesuffix(".done.json"))
            if seal is not None:
                rows, seconds, tokens = totals.get(seal.artifact, (0, 0.0, 0))
                totals[seal.artifact] = (rows + (seal.rows or 0), seconds + seal.seconds, tokens + (seal.tokens or 0))
    return totals


def store_seconds(root: Path, example: Response, rows: int, repeat: int) -> float:
    """Seconds that the store takes for `rows` rows like `example` that cost nothing to compute."""

    def compute(chunk: Sequence[int], index: int) -> Iterable[Response]:
        return [dataclasses.replace(example, id=stable_id(repeat, number)) for number in chunk]

    work = Work(
        round=0,
        artifact="responses",
        record=Response,
        made_from={"repeat": repeat},
        chunks=chunked(range(rows), 768),
        compute=compute,
    )
    recipe = load_recipe(Path(__file__).parent.parent / "recipes" / "smoke.yaml")
    begun = time.perf_counter()
    with Store(root, share=False).open_run(f"rows-{repeat}", recipe, environment=environment(recipe)) as opened:
        opened.complete(work)
    whole = time.perf_counter() - begun
    begun = time.perf_counter()
    for index, chunk in enumerate(work.chunks):
        list(compute(chunk, index))
    return whole - (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="recipes/smoke.yaml")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        begun = time.perf_counter()
        run(load_recipe(arguments.recipe, arguments.overrides), Store(root, share=False), "measured", Progress())
        view = Store(root).existing("measured")
        print(f"whole run {time.perf_counter() - begun:.1f} s")
        print(f"{'stage':<24}{'rows':>9}{'seconds':>10}{'rows/s':>10}{'tokens/s':>10}")
        for artifact, (rows, seconds, tokens) in sorted(
            stage_table(view, view.rounds()).items(), key=lambda item: -item[1][1]
        ):
            rate = f"{rows / seconds:>10.0f}{tokens / seconds:>10.0f}" if seconds > 0.01 else f"{'':>20}"
            print(f"{artifact:<24}{rows:>9}{seconds:>10.2f}{rate}")
        example = view.read(1, "responses", Response)[0]
        first = stage_table(view, [1])
        rows_of_round = sum(rows for artifact, (rows, _, _) in first.items() if artifact != "checkpoint")
        round_seconds = arguments.rows * sum(seconds for _, seconds, _ in first.values()) / rows_of_round
        shares = [
            store_seconds(root, example, arguments.rows, repeat) / round_seconds for repeat in range(arguments.repeats)
        ]
        print(
            f"store at {arguments.rows} rows: median {statistics.median(shares):.2%} "
            f"(min {min(shares):.2%}, max {max(shares):.2%}) of the {round_seconds:.0f} s of such a round"
        )


if __name__ == "__main__":
    main()
