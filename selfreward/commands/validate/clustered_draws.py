"""Rows in clusters whose truth is known: any distribution, any intra-cluster correlation, exact marginals.

A row is its cluster's common draw with chance √c, and a fresh draw of the same distribution else. Two rows of a cluster
are then correlated by exactly c, whatever is drawn (shares, scores, pairs of scores), and each row alone has exactly
the distribution, so that the truth needs no simulation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from selfreward.measuring.stats.clustered import Array

Sampler = Callable[[np.random.Generator, int], Array]
"""(generator, n) → n independent draws, along the first axis."""

UNEVEN = 11


@dataclass(frozen=True)
class Layout:
    """`size` rows in each of `clusters` clusters; 0 is uneven: 1 to 11 rows by turns."""

    clusters: int
    size: int

    @cached_property
    def index(self) -> NDArray[np.intp]:
        """The cluster of each row."""
        sizes = np.full(self.clusters, self.size) if self.size else np.arange(self.clusters) % UNEVEN + 1
        return np.repeat(np.arange(self.clusters), sizes)

    @cached_property
    def names(self) -> list[str]:
        return [f"prompt {cluster:04d}" for cluster in self.index]

    @property
    def word(self) -> str:
        return str(self.size or f"1 to {UNEVEN}")

    def draw(self, generator: np.random.Generator, correlation: float, sampler: Sampler) -> Array:
        common = sampler(generator, self.clusters)[self.index]
        fresh = sampler(generator, len(self.index))
        copied = generator.random(len(self.index)) < sqrt(correlation)
        return np.where(copied.reshape(-1, *([1] * (fresh.ndim - 1))), common, fresh)


def of_table(table: Array) -> Sampler:
    """Draws (row, column) positions from a table of probabilities."""
    edges = table.reshape(-1).cumsum()
    edges[-1] = 1.0

    def sample(generator: np.random.Generator, count: int) -> Array:
        cells = np.searchsorted(edges, generator.random(count), side="right")
        return np.stack(np.divmod(cells, table.shape[1]), axis=1).astype(np.float64)

    return sample
