"""Has what the policy writes shifted? Two tests beside the classifier's (two_sample.py), with the same permutations.

    length_psi_{previous,initial}    population stability index of the answers' characters: Σ (p - q) ln(p / q) over ten
                                     bins with the earlier round's deciles as edges, half a row added to every bin; by
                                     custom below .1 is stable and above .25 a shift
    length_psi_p_{previous,initial}  permutation p-value of it
    text_mmd_{previous,initial}      maximum mean discrepancy, squared and unbiased (Gretton et al. 2012), of word and
                                     word-pair counts under a Gaussian kernel whose width is the median distance; about
                                     0 where nothing changed, and then as often below as above
    text_mmd_p_{previous,initial}    permutation p-value of it

MMD leaves out pairs of answers to one prompt: what two rounds share on a prompt is no likeness of the rounds. PSI has
no such correction and is above 0 by about (bins - 1)(1/n + 1/m) where nothing changed, so read its p-value.
Permutations exchange now and then within a prompt; the smallest p is .005. Intervals: grouped jackknife over prompts.
Excluded: answers to prompts that one of the rounds has none for. Fewer than ten prompts give no rows.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.answers import by_pool, evaluated, row
from selfreward.measuring.metrics.policy.output_drift import earlier_rounds
from selfreward.measuring.metrics.policy.two_sample import FEWEST_PROMPTS, PERMUTATIONS, exchanged, word_features
from selfreward.measuring.stats.clustered import Array, Estimate
from selfreward.measuring.stats.jackknife import grouped_jackknife
from selfreward.records import Measurement

BINS = 10


def measure(evidence: Evidence) -> list[Measurement]:
    if evidence.round == 0:
        return []
    rows = []
    for name, earlier in earlier_rounds(evidence):
        before = dict(by_pool(earlier, f"the pools of the {name} round"))
        for pool, answers in evaluated(evidence):
            common = {a.prompt.id for a in answers} & {a.prompt.id for a in before.get(pool, [])}
            if len(common) < FEWEST_PROMPTS:
                continue
            sides = [[a for a in side if a.prompt.id in common] for side in (answers, before[pool])]
            prompts = [answer.prompt.id for side in sides for answer in side]
            texts = [answer.response.text for side in sides for answer in side]
            lengths = np.asarray([len(text) for text in texts], dtype=np.float64)
            excluded = len(answers) - len(sides[0])
            for metric, (found, p_value) in (
                ("length_psi", stability(lengths, prompts, len(sides[0]))),
                ("text_mmd", discrepancy(word_features(texts), prompts, len(sides[0]))),
            ):
                chance = Estimate(p_value, None, None, found.n)
                rows.append(row(evidence, f"{metric}_{name}", found, pool=pool, excluded=excluded))
                rows.append(row(evidence, f"{metric}_p_{name}", chance, pool=pool, excluded=excluded))
    return rows


def psi(now: Array, then: Array) -> float:
    """Population stability index of `now` in the bins that hold a tenth of `then` each (fewer where values repeat)."""
    edges = np.unique(np.quantile(then, np.arange(1, BINS) / BINS))
    shares = []
    for side in (now, then):
        counts = np.bincount(np.searchsorted(edges, side, side="left"), minlength=len(edges) + 1) + 0.5
        shares.append(counts / counts.sum())
    return float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())


def stability(values: Array, prompts: Sequence[str], now: int) -> tuple[Estimate, float]:
    """PSI and its permutation p-value; the first `now` rows are this round's."""
    labels = np.where(np.arange(len(values)) < now, 1.0, -1.0)

    def statistic(rows: NDArray[np.intp], signs: Array) -> float:
        return psi(values[rows][signs > 0], values[rows][signs < 0])

    return _tested(statistic, labels, prompts, exchanged(labels, prompts))


def discrepancy(features: Array, prompts: Sequence[str], now: int) -> tuple[Estimate, float]:
    """Unbiased squared MMD and its permutation p-value; the first `now` rows are this round's."""
    labels = np.where(np.arange(len(prompts)) < now, 1.0, -1.0)
    kernel, apart = gaussian_kernel(features), np.not_equal.outer(np.asarray(prompts), np.asarray(prompts))
    kernel = np.where(apart, kernel, 0.0)

    def statistic(rows: NDArray[np.intp], signs: Array) -> float:
        up = np.flatnonzero(signs > 0), np.flatnonzero(signs < 0)
        inner, pairs = kernel[np.ix_(rows, rows)], apart[np.ix_(rows, rows)]
        one, other, cross = (
            float(inner[np.ix_(a, b)].sum()) / max(1, int(pairs[np.ix_(a, b)].sum()))
            for a, b in ((up[0], up[0]), (up[1], up[1]), (up[0], up[1]))
        )
        return one + other - 2 * cross

    return _tested(statistic, labels, prompts, exchanged(labels, prompts))


def gaussian_kernel(features: Array) -> Array:
    """exp(-d² / (2 m²)), m the median distance of two different rows; 1 everywhere where there is none."""
    squares = (features**2).sum(axis=1)
    distances = np.maximum(0.0, squares[:, None] + squares[None, :] - 2 * features @ features.T)
    apart = distances[np.triu_indices(len(features), 1)]
    median = float(np.median(apart[apart > 1e-12])) if (apart > 1e-12).any() else 1.0
    # Rounded: the last bits of a matrix product differ between thread counts.
    kernel: Array = np.round(np.exp(-distances / (2 * median)), 12)
    return kernel


def _tested(
    statistic: Callable[[NDArray[np.intp], Array], float], labels: Array, prompts: Sequence[str], permuted: Array
) -> tuple[Estimate, float]:
    rows = np.arange(len(labels))
    value = round(statistic(rows, labels), 9)
    larger = sum(round(statistic(rows, permuted[:, column]), 9) >= value for column in range(PERMUTATIONS))
    names = np.asarray(prompts)

    def kept(stay: Sequence[str]) -> float:
        inside = np.flatnonzero(np.isin(names, stay))
        return statistic(inside, labels[inside])

    found = grouped_jackknife(kept, prompts)
    return Estimate(value, found.low, found.high, found.n), (1 + larger) / (1 + PERMUTATIONS)
