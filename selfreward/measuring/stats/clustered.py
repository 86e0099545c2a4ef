"""Intervals for numbers that come in clusters: all answers to one prompt rise and fall together.

Every interval is a 95 % one and every `n` counts clusters (prompts). What is linear in the rows gets a cluster-robust
t-interval, a share Wilson's interval with the design effect, the rest a bootstrap over clusters (`resampling.py`). One
cluster gives a value and no interval. Nothing here returns NaN: what does not exist is None.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

Array = NDArray[np.float64]
TAIL = 0.975
NORMAL = float(ndtri(TAIL))
MANY = 50
"""From so many clusters on, simulated intervals hold the truth in 93 to 97 %; fewer are called a small sample."""
SPARSE = 1.5
"""Clusters that must differ from the rest until their design effect is believed by 1 - 1/e (`clustered_share`)."""
UNSEEN = 10
"""Clusters that must have moved until a move that none of them shows counts 1/e (`unseen_variance`)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval; `n` clusters stand behind it."""

    value: float | None
    low: float | None
    high: float | None
    n: int


NOTHING = Estimate(None, None, None, 0)


def t_quantile(quantile: float, freedom: float) -> float:
    return float(stdtrit(freedom, quantile))


def positions(clusters: Sequence[str]) -> tuple[list[str], NDArray[np.intp]]:
    """The distinct cluster names, sorted, and each row's position among them."""
    names, index = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    return [str(name) for name in names], index.reshape(-1)


def robust_variance(residuals: Array, weights: Array) -> tuple[float, float]:
    """Cluster-robust variance of a ratio Σ y / Σ w and its degrees of freedom, from two or more clusters' sums.

    `residuals` are each cluster's Σ (y - ratio · w), `weights` its Σ w > 0; a mean over rows has the clusters' sizes as
    weights. Leverage: r_g / (1 - w_g/W) is how far off the cluster is from what the others say, and

        variance = (G-1)/G · Σ (r_g / (1 - w_g/W))² / W²        (jackknife; CR3 of Bell & McCaffrey 2002)

    which for equal weights is the variance of the mean of G cluster means. Degrees of freedom: Satterthwaite's
    2 (Σ r²)² / (Σ r⁴ - (Σ r²)²/G), at most G-1: where few clusters hold the variance, few say how large it is.
    """
    groups, total = len(residuals), math.fsum(weights)
    squares = (residuals / (1 - weights / total)) ** 2
    second, fourth = math.fsum(squares), math.fsum(squares**2)
    spread = fourth - second**2 / groups
    freedom = min(groups - 1.0, 2 * second**2 / spread) if spread > 1e-9 * fourth else groups - 1.0
    return (groups - 1) / groups * second / total**2, freedom


def _mean_and_sums(values: Array, clusters: Sequence[str]) -> tuple[float, Array, Array, Array]:
    """Mean over rows; each cluster's Σ (y - mean), its number of rows, and its Σ y."""
    names, index = positions(clusters)
    mean = math.fsum(values) / len(values)
    residuals, sizes, sums = (
        np.bincount(index, weights=of, minlength=len(names)).astype(np.float64) for of in (values - mean, None, values)
    )
    return mean, residuals, sizes, sums


def clustered_mean(values: ArrayLike, clusters: Sequence[str]) -> Estimate:
    """Mean over rows with a t-interval that is robust to any dependence inside a cluster (`robust_variance`)."""
    rows = np.asarray(values, dtype=np.float64)
    if not len(rows):
        return NOTHING
    mean, residuals, sizes, _ = _mean_and_sums(rows, clusters)
    groups = len(sizes)
    if groups == 1:
        return Estimate(mean, None, None, 1)
    variance, freedom = robust_variance(residuals, sizes)
    half = t_quantile(TAIL, freedom) * math.sqrt(variance)
    return Estimate(mean, mean - half, mean + half, groups)


def wilson(successes: float, n: float, critical: float = NORMAL) -> tuple[float, float]:
    """Wilson's interval for a share. `n` may be an effective, fractional number of trials."""
    share, square = successes / n, critical**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = critical / (1 + square / n) * math.sqrt(max(0.0, share * (1 - share) / n + square / (4 * n**2)))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def clustered_share(values: ArrayLike, clusters: Sequence[str]) -> Estimate:
    """Mean of rows in [0, 1] whose interval stays there and has a width at 0 and 1 too.

    Wilson's interval with n divided by the design effect (robust variance / variance of independent rows) and a t
    quantile, degrees of freedom as in `robust_variance`; Dean & Pagano 2015 find this one good for clustered surveys.
    Clusters of one row give plain Wilson.

    How alike the rows of a cluster are shows only in clusters that differ from the rest. At a share of exactly 0 or 1
    there are none, and each cluster counts as one trial (the largest design effect, Σ m² / N for m rows in a cluster).
    With D such clusters the estimated design effect is mixed with the largest one, which weighs exp(-D / 1.5).
    """
    rows = np.asarray(values, dtype=np.float64)
    if not len(rows):
        return NOTHING
    share, residuals, sizes, sums = _mean_and_sums(rows, clusters)
    groups, count = len(sizes), len(rows)
    if groups == 1:
        return Estimate(share, None, None, 1)
    if groups == count:
        return Estimate(share, *wilson(share * count, count), groups)
    variance, freedom = robust_variance(residuals, sizes)
    independent = share * (1 - share) / (count - 1)
    estimated = max(1.0, variance / independent) if independent > 0 else 1.0
    largest = max(estimated, math.fsum(sizes**2) / count)
    differ = min(int((sums > 0).sum()), int((sums < sizes).sum()))
    mixed = estimated + math.exp(-differ / SPARSE) * (largest - estimated)
    trials = count / mixed
    low, high = wilson(share * trials, trials, t_quantile(TAIL, freedom))
    return Estimate(share, low, high, groups)


