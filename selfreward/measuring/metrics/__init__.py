"""One question about a round per file: what is asked of its rows, how it is counted, what is left out.

Every file of `policy/` and `judge/` is a metric: `measure(evidence) -> list[Measurement]`, and `ABOUT`, which says what
people call its numbers, what they are where nothing happens, and when one is worth an alarm. Add one by its file.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from selfreward.measuring.metrics.about import About, Family, Metric
from selfreward.measuring.metrics.families import FAMILIES
from selfreward.recipe.doors import identity, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from selfreward.measuring.evidence import Evidence
    from selfreward.records import Measurement

ROOMS = ("policy", "judge")


@cache
def abouts() -> Mapping[str, About]:
    """Module → what it says of its metrics, in the order of their families, then of their names."""
    found: dict[str, About] = {}
    for room in ROOMS:
        for path in sorted((Path(__file__).parent / room).glob("*.py")):
            module = f"{__name__}.{room}.{path.stem}"
            found[module] = import_module(module).ABOUT
    order = {family.name: place for place, family in enumerate(FAMILIES)}

    def place(module: str) -> tuple[int, str]:
        asked = [order.get(metric.family.name, len(order)) for metric in found[module].metrics if metric.family]
        return min(asked, default=len(order)), found[module].name

    return {module: found[module] for module in sorted(found, key=place)}


@cache
def addresses() -> Mapping[str, str]:
    """Name → what measures it."""
    return {about.name: f"{module}:measure" for module, about in abouts().items()}


@cache
def numbers() -> Mapping[str, Metric]:
    """Every number that is told, by its name, in the order of the report within each family."""
    ordered: list[Metric] = []
    for about in sorted(abouts().values(), key=lambda about: bool(about.after)):
        names = [metric.name for metric in ordered]
        behind = names.index(about.after) + 1 if about.after else len(names)
        ordered[behind:behind] = [
            replace(one, needs=one.needs or about.needs, pools=one.pools or about.pools) for one in about.metrics
        ]
    return {metric.name: metric for metric in ordered}


@cache
def families() -> Sequence[Family]:
    """The families in the order of the report, each with its metrics; one that only a metric knows stands behind."""
    asked = [(metric.family, metric) for metric in numbers().values() if metric.family is not None]
    known = {family.name: family for family in (*FAMILIES, *(family for family, _ in asked))}
    told: dict[str, dict[str, str]] = {name: {} for name in known}
    for family, metric in asked:
        told[family.name][metric.name] = metric.words
    return [Family(name, family.question, told[name]) for name, family in known.items()]


def fingerprint(foreign: Sequence[str] = ()) -> dict[str, int]:
    """Every metric's name and version; the name of somebody's own holds the hash of its file."""
    own = {identity("metrics", name, addresses()): 1 for name in foreign}
    versions = {about.name: about.version for about in abouts().values()}
    return {name: versions[name] for name in sorted(versions)} | own


def measure_all(evidence: Evidence, foreign: Sequence[str] = ()) -> list[Measurement]:
    """Every metric's rows, then the `foreign` ones'. One without its evidence gives none."""
    rows: list[Measurement] = []
    for name in (*addresses(), *foreign):
        rows += load("metrics", name, addresses())(evidence)
    return rows
