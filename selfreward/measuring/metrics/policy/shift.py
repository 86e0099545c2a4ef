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
from selfreward.measuring.metrics.about import About, Metric
from selfreward.measuring.metrics.answers import Answer, by_pool, evaluated, row
from selfreward.measuring.metrics.families import OUTPUT_DRIFT
from selfreward.measuring.metrics.policy.output_drift import earlier_rounds
from selfreward.measuring.metrics.policy.two_sample import FEWEST_PROMPTS, PERMUTATIONS, exchanged, word_features
from selfreward.measuring.stats.clustered import Array, Estimate
from selfreward.measuring.stats.jackknife import grouped_jackknife
from selfreward.records import Measurement

ABOUT = About(
    "shift",
    (
        Metric("length_psi_previous", "length PSI to previous", OUTPUT_DRIFT),
        Metric("length_psi_initial", "length PSI to initial", OUTPUT_DRIFT),
        Metric("length_psi_p_previous", "length PSI p-value to previous", OUTPUT_DRIFT, p_value=True),
        Metric("length_psi_p_initial", "length PSI p-value to initial", OUTPUT_DRIFT, p_value=True),
        # So near 0 that no axis label holds it.
        Metric("text_mmd_previous", "text MMD² to previous", OUTPUT_DRIFT, plotted=False),
        Metric("text_mmd_initial", "text MMD² to initial", OUTPUT_DRIFT, plotted=False),
        Metric("text_mmd_p_previous", "text MMD p-value to previous", OUTPUT_DRIFT, p_value=True),
        Metric("text_mmd_p_initial", "text MMD p-value to initial", OUTPUT_DRIFT, p_value=True),
    ),
    after="c2st_length_auc_initial",
)

BINS = 10
MOST_TEXTS = 600
"""Answers of a round that MMD looks at, the first to each prompt: its kernel grows with their square."""


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
            lengths = np.asarray([len(a.response.text) for side in sides for a in side], dtype=np.float64)
            excluded = len(answers) - len(sides[0])
            few = [_first(side, max(1, MOST_TEXTS // len(common))) for side in sides]
            names = [answer.prompt.id for side in few for answer in side]
            words = word_features([answer.response.text for side in few for answer in side])
            for metric, (found, p_value) in (
                ("length_psi", stability(lengths, prompts, len(sides[0]))),
                ("text_mmd", discrepancy(words, names, len(few[0]))),
            ):
                chance = Estimate(p_value, None, None, found.n)
                rows.append(row(evidence, f"{metric}_{name}", found, pool=pool, excluded=excluded))
                rows.append(row(evidence, f"{metric}_p_{name}", chance, pool=pool, excluded=excluded))
    return rows


def _first(answers: Sequence[Answer], count: int) -> list[Answer]:
    """The first `count` answers to each prompt, by sample."""
    return [answer for answer in answers if answer.response.sample < count]


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

    def statistic(signs: Array) -> Array:
        return np.asarray([psi(values[column > 0], values[column < 0]) for column in signs.T])

    return _tested(statistic, labels, prompts)


def discrepancy(features: Array, prompts: Sequence[str], now: int) -> tuple[Estimate, float]:
    """Unbiased squared MMD and its permutation p-value; the first `now` rows are this round's."""
    labels = np.where(np.arange(len(prompts)) < now, 1.0, -1.0)
    names = np.unique(np.asarray(prompts), return_inverse=True)[1].reshape(-1)
    kernel = gaussian_kernel(features) * np.not_equal.outer(names, names)

    def statistic(signs: Array) -> Array:
        """Of every column: mean kernel within the two sides less twice that between them."""
        up, down = (signs > 0).astype(np.float64), (signs < 0).astype(np.float64)
        to_up, to_down = kernel @ up, kernel @ down
        means = []
        for one, other, near in ((up, up, to_up), (down, down, to_down), (up, down, to_down)):
            pairs = one.sum(axis=0) * other.sum(axis=0) - (one * _in_prompts(other, names)).sum(axis=0)
            means.append((one * near).sum(axis=0) / np.maximum(1.0, pairs))
        found: Array = means[0] + means[1] - 2 * means[2]
        return found

    return _tested(statistic, labels, prompts)


def _in_prompts(columns: Array, names: NDArray[np.intp]) -> Array:
    """Of every row and column: the sum over the rows of its prompt."""
    sums = np.zeros((int(names.max()) + 1, columns.shape[1]))
    np.add.at(sums, names, columns)
    found: Array = sums[names]
    return found


def gaussian_kernel(features: Array) -> Array:
    """exp(-d² / (2 m²)), m the median distance of two different rows; 1 everywhere where there is none."""
    squares = (features**2).sum(axis=1)
    distances = np.maximum(0.0, squares[:, None] + squares[None, :] - 2 * features @ features.T)
    apart = distances[np.triu_indices(len(features), 1)]
    median = float(np.median(apart[apart > 1e-12])) if (apart > 1e-12).any() else 1.0
    # Rounded: the last bits of a matrix product differ between thread counts.
    kernel: Array = np.round(np.exp(-distances / (2 * median)), 12)
    return kernel


def _tested(statistic: Callable[[Array], Array], labels: Array, prompts: Sequence[str]) -> tuple[Estimate, float]:
    """The statistic of the labels, its interval and its p-value. It reads columns of signs; 0 leaves a row out."""
    value = np.round(statistic(labels[:, None]), 9)[0]
    larger = int((np.round(statistic(exchanged(labels, prompts)), 9) >= value).sum())
    names = np.asarray(prompts)

    def kept(stay: Sequence[str]) -> float:
        return float(statistic(np.where(np.isin(names, stay), labels, 0.0)[:, None])[0])

    found = grouped_jackknife(kept, prompts)
    return Estimate(value, found.low, found.high, found.n), (1 + larger) / (1 + PERMUTATIONS)
