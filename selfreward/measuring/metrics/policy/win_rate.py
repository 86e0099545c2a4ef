"""Does the policy win against earlier rounds? By the loop's own judge, which is why the names say so.

    self_judged_win_rate_{previous,initial}             chance that an answer of this round has a higher mean score than
                                                        one of the other round to the same prompt, ties half
    self_judged_win_rate_lc_minimal_{previous,initial}  the same at equal length: sigmoid(b) of the logistic regression
                                                        logit P(win) = a · tanh(Δ / σ) + b over the same pairs, Δ the
                                                        difference in characters and σ its standard deviation

"Length-controlled (minimal)": AlpacaEval LC (Dubois et al. 2404.04475) without its difficulties of the instructions,
which exist for its own prompts only. A ridge on the slope (a² · 2 / 2) says that tastes for length are moderate:
without it a slope that stands for substance (where there is more to say, the longer answer is the better one) is taken
for taste and corrected away. Its strength was chosen on simulated data (benchmarks/win_rate_ridge.py); the level is
free.

Warning: the training judge is asked about its own training, and each round's answers were scored by that round's judge
(unless the recipe pins one): a judge that became generous looks like a better policy. Scores are pointwise, so there is
no order to swap. Answers without a readable verdict, and those to prompts that the other round has no score for, are
excluded. Intervals: raw clustered by prompt, length-controlled by the grouped jackknife. Without any difference in
length both are equal.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, up
from selfreward.measuring.metrics.answers import Answer, by_pool, evaluated, row
from selfreward.measuring.metrics.families import WIN_RATE
from selfreward.measuring.metrics.policy.output_drift import earlier_rounds
from selfreward.measuring.stats.clustered import TAIL, Array, Estimate, clustered_share, t_quantile
from selfreward.measuring.stats.jackknife import GROUPS, grouped_jackknife
from selfreward.records import Measurement

ABOUT = About(
    "win_rate",
    (
        Metric("self_judged_win_rate_previous", "win rate against previous, own judge", WIN_RATE, still=0.5),
        Metric(
            "self_judged_win_rate_initial",
            "win rate against initial, own judge",
            WIN_RATE,
            still=0.5,
            planted=(up("drift"), up("generous judge")),
        ),
        Metric(
            "self_judged_win_rate_lc_minimal_previous",
            "the same, length-controlled (minimal), previous",
            WIN_RATE,
            still=0.5,
        ),
        Metric(
            "self_judged_win_rate_lc_minimal_initial",
            "the same, length-controlled (minimal), initial",
            WIN_RATE,
            still=0.5,
            planted=(up("drift"),),
        ),
    ),
)

RIDGE = 2.0
ALWAYS = 1e-3
"""On the level alone, so that it is finite where one side always wins: too little to be seen elsewhere."""
STEPS = 50


def measure(evidence: Evidence) -> list[Measurement]:
    if evidence.round == 0 or not evidence.pools.judgments:
        return []
    rows = []
    for name, earlier in earlier_rounds(evidence):
        if not earlier.judgments:
            continue
        before = dict(by_pool(earlier, f"the pools of the {name} round"))
        for pool, answers in evaluated(evidence):
            now, then = _scored(answers), _scored(before.get(pool, []))
            common = sorted(now.keys() & then.keys())
            if not common:
                continue
            excluded = len(answers) - sum(len(now[prompt]) for prompt in common)
            pairs = {prompt: _pairs(now[prompt], then[prompt]) for prompt in common}
            wins = np.concatenate([pairs[prompt][0] for prompt in common])
            clusters = [prompt for prompt in common for _ in pairs[prompt][0]]
            raw, controlled = clustered_share(wins, clusters), length_controlled(pairs)
            metric = "self_judged_win_rate"
            rows += [
                row(evidence, f"{metric}_{name}", raw, pool=pool, excluded=excluded, better="higher"),
                row(evidence, f"{metric}_lc_minimal_{name}", controlled, pool=pool, excluded=excluded, better="higher"),
            ]
    return rows


def _scored(answers: Sequence[Answer]) -> dict[str, list[tuple[float, int]]]:
    """(mean score, characters) of the scored answers by prompt."""
    found: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for answer in answers:
        if answer.score is not None:
            found[answer.prompt.id].append((answer.score, len(answer.response.text)))
    return found


def _pairs(now: list[tuple[float, int]], then: list[tuple[float, int]]) -> tuple[Array, Array]:
    """Wins (1, 1/2 or 0) and differences in characters over all pairs of one prompt."""
    one, other = np.asarray(now, dtype=np.float64), np.asarray(then, dtype=np.float64)
    scores, lengths = (np.subtract.outer(one[:, side], other[:, side]).reshape(-1) for side in (0, 1))
    return (np.sign(scores) + 1) / 2, lengths


def length_controlled(pairs: dict[str, tuple[Array, Array]]) -> Estimate:
    """The win rate at equal length, with its interval kept inside of [0, 1].

    The half width is √(jackknife's² + (t · d)²) with d what the ridge may have pulled the level by: to first order
    shift · a of the true slope a, for which its deviation under the ridge, 1/√2, or the slope as it would be found
    without one is taken, whichever is larger.
    """
    lengths = np.concatenate([difference for _, difference in pairs.values()])
    deviation = float(lengths.std(ddof=1)) if len(lengths) > 1 else 0.0

    def fitted(prompts: Sequence[str]) -> tuple[Array, Array]:
        covariate = np.tanh(np.concatenate([pairs[prompt][1] for prompt in prompts]) / deviation)
        return covariate, fit_slope_and_level(covariate, np.concatenate([pairs[prompt][0] for prompt in prompts]))

    def at_equal_length(prompts: Sequence[str]) -> float:
        if deviation == 0.0:
            return float(np.concatenate([pairs[prompt][0] for prompt in prompts]).mean())
        # Rounded, because the last bits of a matrix product differ between thread counts.
        return round(float(expit(fitted(prompts)[1][1])), 9)

    estimate = grouped_jackknife(at_equal_length, list(pairs))
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None or low is None or high is None:
        return estimate
    pulled = 0.0
    if deviation > 0.0:
        covariate, (slope, level) = fitted(list(pairs))
        slack = _pull(covariate, float(slope), float(level)) * value * (1 - value)
        pulled = round(t_quantile(TAIL, min(GROUPS, len(pairs)) - 1) * slack, 9)
    half = math.hypot((high - low) / 2, pulled)
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), estimate.n)


def _pull(covariate: Array, slope: float, level: float) -> float:
    """How far the ridge may have moved the level: ridge · (curvature⁻¹) of level and slope, for each unit of slope."""
    chances = expit(slope * covariate + level)
    spread = chances * (1 - chances)
    corner, middle, total = (float((spread * covariate**power).sum()) for power in (0, 1, 2))
    own = total - middle**2 / (corner + ALWAYS)
    free = abs(slope) * (own + RIDGE) / max(own, 1e-9)
    return RIDGE * abs(middle) / ((own + RIDGE) * (corner + ALWAYS)) * max(RIDGE**-0.5, free)


def fit_slope_and_level(covariate: Array, wins: Array, ridge: float = RIDGE) -> Array:
    """(a, b) of the logistic regression on soft targets by Newton's method, with a ridge on the slope a."""
    design = np.stack([covariate, np.ones_like(covariate)], axis=1)
    penalty, weights = np.asarray([ridge, ALWAYS]), np.zeros(2)
    for _ in range(STEPS):
        chances = expit(design @ weights)
        gradient = design.T @ (wins - chances) - penalty * weights
        curvature = design.T @ (design * (chances * (1 - chances))[:, None]) + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-10:
            break
    return weights
