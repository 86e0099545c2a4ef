"""Does the judge agree with the known labels of the frozen pool, beyond chance? (oracle, unless people gave them)

Raters are the judge (mean of its readable verdicts, rounded to a whole point, half up) and the label (rounded alike),
on the rubric's points 0 to 5, all of which count whether they occur or not.

    judge_raw_agreement        share of answers with equal points
    judge_kappa                Cohen 1960: (p_o - p_e) / (1 - p_e), p_e from both raters' own marginals
    judge_kappa_linear         weights |i - j|; judge_kappa_quadratic: weights (i - j)²
    judge_ac1                  Gwet 2008: the same with p_e = Σ π(1 - π) / (points - 1), π the mean of both marginals;
                               it does not fall to 0 where one point dominates, as kappa does
    judge_prevalence           share of the commonest label: read kappa beside it
    judge_youden               TPR - FPR; good is a label, and positive a mean score, above the middle of the scale
    judge_auc                  chance that a good answer gets a higher mean score than a bad one, ties half

`excluded` counts answers without a readable verdict. Intervals: raw agreement, kappa and AC1 from Wilson's, the others
bootstrapped over prompts. Kappa does not exist where both raters always give one and the same point, Youden and AUC
where all labels are good or all bad.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, down
from selfreward.measuring.metrics.answers import row
from selfreward.measuring.metrics.families import JUDGE_AGREEMENT
from selfreward.measuring.metrics.judge.judge import frozen_cases
from selfreward.measuring.stats.clustered import NOTHING, Array, Estimate, clustered_share
from selfreward.measuring.stats.resampling import clustered_bootstrap
from selfreward.records import Measurement

ABOUT = About(
    "judge_agreement",
    pools=("frozen",),
    metrics=(
        Metric(
            "judge_kappa",
            "judge κ",
            JUDGE_AGREEMENT,
            guessed=0.0,
            planted=(down("saturated judge", "frozen"), down("stale judge", "frozen")),
            truth="labels",
        ),
        Metric("judge_kappa_linear", "judge κ, linear weights", JUDGE_AGREEMENT, guessed=0.0, truth="labels"),
        Metric(
            "judge_kappa_quadratic",
            "judge κ, quadratic weights",
            JUDGE_AGREEMENT,
            guessed=0.0,
            planted=(down("stale judge", "frozen"),),
            truth="labels",
        ),
        Metric("judge_ac1", "judge AC1 (Gwet)", JUDGE_AGREEMENT, truth="labels"),
        Metric("judge_raw_agreement", "judge, raw agreement", JUDGE_AGREEMENT, truth="labels"),
        Metric("judge_prevalence", "labels: share of good answers", JUDGE_AGREEMENT, truth="labels"),
        Metric(
            "judge_youden",
            "judge TPR − FPR",
            JUDGE_AGREEMENT,
            guessed=0.0,
            planted=(down("stale judge", "frozen"),),
            truth="labels",
        ),
        Metric(
            "judge_auc",
            "judge AUC",
            JUDGE_AGREEMENT,
            guessed=0.5,
            planted=(down("saturated judge", "frozen"),),
            truth="labels",
        ),
    ),
)

POINTS = 6
MIDDLE = 2.5
BETTER: dict[str, Literal["higher", "lower", ""]] = {"judge_prevalence": ""}


def measure(evidence: Evidence) -> list[Measurement]:
    if not (evidence.frozen and evidence.frozen_judgments):
        return []
    cases = frozen_cases(evidence)
    scored = [(case.score, case.quality, case.prompt_id) for case in cases if case.score is not None]
    prompts = [prompt for _, _, prompt in scored]
    points = np.asarray([[_point(score), _point(label)] for score, label, _ in scored], dtype=np.intp).reshape(-1, 2)
    estimates = {
        name: construct(points[:, 0], points[:, 1], prompts) if scored else NOTHING
        for name, construct in ESTIMATES.items()
    }
    good = np.asarray([label > MIDDLE for _, label, _ in scored], dtype=np.intp)
    positive = np.asarray([score > MIDDLE for score, _, _ in scored], dtype=np.intp)
    two_sided = 0 < good.sum() < len(good)
    estimates["judge_youden"] = clustered_bootstrap(youden, 2 * positive + good, prompts) if two_sided else NOTHING
    estimates["judge_auc"] = auc_estimate([score for score, _, _ in scored], good.tolist(), prompts)
    excluded = len(cases) - len(scored)
    return [
        row(
            evidence,
            name,
            estimate,
            pool="frozen",
            excluded=excluded,
            better=BETTER.get(name, "higher"),
        )
        for name, estimate in estimates.items()
    ]


def _point(value: float) -> int:
    return min(POINTS - 1, max(0, math.floor(value + 0.5)))


def _square(tables: Array) -> Array:
    """(resamples, cells) → shares (resamples, judge's point, label's point); cells that never occur come last."""
    padded = np.zeros((len(tables), POINTS * POINTS))
    padded[:, : tables.shape[1]] = tables
    return (padded / padded.sum(axis=1, keepdims=True)).reshape(-1, POINTS, POINTS)


def _ratio(top: Array, bottom: Array) -> Array:
    # A denominator of 0 that comes out of rounding is 0 too.
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 1e-12)


def raw_agreement(tables: Array) -> Array:
    return np.trace(_square(tables), axis1=1, axis2=2)


def kappa(tables: Array, power: int = 0) -> Array:
    """1 - observed / expected disagreement, weighted by the distance to this power (0: any difference counts 1)."""
    shares = _square(tables)
    distance = np.abs(np.subtract.outer(np.arange(POINTS), np.arange(POINTS))).astype(np.float64)
    weights = np.where(distance > 0, distance**power, 0.0)
    expected = shares.sum(axis=2)[:, :, None] * shares.sum(axis=1)[:, None, :]
    chance = (weights * expected).sum(axis=(1, 2))
    return _ratio(chance - (weights * shares).sum(axis=(1, 2)), chance)


def kappa_estimate(first: NDArray[np.intp], second: NDArray[np.intp], clusters: Sequence[str]) -> Estimate:
    """Cohen's kappa of two raters' whole points, with the interval of the raw agreement carried over.

    Ends: (p - p_e) / (1 - p_e) of the ends p of the agreement's Wilson interval (`clustered_share`), p_e as observed.
    Near perfect agreement a bootstrap holds the truth in 80 % of the cases, and few rows that all agree would have the
    interval [1, 1] and pass any gate.
    """
    ones, others = (np.bincount(side, minlength=POINTS) / len(side) for side in (first, second))
    return _carried_over(float(ones @ others), first, second, clusters)


def ac1_estimate(first: NDArray[np.intp], second: NDArray[np.intp], clusters: Sequence[str]) -> Estimate:
    """Gwet's AC1, its interval likewise."""
    both = np.bincount(np.concatenate([first, second]), minlength=POINTS) / (2 * len(first))
    return _carried_over(float((both * (1 - both)).sum()) / (POINTS - 1), first, second, clusters)


