"""What share of a round's processor time is spent on measuring, stage by stage, with some recipe keys and with others.

    python benchmarks/measuring_share.py [RECIPE] [key=value ...] [--against "key=value ..."]

Seconds are the processor's, of this process, its threads and what it started and has ended, so that a busy machine
counts little; both recipes run in this process, one after the other. The share is that of the last round: in round 0
there is only a policy to measure, and from round 2 on three policies read the answers. `beside` is what no stage
claims: loading, reading rows back, pairing.
"""

import argparse
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from selfreward.commands.run import run
from selfreward.progress import Progress
from selfreward.progress.stage import Stage
from selfreward.recipe.read import load_recipe
from selfreward.store.results import Store

MAKING = ("written", "prompts", "responses", "judgments", "meta_judgments", "pairs", "drops", "train", "checkpoint")
"""Stages that make a policy begin with these; all others measure it."""


def processor_seconds() -> float:
    return sum(os.times()[:4])


class Watched(Progress):
    """Adds up the processor time of every stage, without that of stages inside it."""

    def __init__(self) -> None:
        super().__init__(style="silent")
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inside = 0.0

    @contextmanager
    def stage(self, name: str, total: int | None = None, done: int = 0) -> Iterator[Stage]:
        begun, outer, self._inside = processor_seconds(), self._inside, 0.0
        with super().stage(name, total, done) as stage:
            yield stage
        taken = processor_seconds() - begun
        self.seconds[name] += taken - self._inside
        self._inside = outer + taken


def shares(recipe: str, overrides: Sequence[str]) -> None:
    """Run it in a folder that goes away, and print the stages of its last round."""
    loaded, watched = load_recipe(recipe, overrides), Watched()
    begun = processor_seconds()
    with tempfile.TemporaryDirectory() as directory:
        run(loaded, Store(Path(directory), share=False), "measured", watched)
    whole = processor_seconds() - begun
    last = f"round {loaded.rounds}: "
    stages = {name.removeprefix(last): taken for name, taken in watched.seconds.items() if name.startswith(last)}
    measuring = {name: taken for name, taken in stages.items() if not name.startswith(MAKING)}
    total = sum(stages.values())
    print(f"\n{recipe} {' '.join(overrides)}".rstrip())
    for name, taken in sorted(stages.items(), key=lambda item: -item[1]):
        kind = "measuring" if name in measuring else "making"
        print(f"  {name:<28}{kind:<11}{taken:>8.2f} s{taken / total:>8.1%}")
    print(f"  measuring: {sum(measuring.values()) / total:.1%} of the {total:.1f} s of round {loaded.rounds}")
    print(f"  whole run {whole:.1f} s, beside all stages {whole - sum(watched.seconds.values()):.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="recipes/sandbox.yaml")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--against", action="append", default=[], help="keys of another side, in one string")
    arguments = parser.parse_args()
    for keys in [arguments.overrides, *([*arguments.overrides, *other.split()] for other in arguments.against)]:
        shares(arguments.recipe, keys)


if __name__ == "__main__":
    main()
