"""Does the judge like length?

    score_length_spearman   rho between mean score and length in characters over distinct answers (no truth needed);
                            above 0 also where longer answers are better
    judge_prefers_longer    share of pairs of one prompt, equal in true quality and different in length, of which the
                            longer one has the higher mean score, equal scores half; .5 is unbiased (oracle)
    judge_length_slope      points per doubling of the length, at equal quality: least squares of the score differences
                            on the differences of log2 length over the same pairs, through 0 (oracle)

Answers without a readable verdict are excluded, for the slope and the share also those whose length is 0. Equal texts
of a prompt count once. Intervals: bootstrap over prompts for rho, clustered for the others (slope: the linearised
ratio, which is exact in the clusters' sums). Longer answers of equal quality are an experiment of the policy's own
making: whatever else differs between them (format, filler) is counted as length.
"""

from collections import defaultdict
from itertools import combinations
from math import fsum, log2, sqrt

import numpy as np

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric
from selfreward.measuring.metrics.answers import Answer, evaluated, row
from selfreward.measuring.metrics.families import JUDGE_AND_LENGTH
from selfreward.measuring.stats.clustered import NOTHING, TAIL, Estimate, clustered_share, robust_variance, t_quantile
from selfreward.measuring.stats.resampling import clustered_spearman
from selfreward.records import Measurement
from selfreward.tasks.verifiers.protocol import Verifier

ABOUT = About(
    "judge_length",
    (
        Metric(
            "judge_prefers_longer", "judge prefers the longer answer", JUDGE_AND_LENGTH, guessed=0.5, truth="oracle"
        ),
        Metric("judge_length_slope", "score per unit of length", JUDGE_AND_LENGTH, guessed=0.0, truth="oracle"),
        Metric("score_length_spearman", "score with length, ρ", JUDGE_AND_LENGTH, guessed=0.0),
    ),
)

Pair = tuple[float, float, str]
"""Score difference and log2 length difference, longer minus shorter, and the prompt."""


def measure(evidence: Evidence) -> list[Measurement]:
    if not evidence.pools.judgments:
        return []
    rows = []
    for pool, answers in evaluated(evidence):
        distinct = {(answer.prompt.id, answer.response.text): answer for answer in reversed(answers)}
        scored = {key: distinct[key] for key in sorted(distinct) if distinct[key].score is not None}
        rho = clustered_spearman(
            [answer.score or 0.0 for answer in scored.values()],
            [len(text) for _, text in scored],
            [prompt for prompt, _ in scored],
        )
        unscored = len(distinct) - len(scored)
        rows.append(row(evidence, "score_length_spearman", rho, pool=pool, excluded=unscored))
        if evidence.verifier is not None:
            pairs = _equal_pairs(scored, evidence.verifier)
            empty = unscored + sum(not text for _, text in scored)
            longer = clustered_share(
                [float(score > 0) + 0.5 * float(score == 0) for score, _, _ in pairs], [p for _, _, p in pairs]
            )
            rows += [
                row(evidence, "judge_prefers_longer", longer, pool=pool, excluded=empty),
                row(evidence, "judge_length_slope", slope(pairs), pool=pool, excluded=empty),
            ]
    return rows


def _equal_pairs(scored: dict[tuple[str, str], Answer], verifier: Verifier) -> list[Pair]:
    alike: dict[tuple[str, float], list[Answer]] = defaultdict(list)
    for (prompt, text), answer in scored.items():
        if text:
            alike[prompt, verifier.check(answer.prompt, text).quality].append(answer)
    pairs = []
    for (prompt, _), members in alike.items():
        by_length = sorted(members, key=lambda answer: len(answer.response.text))
        for short, long in combinations(by_length, 2):
            growth = log2(len(long.response.text) / len(short.response.text))
            if growth and long.score is not None and short.score is not None:
                pairs.append((long.score - short.score, growth, prompt))
    return pairs


def slope(pairs: list[Pair]) -> Estimate:
    """Σ xy / Σ x² with a cluster-robust t-interval (`robust_variance`: few clusters may hold most of Σ x²)."""
    sums: dict[str, tuple[float, float]] = {}
    for score, growth, prompt in pairs:
        product, square = sums.get(prompt, (0.0, 0.0))
        sums[prompt] = (product + score * growth, square + growth**2)
    if not sums:
        return NOTHING
    bottom = fsum(square for _, square in sums.values())
    value = fsum(product for product, _ in sums.values()) / bottom
    groups = len(sums)
    if groups == 1:
        return Estimate(value, None, None, 1)
    residuals = np.asarray([product - value * square for product, square in sums.values()])
    variance, freedom = robust_variance(residuals, np.asarray([square for _, square in sums.values()]))
    half = t_quantile(TAIL, freedom) * sqrt(variance)
    return Estimate(value, value - half, value + half, groups)