def within_share(estimate: Estimate) -> Estimate:
    """The estimate of a number between 0 and 1, whose interval does not leave them either."""
    low, high = (None if end is None else min(1.0, max(0.0, end)) for end in (estimate.low, estimate.high))
    return Estimate(estimate.value, low, high, estimate.n)


def tau_b(first: ArrayLike, second: ArrayLike) -> float | None:
    """Kendall's tau-b of one short list, or None where a side is constant. Quadratic in its length."""
    signs = [np.sign(np.subtract.outer(side, side)) for side in (np.asarray(first), np.asarray(second))]
    norm = math.sqrt(float((signs[0] ** 2).sum() * (signs[1] ** 2).sum()))
    return float((signs[0] * signs[1]).sum()) / norm if norm else None


def cluster_means(values: Iterable[float], clusters: Iterable[str]) -> dict[str, float]:
    """Mean of each cluster, sorted by its name: what paired comparisons are made of."""
    rows: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        rows.setdefault(cluster, []).append(value)
    return {cluster: math.fsum(rows[cluster]) / len(rows[cluster]) for cluster in sorted(rows)}


def unseen_variance(values: Sequence[float], moved: int, least: float = 1.0) -> float:
    """What moves that no cluster showed add to the variance of a mean of `values`, `moved` of which moved at all.

    Where hardly any cluster moved, the few that did say nothing of how far one can: none of 50 prompts turned from all
    wrong to all right, yet one in fifty may. It moves by the most that was seen, at least by `least` (1 is the whole
    range of a share, a point of a score). Where D of n clusters moved, exp(-D / 10) of one more counts in the variance,
    for the share (n - D) / n that did not; where every cluster moved nothing is added. Where none did, the interval is
    as wide as Wilson's for a share of which none was seen, t² / (n + t²); so it is where all are exactly alike, by
    whatever they moved, since they show no spread at all. Found by simulation (`selfreward validate`, "paired
    difference" and the cases of few moves: none holds the truth too rarely; where two or three moves are expected at
    all, 98 to 100 % hold it).
    """
    n, reach = len(values), max(least, *(abs(value) for value in values))
    if not moved or max(values) - min(values) <= 1e-12 * reach:
        square = t_quantile(TAIL, n - 1) ** 2
        return reach**2 * square / (n + square) ** 2
    return reach**2 * (n - moved) / n * math.exp(-moved / UNSEEN) / (n * (n - 1))


def _with_unseen(values: Sequence[float], clusters: Sequence[str], moved: int, least: float = 1.0) -> Estimate:
    """`clustered_mean` of one value a cluster, with room for unseen moves (`unseen_variance`)."""
    found = clustered_mean(values, clusters)
    if found.value is None or found.low is None or found.high is None:
        return found
    unseen = t_quantile(TAIL, len(values) - 1) * math.sqrt(unseen_variance(values, moved, least))
    half = math.hypot((found.high - found.low) / 2, unseen)
    return Estimate(found.value, found.value - half, found.value + half, found.n)


def paired_difference(after: Mapping[str, float], before: Mapping[str, float]) -> Estimate:
    """Mean of after minus before over the clusters that both have: a t-interval with room for unseen moves."""
    common = sorted(after.keys() & before.keys())
    differences = [after[name] - before[name] for name in common]
    return _with_unseen(differences, common, sum(difference != 0 for difference in differences))


def trend(rounds: Mapping[int, Mapping[str, float]]) -> Estimate:
    """Change per round: each prompt's least-squares slope over the rounds, averaged, with a t-interval over prompts.

    Only prompts that every round has count. It needs two rounds; with fewer there is no value. A prompt has moved where
    its values differ; an unseen move is a step of 1 between two rounds, where the slope feels it most. Of two rounds a
    round apart this is `paired_difference`.
    """
    numbers = sorted(rounds)
    if len(numbers) < 2:
        return NOTHING
    common = sorted(set.intersection(*(set(values) for values in rounds.values())))
    centre = sum(numbers) / len(numbers)
    spread = sum((number - centre) ** 2 for number in numbers)
    slopes = [sum((number - centre) * rounds[number][name] for number in numbers) / spread for name in common]
    moved = sum(any(rounds[number][name] != rounds[numbers[0]][name] for number in numbers) for name in common)
    step = max(sum(number - centre for number in numbers[first:]) / spread for first in range(1, len(numbers)))
    return _with_unseen(slopes, common, moved, step)
