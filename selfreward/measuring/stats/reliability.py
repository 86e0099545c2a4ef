"""Agreement of several raters, and of two judges that may err alike.

Krippendorff's alpha (2011): 1 - D_o / D_e over any number of raters with gaps, from the coincidences of all pairs of
ratings of a unit; δ² is 0 or 1 (nominal), the squared number of ratings between two levels (ordinal, half of both
ends), or (a - b)² (interval). Units with fewer than two ratings say nothing. It does not exist where all ratings are
one and the same level.

Fleiss' kappa (1971): N units, each rated n times, n_ij of them in category j, p_j the share of all ratings in j:

    P_i = Σ_j n_ij (n_ij - 1) / (n (n - 1))        P̄ = mean P_i        P̄_e = Σ_j p_j²        κ = (P̄ - P̄_e) / (1 - P̄_e)

Categories are names: near ones count as wrong as far ones. Of two ratings it is Scott's pi. Nominal alpha is the same
for a small sample: 1 - alpha = (1 - κ)(1 - 1 / (N n)). It asks for as many ratings of every unit; alpha takes gaps.

CAPA (Goel et al. 2025, 2502.04313): do two judges agree more than judges of their accuracies would by chance? With
probabilities p over the options of each question, p̄ the mean probability of the right one,

    c_obs = mean Σ_o p₁(o) p₂(o)        c_exp = p̄₁ p̄₂ + (1 - p̄₁)(1 - p̄₂) · mean 1 / (options - 1)
    κ_p = (c_obs - c_exp) / (1 - c_exp)

Chance spreads the mass that is not on the right option evenly over the others. 0: errors are independent; 1: the judges
are one, and sure. Near 1, a second judge of the same family is no second opinion.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from selfreward.errors import DataError
from selfreward.measuring.stats.clustered import Array, Estimate
from selfreward.measuring.stats.jackknife import grouped_jackknife

Level = Literal["nominal", "ordinal", "interval"]
Units = Sequence[Sequence[float | None]]
"""Ratings by unit; None is a rating that nobody gave."""


def krippendorff_alpha(units: Units, level: Level) -> float | None:
    """Alpha of ratings by unit; None where it does not exist."""
    known = [[value for value in unit if value is not None] for unit in units]
    rated = [unit for unit in known if len(unit) > 1]
    values = sorted({value for unit in rated for value in unit})
    place = {value: index for index, value in enumerate(values)}
    pairs = np.zeros((len(values), len(values)))
    for unit in rated:
        counts = np.bincount([place[value] for value in unit], minlength=len(values)).astype(np.float64)
        pairs += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    totals = pairs.sum(axis=1)
    distance = _distances(np.asarray(values, dtype=np.float64), totals, level)
    expected = float((np.outer(totals, totals) * distance).sum())
    if expected <= 0:
        return None
    return 1 - (totals.sum() - 1) * float((pairs * distance).sum()) / expected


def _distances(values: Array, totals: Array, level: Level) -> Array:
    """δ² of every two levels."""
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    if level == "interval":
        return np.subtract.outer(values, values) ** 2
    middle = totals.cumsum() - totals / 2
    return np.subtract.outer(middle, middle) ** 2


def alpha_estimate(units: Units, clusters: Sequence[str], level: Level) -> Estimate:
    """Alpha with a grouped jackknife interval over clusters (prompts), at most 1."""
    return _clustered(partial(krippendorff_alpha, level=level), units, clusters)


def _clustered(statistic: Callable[[Units], float | None], units: Units, clusters: Sequence[str]) -> Estimate:
    members: dict[str, list[int]] = {}
    for index, name in enumerate(clusters):
        members.setdefault(name, []).append(index)
    found = grouped_jackknife(
        lambda kept: statistic([units[index] for name in kept for index in members[name]]), clusters
    )
    high = None if found.high is None else min(1.0, found.high)
    return Estimate(found.value, found.low, high, found.n)


def fleiss_kappa(units: Units) -> float | None:
    """Kappa of ratings by unit; None where all ratings are in one category. A unit rated once or never says nothing.

    Raises DataError where units that were rated several times were not rated equally often.
    """
    rated = {number: [value for value in unit if value is not None] for number, unit in enumerate(units)}
    rated = {number: unit for number, unit in rated.items() if len(unit) > 1}
    for number, unit in rated.items():
        first, expected = next((name, len(one)) for name, one in rated.items())
        if len(unit) != expected:
            raise DataError(
                f"unit {number} has {len(unit)} ratings and unit {first} has {expected}; Fleiss' kappa expects equally "
                "many of each; Krippendorff's alpha takes gaps"
            )
    place = {value: index for index, value in enumerate(sorted({v for unit in rated.values() for v in unit}))}
    if len(place) < 2:
        return None
    counts = np.array([np.bincount([place[value] for value in unit], minlength=len(place)) for unit in rated.values()])
    ratings = counts[0].sum()
    agreed = float((counts * (counts - 1)).sum(axis=1).mean() / (ratings * (ratings - 1)))
    chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return (agreed - chance) / (1 - chance)


def fleiss_estimate(units: Units, clusters: Sequence[str]) -> Estimate:
    """Fleiss' kappa with a grouped jackknife interval over clusters (prompts), at most 1."""
    return _clustered(fleiss_kappa, units, clusters)


def capa(first: Sequence[ArrayLike], second: Sequence[ArrayLike], right: Sequence[int]) -> float | None:
    """κ_p of two judges' probabilities over each question's options; None where chance already agrees wholly.

    Raises DataError for a question with fewer than two options, other numbers of options, or no distribution.
    """
    agreed, ones, others, spread = [], [], [], []
    for number, (one, other, answer) in enumerate(zip(first, second, right, strict=True)):
        p, q = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
        if p.shape != q.shape or len(p) < 2 or not 0 <= answer < len(p):
            raise DataError(
                f"question {number}: {len(p)} and {len(q)} options, right is {answer}; expected two or more"
            )
        for side in (p, q):
            if (side < 0).any() or abs(float(side.sum()) - 1) > 1e-6:
                raise DataError(f"question {number}: probabilities sum to {side.sum():.6g}; expected 1, none below 0")
        agreed.append(float(p @ q))
        ones.append(float(p[answer]))
        others.append(float(q[answer]))
        spread.append(1 / (len(p) - 1))
    a, b = float(np.mean(ones)), float(np.mean(others))
    expected = a * b + (1 - a) * (1 - b) * float(np.mean(spread))
    return None if 1 - expected <= 1e-12 else (float(np.mean(agreed)) - expected) / (1 - expected)


def capa_estimate(
    first: Sequence[ArrayLike], second: Sequence[ArrayLike], right: Sequence[int], clusters: Sequence[str]
) -> Estimate:
    """κ_p with a grouped jackknife interval over clusters (prompts)."""
    members: dict[str, list[int]] = {}
    for index, name in enumerate(clusters):
        members.setdefault(name, []).append(index)

    def without(kept: Sequence[str]) -> float | None:
        rows = [index for name in kept for index in members[name]]
        return capa([first[i] for i in rows], [second[i] for i in rows], [right[i] for i in rows])

    found = grouped_jackknife(without, clusters)
    return Estimate(found.value, found.low, None if found.high is None else min(1.0, found.high), found.n)
