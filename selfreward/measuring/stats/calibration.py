"""Does a judge that says 70 % win 70 % of the time? Calibration of probabilities against what was true (0, 1/2 or 1).

    Brier            mean (p - y)², and its parts over the bins (Murphy 1973; Stephenson et al. 2008 for the last two)
                     reliability - resolution + uncertainty + within, which add up to it exactly: reliability is how far
                     the bins' means are off, resolution what the bins tell apart, uncertainty ȳ's own (by 1/2 labels
                     too), within what is lost by having bins at all
    ECE              Σ share of the bin · |mean p - mean y|, on ten bins of equal width (Naeini et al. 2015), and on ten
                     of equally many rows (adaptive; Nixon et al. 2019), where equal p are never parted
    curve            the adaptive bins with Wilson-like intervals, for a reliability plot

ECE is never below 0 and grows with the noise of small bins: a perfectly calibrated judge has about √(p(1-p) · bins / n)
of it. `expected_by_noise` says how much that is here, simulated with y drawn from p itself; beyond `noise_95` (its 95 %
quantile) it is miscalibration. Brier's interval is clustered by prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from selfreward.errors import DataError
from selfreward.measuring.stats.clustered import Array, Estimate, clustered_mean, clustered_share
from selfreward.records import seed_for

BINS = 10
DRAWS = 400


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows of one bin: mean probability, and the share that was true with its interval."""

    predicted: float
    observed: Estimate
    rows: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """`brier` = reliability - resolution + uncertainty + within."""

    brier: Estimate
    reliability: float
    resolution: float
    uncertainty: float
    within: float
    ece: float
    adaptive_ece: float
    expected_by_noise: float
    noise_95: float
    curve: tuple[Bin, ...]


def calibration(probabilities: ArrayLike, outcomes: ArrayLike, clusters: Sequence[str]) -> Calibration:
    """All of it. Raises DataError for no rows, or values outside [0, 1]."""
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    for name, side in (("probability", p), ("outcome", y)):
        wrong = np.flatnonzero(~((side >= 0) & (side <= 1)))
        if not len(side) or len(wrong):
            said = f"row {wrong[0]}: its {name} is {side[wrong[0]]}" if len(wrong) else "no rows"
            raise DataError(f"{said}; expected numbers from 0 to 1")
    equal, adaptive = np.minimum((p * BINS).astype(np.intp), BINS - 1), adaptive_bins(p)
    brier = clustered_mean((p - y) ** 2, clusters)
    parts = _parts(p, y, adaptive)
    generator = np.random.default_rng(seed_for("calibration", len(p)))
    noise = [_ece(p, (generator.random(len(p)) < p).astype(np.float64), adaptive) for _ in range(DRAWS)]
    curve = []
    for index in range(int(adaptive.max()) + 1):
        inside = adaptive == index
        names = [name for name, held in zip(clusters, inside, strict=True) if held]
        curve.append(Bin(float(p[inside].mean()), clustered_share(y[inside], names), int(inside.sum())))
    return Calibration(
        brier,
        *parts,
        ece=_ece(p, y, equal),
        adaptive_ece=_ece(p, y, adaptive),
        expected_by_noise=float(np.mean(noise)),
        noise_95=float(np.quantile(noise, 0.95)),
        curve=tuple(curve),
    )


def adaptive_bins(p: Array) -> NDArray[np.intp]:
    """At most ten bins of about equally many rows; rows of equal probability share one."""
    _, index, counts = np.unique(p, return_inverse=True, return_counts=True)
    middle = (counts.cumsum() - counts / 2) / len(p)
    named = np.unique(np.minimum((middle * BINS).astype(np.intp), BINS - 1), return_inverse=True)[1]
    return named.reshape(-1)[index.reshape(-1)].astype(np.intp)


def _means(values: Array, bins: NDArray[np.intp]) -> tuple[Array, Array]:
    counts = np.bincount(bins).astype(np.float64)
    return np.bincount(bins, weights=values) / np.maximum(counts, 1), counts / len(values)


def _ece(p: Array, y: Array, bins: NDArray[np.intp]) -> float:
    gaps, shares = _means(p - y, bins)
    return float((np.abs(gaps) * shares).sum())


def _parts(p: Array, y: Array, bins: NDArray[np.intp]) -> tuple[float, float, float, float]:
    (means, shares), (observed, _) = _means(p, bins), _means(y, bins)
    reliability = float((shares * (means - observed) ** 2).sum())
    resolution = float((shares * (observed - y.mean()) ** 2).sum())
    uncertainty = float(((y - y.mean()) ** 2).mean())
    within_p, within_y = p - means[bins], y - observed[bins]
    within = float((within_p**2).mean()) - 2 * float((within_p * within_y).mean())
    return reliability, resolution, uncertainty, within
