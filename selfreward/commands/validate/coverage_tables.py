"""Coverage cases of everything that is a function of a table of counts: agreement, rank correlation, entropy, median.

Judge and label share a table: the label has the points' shares LABELS, the judge gives the label with chance
`agreement` and else a point of its own, so that agreement, kappa and prevalence are known. The truths of rank
correlations come from scipy, on a list with exactly the table's proportions.
"""

from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import kendalltau, spearmanr

from selfreward.commands.validate.clustered_draws import Layout, of_table
from selfreward.commands.validate.coverage_means import Draw, lengths
from selfreward.measuring.metrics.judge import agreement as judge_agreement
from selfreward.measuring.stats.clustered import Array, Estimate
from selfreward.measuring.stats.resampling import (
    clustered_bootstrap,
    clustered_entropy,
    clustered_kendall,
    clustered_median,
    clustered_spearman,
)

LABELS = np.asarray([0.10, 0.15, 0.10, 0.15, 0.20, 0.30])
OWN = np.asarray([0.05, 0.10, 0.15, 0.25, 0.25, 0.20])


def joint_table(agreement: float) -> Array:
    """(judge's point, label's point) → probability."""
    table: Array = agreement * np.diag(LABELS) + (1 - agreement) * np.outer(OWN, LABELS)
    return table


def of_agreement(name: str, layout: Layout, correlation: float, agreement: float) -> tuple[Draw, float]:
    """An estimate of `judge_agreement`."""
    table = joint_table(agreement)
    sampler, construct = of_table(table), judge_agreement.ESTIMATES[name]

    def draw(generator: np.random.Generator) -> Estimate:
        points = layout.draw(generator, correlation, sampler).astype(np.intp)
        return construct(points[:, 0], points[:, 1], layout.names)

    apart = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    weights = apart**2 if name == "judge_kappa_quadratic" else apart > 0
    both = (table.sum(axis=0) + table.sum(axis=1)) / 2
    observed = float((weights * table).sum())
    expected = {
        "judge_raw_agreement": 1.0,
        "judge_ac1": 1 - float((both * (1 - both)).sum()) / 5,
    }.get(name, float((weights * np.outer(table.sum(axis=1), table.sum(axis=0))).sum()))
    return draw, 1 - observed / expected


def of_two_labels(name: str, layout: Layout, correlation: float, agreement: float) -> tuple[Draw, float]:
    """Youden's index and AUC: the label is good or bad."""
    table = joint_table(agreement)
    statistic = judge_agreement.youden if name == "youden" else partial(judge_agreement.auc, levels=6)
    cut = (lambda points: points > judge_agreement.MIDDLE) if name == "youden" else (lambda points: points)

    def cells(points: Array) -> NDArray[np.intp]:
        good = points[:, 1] > judge_agreement.MIDDLE
        found: NDArray[np.intp] = (2 * cut(points[:, 0]) + good).astype(np.intp)
        return found

    def draw(generator: np.random.Generator) -> Estimate:
        points = layout.draw(generator, correlation, of_table(table))
        return clustered_bootstrap(statistic, cells(points), layout.names)

    grid = np.stack(np.divmod(np.arange(36), 6), axis=1).astype(np.float64)
    exact = np.bincount(cells(grid), weights=table.reshape(-1)).astype(np.float64)
    return draw, float(statistic(exact[None, :])[0])


@cache
def _ranked(kind: str, agreement: float) -> float:
    """Rank correlation of a list in exactly the proportions of the table, by scipy."""
    counts = np.rint(joint_table(agreement).reshape(-1) * 40_000).astype(np.intp)
    first, second = np.divmod(np.repeat(np.arange(36), counts), 6)
    return float((spearmanr if kind == "spearman" else kendalltau)(first, second).statistic)


def of_ranks(name: str, layout: Layout, correlation: float, agreement: float) -> tuple[Draw, float]:
    construct = clustered_spearman if name == "spearman" else clustered_kendall
    sampler = of_table(joint_table(agreement))

    def draw(generator: np.random.Generator) -> Estimate:
        points = layout.draw(generator, correlation, sampler)
        return construct(points[:, 0], points[:, 1], layout.names)

    return draw, _ranked(name, agreement)


def entropy(layout: Layout, correlation: float, top: float) -> tuple[Draw, float]:
    """Points with this share at the top and the rest equally often."""
    shares = np.asarray([*[(1 - top) / 5] * 5, top])

    def draw(generator: np.random.Generator) -> Estimate:
        points = layout.draw(generator, correlation, lambda r, n: r.choice(6, n, p=shares).astype(np.float64))
        return clustered_entropy(points, layout.names)

    return draw, float(-(shares * np.log2(shares)).sum())


def median(layout: Layout, correlation: float, sigma: float) -> tuple[Draw, float]:
    """Of log-normal lengths."""

    def draw(generator: np.random.Generator) -> Estimate:
        return clustered_median(layout.draw(generator, correlation, partial(lengths, sigma)), layout.names)

    return draw, float(np.exp(3 + sigma * ndtri(0.5)))
