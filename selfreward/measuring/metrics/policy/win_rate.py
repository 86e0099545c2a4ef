"""Does the policy win against earlier rounds? By the loop's own judge, which is why the names say so.

    self_judged_win_rate_{previous,initial}             chance that an answer of this round has a higher mean score than
                                                        one of the other round to the same prompt, ties half
    self_judged_win_rate_lc_minimal_{previous,initial}  the same at equal length: sigmoid(b) of the logistic regression
                                                        logit P(win) = a · tanh(Δ / σ) + b over the same pairs, Δ the
                                                        difference in characters and σ its standard deviation

"Length-controlled (minimal)": AlpacaEval LC (Dubois et al. 2404.04475) without its difficulties of the instructions,
which exist for its own prompts only. A ridge of .1 keeps the fit finite where one side always wins.

Warning: the training judge is asked about its own training, and each round's answers were scored by that round's judge
(unless the recipe pins one): a judge that became generous looks like a better policy. Scores are pointwise, so there is
no order to swap. Answers without a readable verdict, and those to prompts that the other round has no score for, are
excluded. Intervals: raw clustered by prompt, length-controlled by the grouped jackknife. Without any difference in
length both are equal.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.answers import Answer, by_pool, evaluated, row
from selfreward.measuring.metrics.policy.output_drift import earlier_rounds
from selfreward.measuring.stats.clustered import Array, Estimate, clustered_share
from selfreward.measuring.stats.jackknife import grouped_jackknife
from selfreward.records import Measurement

RIDGE = 0.1
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
    """The win rate at equal length, with its interval kept inside of [0, 1]."""
    lengths = np.concatenate([difference for _, difference in pairs.values()])
    deviation = float(lengths.std(ddof=1)) if len(lengths) > 1 else 0.0

    def at_equal_length(prompts: Sequence[str]) -> float:
        wins = np.concatenate([pairs[prompt][0] for prompt in prompts])
        if deviation == 0.0:
            return float(wins.mean())
        covariate = np.tanh(np.concatenate([pairs[prompt][1] for prompt in prompts]) / deviation)
        # Rounded, because the last bits of a matrix product differ between thread counts.
        return round(float(expit(_fit(covariate, wins)[1])), 9)

    estimate = grouped_jackknife(at_equal_length, list(pairs))
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        return estimate
    return Estimate(estimate.value, max(0.0, low), min(1.0, high), estimate.n)


def _fit(covariate: Array, wins: Array) -> Array:
    """(a, b) of the ridge-penalised logistic regression on soft targets, by Newton's method."""
    design = np.stack([covariate, np.ones_like(covariate)], axis=1)
    weights = np.zeros(2)
    for _ in range(STEPS):
        chances = expit(design @ weights)
        gradient = design.T @ (wins - chances) - RIDGE * weights
        curvature = design.T @ (design * (chances * (1 - chances))[:, None]) + RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-10:
            break
    return weights
