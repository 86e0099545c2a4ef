"""Two raters of the same rows: kappa with its interval, and what has to stand beside it.

    raw                share of equal whole points; prevalence: share of the second rater's commonest point
    kappa              Cohen's; linear, quadratic: weighted by |i - j| and (i - j)²
    alpha              Krippendorff's, ordinal, of the whole points
    fleiss             Fleiss' kappa of the whole points; over every two annotators of a row it is that of all of them,
                       if all rows had as many
    spearman, tau_b    rank correlations of the values, not rounded
    youden             TPR - FPR; good is a label, and positive a value, above the middle of the scale

Intervals are clustered by prompt, as in metrics/judge/agreement.py; those of alpha and Fleiss' kappa are a jackknife's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from selfreward.measuring.metrics.judge.agreement import POINTS, kappa, kappa_estimate, prevalence, youden
from selfreward.measuring.stats.clustered import NOTHING, Estimate, clustered_share
from selfreward.measuring.stats.reliability import alpha_estimate, fleiss_estimate
from selfreward.measuring.stats.resampling import clustered_bootstrap, clustered_kendall, clustered_spearman

GATE = 0.72
"""Where agreement with people is taken as good enough to go on without asking them each time."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """`rows` rated by both; the estimates count prompts."""

    rows: int
    raw: Estimate
    kappa: Estimate
    linear: Estimate
    quadratic: Estimate
    alpha: Estimate
    fleiss: Estimate
    prevalence: Estimate
    spearman: Estimate
    tau_b: Estimate
    youden: Estimate


def agreement(first: Sequence[float], second: Sequence[float], clusters: Sequence[str], levels: int) -> Agreement:
    """The first rater (the judge) against the second (people) on a scale of `levels` points from 0."""
    if not len(first):
        return Agreement(0, *[NOTHING] * 10)
    pairs = np.floor(np.asarray([first, second], dtype=np.float64) + 0.5).clip(0, levels - 1).astype(np.intp)
    cells = pairs[0] * POINTS + pairs[1]
    middle = (levels - 1) / 2
    good, positive = (np.asarray(side) > middle for side in (second, first))
    two_sided = 0 < good.sum() < len(good)
    halves = 2 * positive.astype(np.intp) + good
    return Agreement(
        rows=len(first),
        raw=clustered_share((pairs[0] == pairs[1]).astype(np.float64), clusters),
        kappa=kappa_estimate(pairs[0], pairs[1], clusters),
        linear=clustered_bootstrap(partial(kappa, power=1), cells, clusters),
        quadratic=clustered_bootstrap(partial(kappa, power=2), cells, clusters),
        alpha=alpha_estimate(pairs.T.tolist(), clusters, "ordinal"),
        fleiss=fleiss_estimate(pairs.T.tolist(), clusters),
        prevalence=clustered_bootstrap(prevalence, cells, clusters),
        spearman=clustered_spearman(first, second, clusters),
        tau_b=clustered_kendall(first, second, clusters),
        youden=clustered_bootstrap(youden, halves, clusters) if two_sided else NOTHING,
    )


@dataclass(frozen=True, slots=True)
class GateWord:
    """`passed` where the lower bound of kappa is at least the limit, `not passed` where even the upper one is below it.

    In between the rows cannot tell: `not resolvable`, and `needed` is about how many prompts could, if kappa stays.
    """

    word: Literal["passed", "not passed", "not resolvable"]
    limit: float
    kappa: Estimate
    waiting: int
    needed: int | None

    @property
    def sentence(self) -> str:
        found = self.kappa
        if found.value is None:
            seen = f"kappa does not exist on {found.n} prompts"
        elif found.low is None:
            seen = f"kappa {found.value:.3f} has no interval on {found.n} prompt(s)"
        else:
            seen = f"kappa {found.value:.3f} [{found.low:.3f}, {found.high:.3f}] on {found.n} prompts"
        more = f"; about {self.needed} prompts would tell" if self.needed else ""
        more += f"; {self.waiting} disputed rows wait for adjudication and are not in it" if self.waiting else ""
        return f"gate, lower bound of kappa at least {self.limit:g}: {self.word}: {seen}{more}"


def gate_word(found: Estimate, waiting: int, limit: float = GATE) -> GateWord:
    """The gate's word. Disputed rows that wait for adjudication keep it from passing: they are the hard ones."""
    if found.value is None or found.low is None or found.high is None:
        return GateWord("not resolvable", limit, found, waiting, None)
    if found.high < limit:
        return GateWord("not passed", limit, found, waiting, None)
    if found.low >= limit:
        return GateWord("not resolvable" if waiting else "passed", limit, found, waiting, None)
    ahead = found.value - limit
    far, gap = (found.value - found.low, ahead) if ahead > 0 else (found.high - found.value, -ahead)
    needed = math.ceil(found.n * (far / gap) ** 2) if gap > 1e-9 else None
    return GateWord("not resolvable", limit, found, waiting, needed)
