"""Intervals for numbers that no cluster owns: diversity of a whole set, divergence of two sets.

A bootstrap draws prompts twice, and a text beside its own copy is no new text: resampled sets look less diverse than
they are. Leaving prompts out repeats nothing. Delete-a-group jackknife over prompts (Efron & Stein 1981: in expectation
its variance is too large rather than too small, for any statistic that treats the rows alike):

    variance = (G-1)/G · Σ_g (θ without group g - mean of these)²,  interval θ ± t(G-1) · √variance

with G = min(20, number of prompts) groups that depend on the prompt ids alone.
"""

import math
from collections.abc import Callable, Sequence

from scipy.special import stdtrit

from selfreward.measuring.stats.clustered import NOTHING, TAIL, Estimate

GROUPS = 20


def groups_of(clusters: Sequence[str]) -> dict[str, int]:
    """The group of each distinct cluster, by its rank among the sorted names."""
    names = sorted(set(clusters))
    return {name: position % min(GROUPS, len(names)) for position, name in enumerate(names)}


def from_left_out(value: float | None, without: Sequence[float | None], clusters: int) -> Estimate:
    """The estimate from its value on everything and on everything but each group. Any missing part: no interval."""
    if value is None:
        return NOTHING
    groups = len(without)
    known = [part for part in without if part is not None]
    if groups < 2 or len(known) < groups:
        return Estimate(value, None, None, clusters)
    mean = math.fsum(known) / groups
    variance = (groups - 1) / groups * math.fsum((part - mean) ** 2 for part in known)
    half = float(stdtrit(groups - 1, TAIL)) * math.sqrt(variance)
    return Estimate(value, value - half, value + half, clusters)


def grouped_jackknife(statistic: Callable[[Sequence[str]], float | None], clusters: Sequence[str]) -> Estimate:
    """`statistic` maps the clusters that stay to a value."""
    group = groups_of(clusters)
    if not group:
        return NOTHING
    count = max(group.values()) + 1
    kept = [[name for name in group if group[name] != left_out] for left_out in range(count)]
    return from_left_out(statistic(list(group)), [statistic(names) for names in kept if names], len(group))
