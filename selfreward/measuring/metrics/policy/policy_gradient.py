"""What was a policy gradient taken at? The round's rewards and samples (pool "train"); nothing in a round of pairs.

    reward_mean           mean over all answers that have a reward
    uniform_groups        share of prompts with two readable answers or more whose rewards are all equal: no signal
    samples_kept          count; `excluded` is the number of answers without a reward, `n` the round's prompts
    samples_dropped       answers without a reward, per reason (the cohort): unreadable, truncated, too long
    groups_dropped        prompts without an advantage, per reason: uniform group, one readable answer, none
    advantage_right       share of the absolute advantage that points where the truth does (oracle)
    clip_fraction         mean share of the ratios whose gradient the clip took, over the steps
    ratio_max             largest ratio of any step: how far off the policy that sampled a step was
    effective_samples     (sum of ratios)^2 / (n sum of squares), least of any step: 1 where nothing has moved
    better_logprob_shift  mean change in training of log p of the answers with an advantage above 0, nats per answer
    worse_logprob_shift   likewise below 0

Counts and the trainer's own numbers have no interval. `advantage_right` is the sibling of `pair_correct`: an answer's
truth is its verified quality above the mean of its siblings' in training; where that is 0 half is credited. Of n
prompts the interval is that of a ratio, or where every prompt is all right or all wrong, Wilson's.
"""

import math
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric
from selfreward.measuring.metrics.answers import OWN, row
from selfreward.measuring.metrics.families import REWARDS
from selfreward.measuring.stats.clustered import (
    NOTHING,
    TAIL,
    Estimate,
    clustered_mean,
    clustered_share,
    robust_variance,
    t_quantile,
    wilson,
)
from selfreward.records import Measurement, Sample
from selfreward.tasks.verifiers.protocol import Verifier

ABOUT = About(
    "policy_gradient",
    pools=("train",),
    metrics=tuple(
        replace(metric, learns=("samples",))
        for metric in (
            Metric("reward_mean", "mean reward", REWARDS),
            Metric("uniform_groups", "prompts whose rewards are all equal", REWARDS),
            Metric("advantage_right", "advantage right by truth", REWARDS, guessed=0.5, truth="oracle"),
            Metric("samples_kept", "samples kept", REWARDS),
            Metric("clip_fraction", "clipped ratios", REWARDS),
            Metric("ratio_max", "largest ratio", REWARDS),
            Metric("effective_samples", "effective share of samples", REWARDS),
            Metric("better_logprob_shift", "shift of log p, better answers", REWARDS),
            Metric("worse_logprob_shift", "shift of log p, worse answers", REWARDS),
            # Counts by reason, which have a table of their own.
            *(Metric(f"{what}_dropped", plotted=False, by_cohort="only") for what in ("samples", "groups")),
        )
    ),
)

TRAINER = ("clip_fraction", "ratio_max", "effective_samples", "better_logprob_shift", "worse_logprob_shift")


def measure(evidence: Evidence) -> list[Measurement]:
    if not evidence.round_rewards:
        return []
    rewards = sorted(evidence.round_rewards, key=lambda one: one.id)
    mean = clustered_mean([one.value for one in rewards], [one.prompt_id for one in rewards])
    rows = [row(evidence, "reward_mean", mean, pool=OWN), _uniform(evidence), *_counts(evidence)]
    if evidence.verifier is not None and evidence.round_samples:
        rows.append(_right(evidence, evidence.verifier))
    samples = len(evidence.round_samples)
    return rows + [
        row(evidence, name, Estimate(evidence.training[name], None, None, samples), pool=OWN)
        for name in TRAINER
        if name in evidence.training
    ]


def _uniform(evidence: Evidence) -> Measurement:
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for reward in evidence.round_rewards:
        groups[reward.prompt_id].append(reward.value)
    compared = {prompt: values for prompt, values in sorted(groups.items()) if len(values) > 1}
    equal = [float(max(values) == min(values)) for values in compared.values()]
    excluded = len(evidence.round_prompts) - len(compared)
    return row(evidence, "uniform_groups", clustered_share(equal, list(compared)), pool=OWN, excluded=excluded)


def _counts(evidence: Evidence) -> list[Measurement]:
    prompts = len(evidence.round_prompts)
    drops = Counter((drop.kind, drop.reason) for drop in evidence.round_drops if drop.stage == "samples")
    without = sum(number for (kind, _), number in drops.items() if kind == "sample")
    kept = Estimate(float(len(evidence.round_samples)), None, None, prompts)
    return [
        row(evidence, "samples_kept", kept, pool=OWN, excluded=without),
        *(
            row(evidence, f"{kind}s_dropped", Estimate(float(number), None, None, prompts), pool=OWN, cohort=reason)
            for (kind, reason), number in sorted(drops.items())
        ),
    ]


def _right(evidence: Evidence, verifier: Verifier) -> Measurement:
    """Over prompts: the part of the absolute advantage that is right, and all of it."""
    prompts = {prompt.id: prompt for prompt in evidence.round_prompts}
    texts = {response.id: response.text for response in evidence.round_responses}
    groups: defaultdict[str, list[tuple[Sample, float]]] = defaultdict(list)
    for sample in sorted(evidence.round_samples, key=lambda one: one.id):
        truth = verifier.check(prompts[sample.prompt_id], texts[sample.response_id])
        if not truth.open:
            groups[sample.prompt_id].append((sample, truth.quality))
    right, whole = [], []
    for members in groups.values():
        mean = math.fsum(quality for _, quality in members) / len(members)
        weight = math.fsum(abs(sample.advantage) for sample, _ in members)
        if weight:
            credits = (abs(sample.advantage) * _credit(sample.advantage, quality - mean) for sample, quality in members)
            right.append(math.fsum(credits))
            whole.append(weight)
    excluded = len(evidence.round_samples) - sum(map(len, groups.values()))
    return row(evidence, "advantage_right", _share(right, whole), pool=OWN, excluded=excluded, better="higher")


def _credit(advantage: float, better: float) -> float:
    if abs(better) < 1e-9:
        return 0.5
    return float((advantage > 0) == (better > 0))


def _share(part: list[float], whole: list[float]) -> Estimate:
    """Sum of the parts over the sum of the wholes, one of each for every prompt."""
    if not whole:
        return NOTHING
    share, groups = math.fsum(part) / math.fsum(whole), len(whole)
    if groups == 1:
        return Estimate(share, None, None, 1)
    residuals = np.asarray(part) - share * np.asarray(whole)
    if not np.abs(residuals).max() > 1e-9:
        return Estimate(share, *wilson(share * groups, groups, t_quantile(TAIL, groups - 1)), groups)
    variance, freedom = robust_variance(residuals, np.asarray(whole))
    half = t_quantile(TAIL, freedom) * math.sqrt(variance)
    return Estimate(share, max(0.0, share - half), min(1.0, share + half), groups)
