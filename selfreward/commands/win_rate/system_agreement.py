"""Does a judge rank systems as people do? Correlation of win rates over the systems that both have rated.

Of what a leaderboard is for this is the one number; agreement on single votes can be poor and the ranking good, and the
other way round. Pearson's r with Fisher's interval tanh(artanh r ± 1.96 / √(n - 3)), Spearman's rho and Kendall's tau-b
bootstrapped over systems. `n` counts systems: below ten the intervals say little, and with fewer than four there are
none. The rates' own errors are not in the intervals, and pull every correlation towards 0.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from selfreward.errors import DataError
from selfreward.measuring.stats.clustered import NORMAL, Array, Estimate
from selfreward.measuring.stats.resampling import clustered_kendall, clustered_spearman

FEWEST = 4


@dataclass(frozen=True, slots=True)
class SystemAgreement:
    """`mean_difference` is of the judge's rates from the people's, absolute, on the rates' own scale."""

    pearson: Estimate
    spearman: Estimate
    kendall: Estimate
    mean_difference: float


def system_agreement(judge: Mapping[str, float], people: Mapping[str, float]) -> SystemAgreement:
    """Rates by system of both; systems that one of them lacks are left out. Raises DataError where under two remain."""
    common = sorted(judge.keys() & people.keys())
    if len(common) < 2:
        raise DataError(
            f"{len(common)} systems in common of {len(judge)} and {len(people)}; expected two or more of the same names"
        )
    ours, theirs = (np.asarray([side[name] for name in common]) for side in (judge, people))
    spearman, kendall = clustered_spearman(ours, theirs, common), clustered_kendall(ours, theirs, common)
    if len(common) < FEWEST:
        spearman, kendall = (Estimate(one.value, None, None, one.n) for one in (spearman, kendall))
    return SystemAgreement(_pearson(ours, theirs), spearman, kendall, float(np.abs(ours - theirs).mean()))


def _pearson(first: Array, second: Array) -> Estimate:
    n = len(first)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return Estimate(None, None, None, n)
    r = min(1.0, max(-1.0, float(np.corrcoef(first, second)[0, 1])))
    if n < FEWEST or abs(r) > 1 - 1e-12:
        return Estimate(r, None, None, n)
    centre, half = math.atanh(r), NORMAL / math.sqrt(n - 3)
    return Estimate(r, math.tanh(centre - half), math.tanh(centre + half), n)
