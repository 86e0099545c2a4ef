"""How far apart are the samples in an embedding? Within a prompt and between prompts apart (Kirk et al. 2310.06452).

    vendi_per_input                    exp(entropy of the eigenvalues of K/n), K the n samples' cosines: the effective
                                       number of different samples (Friedman & Dieng 2210.02410); n equal texts give 1,
                                       n orthogonal ones n
    embedding_distance_per_input       1 - mean cosine of two different samples of a prompt
    embedding_distance_across_input    1 - mean cosine of the k-th samples of two different prompts, averaged over k

The embedder is TF-IDF fitted on round 0's answers on the same pool (on the round's own where there are none), so that
a trend is the policy's; `measure(evidence, embed=...)` takes another: pin its model and revision. What it cannot see
(paraphrase for TF-IDF) is not counted as different or alike. Texts without a feature (empty) and prompts left with less
than two samples are excluded; across input the samples beyond the smallest K are.
"""

import math
from collections import defaultdict

import numpy as np
from scipy.sparse import csr_array

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, down
from selfreward.measuring.metrics.answers import Answer, evaluated, row
from selfreward.measuring.metrics.families import WORDS_AND_MEANING
from selfreward.measuring.metrics.text import Embedder, tfidf_embedder
from selfreward.measuring.stats.clustered import Array, Estimate, clustered_mean
from selfreward.measuring.stats.jackknife import from_left_out, groups_of
from selfreward.records import Measurement

ABOUT = About(
    "embedded_diversity",
    (
        Metric("vendi_per_input", "Vendi score within a prompt", WORDS_AND_MEANING, planted=(down("collapse"),)),
        Metric(
            "embedding_distance_per_input",
            "embedding distance within a prompt",
            WORDS_AND_MEANING,
            planted=(down("collapse"),),
        ),
        Metric("embedding_distance_across_input", "embedding distance between prompts", WORDS_AND_MEANING),
    ),
    after="self_bleu_per_input",
)


def measure(evidence: Evidence, embed: Embedder | None = None) -> list[Measurement]:
    rows = []
    for pool, answers in evaluated(evidence):
        embedder = embed or _frozen_embedder(evidence, pool, answers)
        points = embedder([answer.response.text for answer in answers])
        lengths = np.sqrt((points * points).sum(axis=1))
        groups: dict[str, list[int]] = defaultdict(list)
        for index, answer in enumerate(answers):
            if lengths[index] > 0:
                groups[answer.prompt.id].append(index)
        rows += _per_input(evidence, pool, points, groups, len(answers))
        rows += _across_input(evidence, pool, points, groups, len(answers))
    return rows


def _frozen_embedder(evidence: Evidence, pool: str, answers: list[Answer]) -> Embedder:
    inside = {prompt.id for prompt in evidence.initial.prompts if prompt.pool == pool}
    initial = [response.text for response in evidence.initial.responses if response.prompt_id in inside]
    return tfidf_embedder(initial or [answer.response.text for answer in answers])


def _per_input(
    evidence: Evidence, pool: str, points: csr_array, groups: dict[str, list[int]], answers: int
) -> list[Measurement]:
    several = {prompt: members for prompt, members in groups.items() if len(members) > 1}
    if not several:
        return []
    kernels = []
    for members in several.values():
        part = points[members]
        kernels.append(np.asarray((part @ part.T).todense()))
    apart = [1 - (kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1)) for kernel in kernels]
    estimates = {
        "vendi_per_input": clustered_mean([vendi(kernel) for kernel in kernels], list(several)),
        "embedding_distance_per_input": clustered_mean(apart, list(several)),
    }
    excluded = answers - sum(map(len, several.values()))
    return [
        row(evidence, name, estimate, pool=pool, excluded=excluded, better="higher")
        for name, estimate in estimates.items()
    ]


def vendi(kernel: Array) -> float:
    """`kernel` is symmetric with ones on its diagonal."""
    shares = np.linalg.eigvalsh(kernel / len(kernel))
    shares = shares[shares > 1e-12]
    # Rounded, because the last bits of eigenvalues differ between machines.
    return round(math.exp(-float((shares * np.log(shares)).sum())), 9)


def _across_input(
    evidence: Evidence, pool: str, points: csr_array, groups: dict[str, list[int]], answers: int
) -> list[Measurement]:
    if len(groups) < 2:
        return []
    samples = min(map(len, groups.values()))
    names = sorted(groups)
    group = groups_of(names)
    count = max(group.values()) + 1
    index = np.asarray([group[name] for name in names])
    member = csr_array((np.ones(len(names)), (index, np.arange(len(names)))), shape=(count, len(names)))
    sizes = np.bincount(index, minlength=count)
    distances = np.zeros(count + 1)
    for k in range(samples):
        sums = member @ points[[groups[name][k] for name in names]]
        gram = np.asarray((sums @ sums.T).todense())
        # |Σ e|² without group g, minus the n products of a vector with itself, over the ordered pairs that are left.
        squares = [gram.sum(), *(gram.sum() - 2 * gram.sum(axis=1) + np.diag(gram))]
        left = [len(names), *(len(names) - sizes)]
        distances += [
            1 - (square - n) / (n * (n - 1)) if n > 1 else np.nan for square, n in zip(squares, left, strict=True)
        ]
    known: list[float | None] = [None if math.isnan(value) else float(value) for value in distances / samples]
    estimate: Estimate = from_left_out(known[0], known[1:], len(names))
    excluded = answers - samples * len(names)
    name = "embedding_distance_across_input"
    return [row(evidence, name, estimate, pool=pool, excluded=excluded, better="higher")]
