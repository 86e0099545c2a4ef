"""How often does each interval hold the truth? Simulated over a grid, for every constructor.

    coverage   share of `repeats` intervals that hold the truth; 95 % is promised, and from 50 clusters on 93 to 97 is
               kept (Wilson's at small counts jumps by that much); repeats without an interval are left out
    low, high  Wilson's interval of that share

The grid: clusters × rows in a cluster × intra-cluster correlation × the case's setting. Below 50 clusters the interval
is a small-sample one: the same constructor, whose t quantile, leverage and BCa terms are what is left of corrections at
few clusters; the table says what it holds there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from selfreward.commands.validate.clustered_draws import Layout
from selfreward.commands.validate.coverage_cases import BOOTSTRAPPED, CASES
from selfreward.measuring.stats.clustered import MANY, wilson
from selfreward.records import seed_for

KEPT = (0.93, 0.97)
CLUSTERS = (20, 50, 100)
SIZES = (1, 6, 0)
CORRELATIONS = (0.0, 0.3, 0.7)
EVEN_ONLY = ("paired difference", "win rate", "nested difference")
"""Both rounds have the same number of rows of a prompt."""
ONE_ROW = ("nested difference", "nested difference, few moves", "nested difference, one run", "trend, few moves")
"""Whose units are prompts: a row in each."""
REPEATS = 4000


@dataclass(frozen=True, slots=True)
class Cell:
    constructor: str
    clusters: int
    rows: str
    correlation: float
    setting: float
    repeats: int
    coverage: float
    low: float
    high: float
    below: float
    above: float
    without: int
    verdict: str


def grid() -> Iterator[tuple[str, Layout, float, float]]:
    """Constructor, layout, correlation and setting of every cell.

    Rows alone in their cluster have no correlation. What costs a thousand resamples is asked about all layouts at 50
    clusters and about one elsewhere.
    """
    for name, (_, settings) in CASES.items():
        for clusters, setting in product(CLUSTERS, settings):
            for size, correlation in product(SIZES, CORRELATIONS):
                alone = size == 1 and correlation > 0
                uneven = size == 0 and name in EVEN_ONLY
                elsewhere = name in BOOTSTRAPPED and clusters != MANY and (size, correlation) != (6, 0.3)
                if not (alone or uneven or elsewhere or (name in ONE_ROW and size != 1)):
                    yield name, Layout(clusters, size), correlation, setting


def measure_cell(name: str, layout: Layout, correlation: float, setting: float, repeats: int) -> Cell:
    draw, truth = CASES[name][0](layout, correlation, setting)
    generator = np.random.default_rng(seed_for("coverage", name, layout.clusters, layout.size, correlation, setting))
    below = above = known = 0
    for _ in range(repeats):
        estimate = draw(generator)
        if estimate.low is not None and estimate.high is not None:
            known += 1
            # A truth at the very end is held; sums in another order differ in their last bits.
            below += truth < estimate.low - 1e-9
            above += truth > estimate.high + 1e-9
    share = 1 - (below + above) / known
    low, high = wilson(share * known, known)
    without = repeats - known
    verdict = _verdict(layout.clusters, share)
    return Cell(
        constructor=name,
        clusters=layout.clusters,
        rows=layout.word,
        correlation=correlation,
        setting=setting,
        repeats=repeats,
        coverage=share,
        low=low,
        high=high,
        below=below / known,
        above=above / known,
        without=without,
        verdict=verdict,
    )


def _verdict(clusters: int, share: float) -> str:
    if clusters < MANY:
        return "small sample"
    return "too narrow" if share < KEPT[0] else "too wide" if share > KEPT[1] else "kept"


def measure_grid(repeats: int, say: Callable[[str], None], constructors: Sequence[str] = ()) -> list[Cell]:
    """Every cell of the grid, or those of some constructors."""
    cells: list[Cell] = []
    for name, layout, correlation, setting in grid():
        if constructors and name not in constructors:
            continue
        if not cells or cells[-1].constructor != name:
            say(f"coverage: {name}")
        cells.append(measure_cell(name, layout, correlation, setting, repeats))
    return cells
