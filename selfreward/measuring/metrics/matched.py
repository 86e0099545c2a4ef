"""A difference between two kinds of rows at equal truth: is one kind scored higher for what it is, not how good it is?

Least squares of the value on a mark, with an intercept of its own for every level (of true quality):

    β = Σ x̃·y / Σ x̃²,   x̃ = mark (1 or 0) minus its mean among the rows of the same level

so levels that have one kind only say nothing and are left out. Interval: cluster-robust (Liang & Zeger 1986), with a t
quantile of one less than the number of clusters of the rarer kind as degrees of freedom, because these are what a few
clusters of one kind leave (the plain G - 1 is far too narrow there). Fewer than two clusters of a kind: no interval.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from selfreward.measuring.stats.clustered import NOTHING, TAIL, Estimate, positions, t_quantile


def matched_difference(
    values: ArrayLike, marked: Sequence[bool], levels: Sequence[float], clusters: Sequence[str]
) -> Estimate:
    """Mean of marked minus unmarked rows within a level. `n` counts the clusters of the levels that have both kinds."""
    y, mark = np.asarray(values, dtype=np.float64), np.asarray(marked, dtype=np.float64)
    if not len(y):
        return NOTHING
    level = np.unique(np.asarray(levels, dtype=np.float64), return_inverse=True)[1].reshape(-1)
    sizes = np.bincount(level)
    share = np.bincount(level, weights=mark) / sizes
    used = (share > 0)[level] & (share < 1)[level]
    if not used.any():
        return NOTHING
    own = np.bincount(level, weights=y) / sizes
    x, y, mark = (mark - share[level])[used], (y - own[level])[used], mark[used]
    names, index = positions([cluster for cluster, use in zip(clusters, used, strict=True) if use])
    bottom, groups = float((x**2).sum()), len(names)
    value = math.fsum(x * y) / bottom
    rarer = min(len(np.unique(index[mark == kind])) for kind in (0.0, 1.0))
    if rarer < 2:
        return Estimate(value, None, None, groups)
    parts = np.bincount(index, weights=x * (y - value * x), minlength=groups)
    half = t_quantile(TAIL, rarer - 1) * math.sqrt(groups / (groups - 1) * math.fsum(parts**2)) / bottom
    return Estimate(value, value - half, value + half, groups)
