"""Did the reward model learn the preferences it was shown? On answers to prompts of which it was trained on none.

    reward_model_accuracy         share of pairs that it and the label put the same way round; equal rewards half
    reward_model_truth            likewise with the verifier, of pairs of different quality (oracle)
    reward_model_brier            mean (p - label)², p = 1 / (1 + e^-(r_a - r_b))
    reward_model_ece              expected calibration error of p on adaptive bins (stats/calibration.py); no interval
    reward_model_ece_noise        what 95 % of perfectly calibrated models stay below on that many pairs
    reward_model_length_spearman  rho between reward and length in characters over these answers; what length earns

Only in a round that trained one. Accuracy leaves out labels of 1/2, which prefer nothing; pairs with an answer that it
could not read are excluded from all. Which answer of a pair stands first is a lot, so half of all labels are above 1/2
and a model that knows nothing is right half the time. Intervals are clustered by prompt. Agreement with the labels is
not truth: the labels' mistakes are learnt like the rest, hence `reward_model_truth` apart.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from selfreward.judging.scalar import reward_of
from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import CORRELATION, SHARE, About, Family, Metric
from selfreward.measuring.metrics.answers import OWN, row
from selfreward.measuring.stats.calibration import calibration
from selfreward.measuring.stats.clustered import Estimate, clustered_share
from selfreward.measuring.stats.resampling import clustered_spearman
from selfreward.records import Measurement, Pair
from selfreward.tasks.verifiers.protocol import Verifier

REWARD_MODEL = Family(
    "Reward model",
    "Did the reward model learn the preferences that it was shown, and does length earn a reward?",
)

ABOUT = About(
    "reward_model",
    pools=("train",),
    needs="reward_model",
    metrics=(
        Metric("reward_model_accuracy", "reward model, held-out pairs as labelled", REWARD_MODEL, scale=SHARE),
        Metric("reward_model_truth", "reward model, held-out pairs as true", REWARD_MODEL, scale=SHARE, truth="oracle"),
        Metric("reward_model_brier", "reward model, Brier score of P(first is better)", REWARD_MODEL),
        Metric("reward_model_ece", "reward model, calibration error", REWARD_MODEL),
        Metric("reward_model_ece_noise", "the same of a calibrated one, 95 %", REWARD_MODEL),
        Metric("reward_model_length_spearman", "reward and length, ρ", REWARD_MODEL, scale=CORRELATION),
    ),
)


class Met(NamedTuple):
    """A pair and how much higher the reward of its first answer is."""

    pair: Pair
    apart: float


def measure(evidence: Evidence) -> list[Measurement]:
    if not evidence.reward_pairs:
        return []
    rewards = {one.response_id: reward_of(one) for one in evidence.reward_scores if one.score is not None}
    pairs = sorted(evidence.reward_pairs, key=lambda one: one.id)
    met = [
        Met(one, rewards[one.chosen_id] - rewards[one.rejected_id])
        for one in pairs
        if one.chosen_id in rewards and one.rejected_id in rewards
    ]
    unread = len(pairs) - len(met)
    decided = [one for one in met if one.pair.label != 0.5]
    agree = [_same_way(one.apart, one.pair.label - 0.5) for one in decided]
    accuracy = clustered_share(agree, [one.pair.prompt_id for one in decided])
    found = [
        row(evidence, "reward_model_accuracy", accuracy, pool=OWN, excluded=len(pairs) - len(decided), better="higher")
    ]
    if evidence.verifier is not None:
        found.append(_truth(evidence, evidence.verifier, met, len(pairs)))
    if met:
        found += _calibrated(evidence, met, unread)
    return [*found, _length(evidence, rewards)]


def _same_way(one: float, other: float) -> float:
    return 0.5 if one == 0 else float((one > 0) == (other > 0))


def _truth(evidence: Evidence, verifier: Verifier, met: Sequence[Met], pairs: int) -> Measurement:
    prompts = {prompt.id: prompt for prompt in evidence.reward_prompts}
    grades = {one.id: verifier.check(prompts[one.prompt_id], one.text) for one in evidence.reward_responses}
    agree, names = [], []
    for pair, apart in met:
        first, second = grades[pair.chosen_id], grades[pair.rejected_id]
        if not first.open and not second.open and first.quality != second.quality:
            agree.append(_same_way(apart, first.quality - second.quality))
            names.append(pair.prompt_id)
    excluded = pairs - len(agree)
    return row(
        evidence,
        "reward_model_truth",
        clustered_share(agree, names),
        pool=OWN,
        excluded=excluded,
        better="higher",
    )


def _calibrated(evidence: Evidence, met: Sequence[Met], unread: int) -> list[Measurement]:
    chances = [(1 + math.tanh(one.apart / 2)) / 2 for one in met]
    result = calibration(chances, [one.pair.label for one in met], [one.pair.prompt_id for one in met])
    alone = result.brier.n
    return [
        row(evidence, "reward_model_brier", result.brier, pool=OWN, excluded=unread, better="lower"),
        row(
            evidence,
            "reward_model_ece",
            Estimate(result.adaptive_ece, None, None, alone),
            pool=OWN,
            excluded=unread,
            better="lower",
        ),
        row(
            evidence,
            "reward_model_ece_noise",
            Estimate(result.noise_95, None, None, alone),
            pool=OWN,
            excluded=unread,
        ),
    ]


def _length(evidence: Evidence, rewards: dict[str, float]) -> Measurement:
    read = [one for one in sorted(evidence.reward_responses, key=lambda one: one.id) if one.id in rewards]
    rho = clustered_spearman(
        [rewards[one.id] for one in read], [len(one.text) for one in read], [one.prompt_id for one in read]
    )
    excluded = len(evidence.reward_responses) - len(read)
    return row(evidence, "reward_model_length_spearman", rho, pool=OWN, excluded=excluded)
