"""What two runs have in common, and in which keys of their recipes they differ.

Rows of two runs are the same by construction where one artifact serves both: equal fingerprints (everything that
determines it is equal) and equal bytes. A fork shares the rounds that it took over, and runs of one seed share their
start. There is nothing to measure then: no interval, and no test.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selfreward.measuring.stats.clustered import Estimate
from selfreward.measuring.stats.nested_difference import NestedDifference
from selfreward.recipe import walk
from selfreward.recipe.section import is_section
from selfreward.report.compared import EXACT, PER_RUN
from selfreward.report.reading import Reading
from selfreward.report.tables import Table

JUDGED = ("judge_mean", "judge_minus_truth")
ALIKE = "same by construction"
"""The unit of such a difference: there is none that it speaks for."""


def artifacts_of(metric: str) -> tuple[str, ...]:
    """What a metric of a comparison is computed from."""
    if metric in (EXACT, *PER_RUN):
        return ("frozen", "frozen_judgments")
    return ("eval_responses", "eval_judgments") if metric in JUDGED else ("eval_responses",)


def made_of(run: Reading, number: int, metric: str) -> tuple[str, ...]:
    """What identifies the artifacts behind a metric of one round; () where one of them is not there."""
    seals = [run.view.seal(0 if name == "frozen" else number, name) for name in artifacts_of(metric)]
    known = [seal for seal in seals if seal is not None]
    return tuple(part for seal in known for part in (seal.fingerprint, seal.digest)) if known == seals else ()


def nothing_to_compare(models: int, runs: int, prompts: int) -> NestedDifference:
    """The difference of artifacts from themselves."""
    return NestedDifference(Estimate(0.0, None, None, models), models, runs, prompts, ALIKE, None)


def shared_rounds(a: Reading, b: Reading) -> list[str]:
    """Which rounds, or artifacts of a round, are one and the same in both runs; a sentence each."""
    found: dict[str, list[int]] = {}
    for number in (number for number in a.rounds if number in b.rounds):
        mine, theirs = (
            {seal.artifact: (seal.fingerprint, seal.digest) for seal in run.view.seals(number)} for run in (a, b)
        )
        alike = sorted(name for name in mine if mine[name] == theirs.get(name))
        what = "everything" if alike and mine == theirs else ", ".join(alike) or "nothing"
        found.setdefault(what, []).append(number)
    if not found:
        return ["They have no round in common."]
    said = []
    for what, numbers in found.items():
        rounds = f"round{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
        ending = f" ({ALIKE}, so there is nothing to compare)" if what == "everything" else ""
        said.append(f"Shared in {rounds}: {what}{ending}.")
    return said


def differing_keys(runs: Sequence[Reading]) -> Table:
    """The keys of which two recipes have different values, in the recipe's order; no rows where there are none."""
    values = [dict(_leaves(run.recipe)) for run in runs]
    keys = dict.fromkeys(key for found in values for key in found)
    rows = [
        [key, *(str(found.get(key, "")) for found in values)]
        for key in keys
        if any(found.get(key) != values[0].get(key) for found in values)
    ]
    return Table("Recipe keys in which they differ", ["key", *(run.name for run in runs)], rows)


def _leaves(section: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key with its value, those of named sections (`served.NAME.url`) too."""
    for key, value, _ in walk(section, prefix):
        named = value if isinstance(value, Mapping) and all(map(is_section, value.values())) else {}
        if not named:
            yield key, value
        for name, inner in named.items():
            yield from _leaves(inner, f"{key}.{name}.")


def recipe_differences(a: Reading, b: Reading) -> Table:
    """The same of two runs."""
    return differing_keys([a, b])