def _carried_over(
    chance: float, first: NDArray[np.intp], second: NDArray[np.intp], clusters: Sequence[str]
) -> Estimate:
    same = clustered_share((first == second).astype(np.float64), clusters)
    if same.value is None or 1 - chance <= 1e-12:
        return Estimate(None, None, None, same.n)
    value, low, high = (
        None if end is None else (end - chance) / (1 - chance) for end in (same.value, same.low, same.high)
    )
    return Estimate(value, low, high, same.n)


def prevalence(tables: Array) -> Array:
    commonest: Array = _square(tables).sum(axis=1).max(axis=1)
    return commonest


def _two_by(tables: Array, levels: int) -> tuple[Array, Array]:
    """Counts of bad and good answers by level, each (resamples, levels)."""
    padded = np.zeros((len(tables), 2 * levels))
    padded[:, : tables.shape[1]] = tables
    return padded[:, 0::2], padded[:, 1::2]


def youden(tables: Array) -> Array:
    bad, good = _two_by(tables, 2)
    return _ratio(good[:, 1], good.sum(axis=1)) - _ratio(bad[:, 1], bad.sum(axis=1))


def auc(tables: Array, levels: int) -> Array:
    bad, good = _two_by(tables, levels)
    below = bad.cumsum(axis=1) - bad / 2
    return _ratio((good * below).sum(axis=1), good.sum(axis=1) * bad.sum(axis=1))


def auc_estimate(scores: Sequence[float], good: Sequence[int], clusters: Sequence[str]) -> Estimate:
    """`good` is 1 or 0 of each row; no value where all rows are one of them."""
    if not 0 < sum(good) < len(good):
        return NOTHING
    levels, ranks = np.unique(scores, return_inverse=True)
    cells = 2 * ranks.reshape(-1) + np.asarray(good, dtype=np.intp)
    return clustered_bootstrap(partial(auc, levels=len(levels)), cells, clusters)


Construct = Callable[[NDArray[np.intp], NDArray[np.intp], Sequence[str]], Estimate]


def raw_agreement_estimate(first: NDArray[np.intp], second: NDArray[np.intp], clusters: Sequence[str]) -> Estimate:
    return clustered_share((first == second).astype(np.float64), clusters)


def _bootstrapped(statistic: Callable[[Array], Array]) -> Construct:
    return lambda first, second, clusters: clustered_bootstrap(statistic, first * POINTS + second, clusters)


ESTIMATES: dict[str, Construct] = {
    "judge_raw_agreement": raw_agreement_estimate,
    "judge_kappa": kappa_estimate,
    "judge_kappa_linear": _bootstrapped(partial(kappa, power=1)),
    "judge_kappa_quadratic": _bootstrapped(partial(kappa, power=2)),
    "judge_ac1": ac1_estimate,
    "judge_prevalence": _bootstrapped(prevalence),
}
