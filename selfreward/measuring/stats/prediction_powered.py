"""A mean from few human labels and many judge scores: narrower than the labels alone, and not fooled by the judge.

Prediction-powered inference (Angelopoulos et al. 2023, 2301.09633) with the power tuning of PPI++ (Angelopoulos, Duchi
and Zrnic 2023, 2311.01453), for rows of which all have a prediction f (the judge) and some a label y (people):

    value = mean_labelled(y) - slope · (mean_labelled(f) - mean_all(f))

slope 0 is the labels alone, slope 1 plain PPI, None the slope in [0, 1] with the least variance. However biased
the judge is, the value is right in expectation; a judge without information gets a slope near 0. A row whose label was
drawn with chance c counts 1/c (normalised over the labelled rows), so a draw that favours rare scores biases nothing.
Written over all N rows with w = (labelled / c) / its mean, the error of the value is the mean of

    w (y - ȳ) - slope · (f - f̄)(w - 1),        ȳ, f̄ weighted by w

and its variance is summed over clusters (prompts), as for any mean; the t quantile and the factor G/(G - p) use the
effective number of labelled prompts G = (Σ w)² / Σ w² over prompts, p = 1, or 2 where the slope is estimated. With one
row per prompt and c equal this is PPI++ with the labelled rows apart from the M others and slope · N/M.

Assumptions: the labelled rows are a random draw of the same rows, with the chances as given (labels missing at random
given these); people are the truth; prompts are independent. Shares may get an interval that leaves [0, 1]. Simulated
coverage is 93 to 96 of 95 % from 40 labels on, the lower end where a draw favours rare scores of a poor judge.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from selfreward.errors import DataError
from selfreward.measuring.stats.clustered import NOTHING, TAIL, Array, Estimate, clustered_mean, positions, t_quantile


@dataclass(frozen=True, slots=True)
class Powered:
    """The mean with both sources, from people alone, and from the judge alone (which nothing corrects).

    `n` of the first two counts labelled prompts, of the last all; `labelled` and `rows` count rows.
    """

    estimate: Estimate
    human_only: Estimate
    judge_only: Estimate
    slope: float
    labelled: int
    rows: int


def prediction_powered_mean(
    predictions: ArrayLike,
    labels: Sequence[float | None],
    clusters: Sequence[str],
    chances: ArrayLike | None = None,
    *,
    slope: float | None = None,
) -> Powered:
    """The mean label over all rows. `labels` has None where there is none; `chances` are those of having one.

    Without `chances` all rows have the same. No label at all gives no estimate, labels on one prompt no interval.
    Raises DataError for a labelled row whose chance is not above 0 and at most 1.
    """
    guess = np.asarray(predictions, dtype=np.float64)
    known = np.asarray([label is not None for label in labels], dtype=np.bool_)
    judged = clustered_mean(guess, clusters)
    if not known.any():
        return Powered(NOTHING, NOTHING, judged, 0.0, 0, len(guess))
    chance = np.ones(len(guess)) if chances is None else np.asarray(chances, dtype=np.float64)
    wrong = known & ~((chance > 0) & (chance <= 1))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise DataError(f"row {first}: it has a label, but its chance of one is {chance[first]}; expected (0, 1]")
    truth = np.asarray([0.0 if label is None else label for label in labels], dtype=np.float64)
    weights = np.divide(1.0, chance, out=np.zeros(len(guess)), where=known)
    weights /= weights.mean()
    centre, level = float((weights * truth).mean()), float((weights * guess).mean())
    drawn = weights * (truth - centre)
    correction = (weights - 1) * (guess - level)
    names, index = positions(clusters)
    error, lever = (
        np.bincount(index, weights=part - part.mean(), minlength=len(names)).astype(np.float64)
        for part in (drawn, correction)
    )
    power = float((lever**2).sum())
    tuned = slope is None and power > 1e-18 * len(guess)
    if slope is None:
        # Clipped as in PPI++: with few labels the best slope can be far out, and any slope gives a valid interval.
        slope = min(1.0, max(0.0, float((error * lever).sum()) / power)) if tuned else 0.0
    mass = np.bincount(index, weights=weights, minlength=len(names)).astype(np.float64)
    groups = int((mass > 0).sum())
    # Kish: a few heavy rows are as many prompts as their weights say.
    effective = float(mass.sum() ** 2 / (mass**2).sum())
    value = centre - slope * float(correction.mean())
    return Powered(
        estimate=_interval(
            value, error - slope * lever, len(guess), groups, effective - (2 if tuned else 1), effective
        ),
        human_only=_interval(centre, error, len(guess), groups, effective - 1, effective),
        judge_only=judged,
        slope=slope,
        labelled=int(known.sum()),
        rows=len(guess),
    )


def _interval(value: float, errors: Array, rows: int, groups: int, freedom: float, effective: float) -> Estimate:
    """The value with its t-interval from the clusters' summed errors; none where no freedom is left."""
    if freedom < 1 - 1e-9:
        return Estimate(value, None, None, groups)
    half = t_quantile(TAIL, freedom) * math.sqrt(math.fsum(errors**2) * effective / freedom) / rows
    return Estimate(value, value - half, value + half, groups)
