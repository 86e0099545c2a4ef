"""How true is the answer that the judge picks among N samples? Best-of-N, the canary before any training (oracle).

A judge that cannot pick a better answer here has nothing to teach by pairs. Whatever the protocol, its score of an
answer on the evaluation pools decides; the control that trains on such picks is `train.method=sft_chosen`.

    judge_best_of_4_accuracy, _quality   expected truth of the judge's pick among 4 of a prompt's N samples, averaged
                                         over prompts; likewise for 1, 2, 4, ... below the smallest N, and that N; 1 is
                                         a random pick, which is as good as the mean sample
    oracle_best_of_4_quality             the same when the verifier picks (its accuracy is pass_at_4)
    judge_best_of_n_gain                 quality of the judge's pick among all N less that of a random one, by prompt
    judge_best_of_n_reach                that gain as a share of the oracle's, sum over sum of prompts

The expectation is exact over all C(N, n) subsets, ties by lot. With a score level that `at` samples have and `above`
samples beat,

    E = sum over levels of [C(N - above, n) - C(N - above - at, n)] / C(N, n) * mean truth of the level

Below 0 the judge prefers worse answers (it may pay for length, or echo a claim). An answer without a readable verdict
is picked only where no other is there: it ranks below all. Answers that the verifier leaves open are no samples; they
are excluded and counted. Intervals are over prompts: t for means, Wilson where every value is 0 or 1, a bootstrap for
the share, which does not exist where the oracle gains nothing.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, down
from selfreward.measuring.metrics.answers import evaluated, row
from selfreward.measuring.metrics.families import BEST_OF_N
from selfreward.measuring.stats.clustered import Array, Estimate, clustered_mean, clustered_share
from selfreward.measuring.stats.resampling import clustered_bootstrap
from selfreward.records import Measurement

ABOUT = About(
    "best_of_n",
    (
        Metric(
            "judge_best_of_n_gain",
            "quality, judge's pick minus random",
            BEST_OF_N,
            truth="oracle",
            planted=(down("stale judge"),),
        ),
        Metric(
            "judge_best_of_n_reach",
            "judge's gain / oracle's gain",
            BEST_OF_N,
            truth="oracle",
            planted=(down("stale judge"),),
        ),
        *(
            Metric(f"judge_best_of_{n}_{what}", f"{what}, judge's pick of {n}", BEST_OF_N, truth="oracle")
            for what in ("accuracy", "quality")
            for n in (1, 2, 3, 4, 6, 8)
        ),
        *(
            Metric(f"oracle_best_of_{n}_quality", f"quality, oracle's pick of {n}", BEST_OF_N, truth="oracle")
            for n in (2, 3, 4, 6, 8)
        ),
    ),
)

UNREAD = -math.inf
"""The rank of an answer without a readable verdict."""


@dataclass(frozen=True, slots=True)
class Sample:
    score: float
    quality: float
    correct: float


def measure(evidence: Evidence) -> list[Measurement]:
    verifier = evidence.verifier
    if verifier is None or not evidence.pools.judgments:
        return []
    rows = []
    for pool, answers in evaluated(evidence):
        samples: dict[str, list[Sample]] = defaultdict(list)
        for answer in answers:
            truth = verifier.check(answer.prompt, answer.response.text)
            if not truth.open:
                score = UNREAD if answer.score is None else answer.score
                samples[answer.prompt.id].append(Sample(score, truth.quality, float(truth.correct)))
        if not samples:
            continue
        excluded = len(answers) - sum(map(len, samples.values()))
        rows += [
            row(evidence, name, estimate, pool=pool, excluded=excluded, better="higher")
            for name, estimate in estimates(samples).items()
        ]
    return rows


def estimates(samples: dict[str, list[Sample]]) -> dict[str, Estimate]:
    """Every metric of one pool by name; `samples` are by prompt."""
    prompts, most = list(samples), min(map(len, samples.values()))
    found: dict[str, Estimate] = {}

    def picks(n: int, by: str, truth: str) -> list[float]:
        return [
            expected_pick([getattr(one, by) for one in mine], [getattr(one, truth) for one in mine], n)
            for mine in samples.values()
        ]

    for n in sorted({2**power for power in range(most.bit_length()) if 2**power < most} | {most}):
        right = picks(n, "score", "correct")
        whole = all(value in (0.0, 1.0) for value in right)
        found[f"judge_best_of_{n}_accuracy"] = (clustered_share if whole else clustered_mean)(right, prompts)
        found[f"judge_best_of_{n}_quality"] = clustered_mean(picks(n, "score", "quality"), prompts)
        if n > 1:
            found[f"oracle_best_of_{n}_quality"] = clustered_mean(picks(n, "quality", "quality"), prompts)
    if most > 1:
        random = np.asarray(picks(1, "score", "quality"))
        gain = np.asarray(picks(most, "score", "quality")) - random
        possible = np.asarray(picks(most, "quality", "quality")) - random
        found["judge_best_of_n_gain"] = clustered_mean(gain, prompts)
        found["judge_best_of_n_reach"] = share_of(gain, possible, prompts)
    return found


def expected_pick(scores: Sequence[float], truths: Sequence[float], n: int) -> float:
    """Expected truth of the best-scored of n samples drawn without putting back; among equals a lot decides."""
    total, above, value = len(scores), 0, []
    for level in sorted(set(scores), reverse=True):
        members = [truth for score, truth in zip(scores, truths, strict=True) if score == level]
        reached = math.comb(total - above, n) - math.comb(total - above - len(members), n)
        value.append(reached * math.fsum(members) / len(members))
        above += len(members)
    return math.fsum(value) / math.comb(total, n)


def share_of(gain: Array, possible: Array, prompts: Sequence[str]) -> Estimate:
    """Sum of `gain` over sum of `possible`, one value of each per prompt, bootstrapped over prompts."""

    def ratio(tables: Array) -> Array:
        whole = (tables * possible).sum(axis=1)
        return np.divide((tables * gain).sum(axis=1), whole, out=np.full(len(tables), np.nan), where=whole > 0)

    return clustered_bootstrap(ratio, np.arange(len(prompts)), prompts)
