"""Can a classifier tell this round's answers from an earlier round's? (C2ST, Lopez-Paz & Oquab 1610.06545)

    c2st_auc_{previous,initial}          share of (now, then) pairs of answers to one prompt that a classifier, trained
                                         on other prompts, puts in the right order; ties half, .5 is no difference
    c2st_p_{previous,initial}            permutation p-value of it, no interval
    c2st_length_auc_{previous,initial}   the same from the length alone: a policy that only writes longer is told apart
                                         by both

The classifier is ridge regression of ±1 on the most frequent words and word pairs (log counts, at most 256) in five
folds of whole prompts, so that no prompt is on both sides. Linear least squares rather than logistic regression: the
held-out scores are then a fixed matrix times the labels, and every permutation is really trained again, which makes the
test exact at the price of one product. Permutations exchange now and then within a prompt (exchangeable under the null
whatever the prompts are), statistic: mean held-out score of now minus then; p = (1 + #{as large}) / (1 + 199). The
smallest p is therefore .005. The interval of the AUC is clustered by prompt and takes the classifiers as given, which
alone excludes .5 in 9 % of null rounds; so it is at least as wide as the AUCs of the permutations scatter.

Answers are excluded where one of the two rounds has none for the prompt. Fewer than ten prompts give no rows.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, up
from selfreward.measuring.metrics.answers import Answer, by_pool, evaluated, row
from selfreward.measuring.metrics.families import OUTPUT_DRIFT
from selfreward.measuring.metrics.policy.output_drift import earlier_rounds
from selfreward.measuring.metrics.text import ngrams, words
from selfreward.measuring.stats.clustered import TAIL, Array, Estimate, clustered_share, t_quantile
from selfreward.records import Measurement, seed_for

TOLD_APART = (up("padding"), up("drift"))
ABOUT = About(
    "two_sample",
    (
        Metric("c2st_auc_previous", "classifier AUC to previous", OUTPUT_DRIFT, still=0.5),
        Metric("c2st_auc_initial", "classifier AUC to initial", OUTPUT_DRIFT, still=0.5, planted=TOLD_APART),
        Metric("c2st_p_previous", "classifier p-value to previous", OUTPUT_DRIFT, p_value=True),
        Metric("c2st_p_initial", "classifier p-value to initial", OUTPUT_DRIFT, p_value=True, planted=TOLD_APART),
        Metric("c2st_length_auc_previous", "length-only AUC to previous", OUTPUT_DRIFT, still=0.5),
        Metric("c2st_length_auc_initial", "length-only AUC to initial", OUTPUT_DRIFT, still=0.5),
    ),
)

FOLDS = 5
FEATURES = 256
PERMUTATIONS = 199
RIDGE = 1.0
FEWEST_PROMPTS = 10


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
            now, then = ([a for a in side if a.prompt.id in common] for side in (answers, before[pool]))
            excluded = len(answers) - len(now)
            prompts = [answer.prompt.id for answer in (*now, *then)]
            texts = [answer.response.text for answer in (*now, *then)]
            auc, p_value = classify(word_features(texts), prompts, len(now))
            length_auc, _ = classify(_length_features([*now, *then]), prompts, len(now))
            rows += [
                row(evidence, f"c2st_auc_{name}", auc, pool=pool, excluded=excluded),
                row(evidence, f"c2st_p_{name}", Estimate(p_value, None, None, auc.n), pool=pool, excluded=excluded),
                row(evidence, f"c2st_length_auc_{name}", length_auc, pool=pool, excluded=excluded),
            ]
    return rows


def word_features(texts: Sequence[str]) -> Array:
    """Columns are chosen by how many texts have them, without looking at which side a text is of."""
    counted = []
    for text in texts:
        tokens = words(text)
        counted.append(Counter([*tokens, *map(" ".join, ngrams(tokens, 2))]))
    frequency = Counter(feature for counts in counted for feature in counts)
    chosen = sorted((-times, feature) for feature, times in frequency.items() if times < len(texts))[:FEATURES]
    columns = {feature: column for column, (_, feature) in enumerate(chosen)}
    matrix = np.zeros((len(texts), max(1, len(columns))))
    for index, counts in enumerate(counted):
        for feature, count in counts.items():
            if feature in columns:
                matrix[index, columns[feature]] = math.log1p(count)
    return matrix


def _length_features(answers: Sequence[Answer]) -> Array:
    lengths = np.asarray([[len(a.response.text), len(words(a.response.text))] for a in answers], dtype=np.float64)
    return np.log1p(lengths)


def classify(features: Array, prompts: Sequence[str], now: int) -> tuple[Estimate, float]:
    """AUC within prompts and the permutation p-value; the first `now` rows are this round's, the others earlier."""
    labels = np.where(np.arange(len(prompts)) < now, 1.0, -1.0)
    signs = np.concatenate([labels[:, None], exchanged(labels, prompts)], axis=1)
    scores = held_out_scores(features, prompts, signs)
    up, down = (np.where(signs * side > 0, 1.0, 0.0) for side in (1, -1))
    statistics = (scores * up).sum(axis=0) / up.sum(axis=0) - (scores * down).sum(axis=0) / down.sum(axis=0)
    # Rounding, so that two permutations that are equal by symmetry are ties on every machine.
    statistics = np.round(statistics, 9)
    p_value = (1 + int((statistics[1:] >= statistics[0]).sum())) / (1 + PERMUTATIONS)
    scores = np.round(scores, 9)
    return _no_narrower(_auc(scores[:, 0], prompts, now), permuted_aucs(scores[:, 1:], signs[:, 1:], prompts)), p_value


def permuted_aucs(scores: Array, labels: Array, prompts: Sequence[str]) -> Array:
    """The AUC within prompts of each column of scores for its own labels (Mann-Whitney by ranks)."""
    names = np.unique(np.asarray(prompts), return_inverse=True)[1].reshape(-1)
    wins, pairs = np.zeros(labels.shape[1]), 0.0
    for position in range(names.max() + 1):
        inside = names == position
        up = labels[inside] > 0
        ups = up.sum(axis=0)
        ranks = rankdata(scores[inside], axis=0)
        wins += np.where(up, ranks, 0.0).sum(axis=0) - ups * (ups + 1) / 2
        # A permutation moves labels within a prompt: every column has as many pairs.
        pairs += float(ups[0] * (len(up) - ups[0]))
    found: Array = wins / pairs
    return found


def _no_narrower(auc: Estimate, permuted: Array) -> Estimate:
    """At least as wide as the AUC scatters around .5 where the two rounds are exchanged."""
    if auc.value is None or auc.low is None or auc.high is None:
        return auc
    half = t_quantile(TAIL, auc.n - 1) * float(np.sqrt(np.mean((permuted - 0.5) ** 2)))
    low, high = max(0.0, auc.value - half), min(1.0, auc.value + half)
    return Estimate(auc.value, min(auc.low, low), max(auc.high, high), auc.n)


def exchanged(labels: Array, prompts: Sequence[str]) -> Array:
    """Labels shuffled within each prompt, one column per permutation."""
    generator = np.random.default_rng(seed_for("c2st", sorted(set(prompts))))
    members: dict[str, list[int]] = defaultdict(list)
    for index, prompt in enumerate(prompts):
        members[prompt].append(index)
    columns = np.empty((len(labels), PERMUTATIONS))
    for prompt in sorted(members):
        inside = np.asarray(members[prompt])
        keys = generator.random((len(inside), PERMUTATIONS))
        columns[inside] = labels[inside][np.argsort(keys, axis=0)]
    return columns


def held_out_scores(features: Array, prompts: Sequence[str], labels: Array) -> Array:
    """Scores of every row by ridge regressions on the other folds, one for each column of `labels`."""
    fold = {name: position % FOLDS for position, name in enumerate(sorted(set(prompts)))}
    index = np.asarray([fold[prompt] for prompt in prompts])
    scores = np.zeros_like(labels)
    for number in range(FOLDS):
        held, rest = index == number, index != number
        centre, mean = features[rest].mean(axis=0), labels[rest].mean(axis=0)
        inside = features[rest] - centre
        gram = inside.T @ inside + RIDGE * np.eye(features.shape[1])
        weights = np.linalg.solve(gram, inside.T @ (labels[rest] - mean))
        scores[held] = (features[held] - centre) @ weights + mean
    return scores


def _auc(scores: Array, prompts: Sequence[str], now: int) -> Estimate:
    sides: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for index, prompt in enumerate(prompts):
        sides[prompt][index >= now].append(float(scores[index]))
    wins, clusters = [], []
    for prompt, (new, old) in sides.items():
        for one in new:
            for other in old:
                wins.append(float(one > other) + 0.5 * float(one == other))
                clusters.append(prompt)
    return clustered_share(wins, clusters)
