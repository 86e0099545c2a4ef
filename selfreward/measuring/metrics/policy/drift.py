"""How far did the policy move? KL(policy || reference) from the policy's own samples on the frozen prompt pools.

With logr = log q(token) - log p(token), p the policy and q the reference (Schulman's estimators, direction as in TRL):

    k1 = -logr                   unbiased, may be negative
    k3 = exp(logr) - 1 - logr    unbiased, never negative, lower variance

`kl_{previous,initial}_{k1,k3}_{token,sequence}`: mean per token over all tokens, and mean over answers of the sum over
an answer's tokens. Previous is the policy that this round's training started from.

Assumption: the log-probabilities are at temperature 1, while the pools are sampled at the recipe's temperature. At
another temperature this is the mean over the prefixes *and tokens* that such sampling visits: still 0 for equal
policies, k3 still never negative, comparable between rounds, but not exactly the KL of the temperature-1 policies.
Round 0 has no reference and no rows. Answers with a log-probability that is not finite, or without likelihoods under
both policies, are excluded and counted.
"""

from collections.abc import Sequence

import numpy as np

from selfreward.errors import DataError
from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, up
from selfreward.measuring.metrics.answers import Answer, clusters, evaluated, row
from selfreward.measuring.metrics.families import POLICY_DRIFT
from selfreward.measuring.stats.clustered import Array, clustered_mean
from selfreward.records import Likelihood, Measurement

ABOUT = About(
    "drift",
    tuple(
        Metric(
            f"kl_{to}_{estimator}_{unit}",
            f"KL to {to}, per {called}{'' if estimator == 'k3' else ' (k1)'}",
            POLICY_DRIFT,
            still=0.0,
            planted=(up("drift"),) if (to, unit) == ("initial", "token") else (),
        )
        for estimator in ("k3", "k1")
        for unit, called in (("token", "token"), ("sequence", "answer"))
        for to in ("previous", "initial")
    ),
)


def measure(evidence: Evidence) -> list[Measurement]:
    policy = by_response(evidence.likelihoods.get("policy", ()))
    rows = []
    for pool, answers in evaluated(evidence):
        for name in ("previous", "initial"):
            if policy and evidence.likelihoods.get(name):
                reference = by_response(evidence.likelihoods[name])
                rows += _divergence(evidence, pool, name, answers, policy, reference)
    return rows


def by_response(likelihoods: Sequence[Likelihood]) -> dict[str, Likelihood]:
    return {likelihood.response_id: likelihood for likelihood in likelihoods}


def _divergence(
    evidence: Evidence,
    pool: str,
    name: str,
    answers: Sequence[Answer],
    policy: dict[str, Likelihood],
    reference: dict[str, Likelihood],
) -> list[Measurement]:
    used: list[Answer] = []
    ratios: list[Array] = []
    for answer in answers:
        both = policy.get(answer.response.id), reference.get(answer.response.id)
        ratio = log_ratio(both[0], both[1]) if both[0] and both[1] else None
        if ratio is not None and len(ratio) and np.isfinite(ratio).all():
            used.append(answer)
            ratios.append(ratio)
    if not used:
        return []
    prompts, lengths = clusters(used), [len(ratio) for ratio in ratios]
    token_prompts = np.repeat(np.asarray(prompts), lengths).tolist()
    starts = np.cumsum([0, *lengths[:-1]])
    flat = np.concatenate(ratios)
    rows = []
    for estimator, values in (("k1", -flat), ("k3", k3(flat))):
        per_token = clustered_mean(values, token_prompts)
        per_sequence = clustered_mean(np.add.reduceat(values, starts), prompts)
        for unit, estimate in (("token", per_token), ("sequence", per_sequence)):
            metric = f"kl_{name}_{estimator}_{unit}"
            rows.append(row(evidence, metric, estimate, pool=pool, excluded=len(answers) - len(used)))
    return rows


def k3(log_ratio: Array) -> Array:
    """exp(r) - 1 - r, accurate near 0 and never negative in floating point either."""
    return np.maximum(np.expm1(log_ratio) - log_ratio, 0.0)


def log_ratio(policy: Likelihood, reference: Likelihood) -> Array:
    """log q - log p per token. Raises DataError when the two rows are not about the same tokens."""
    if len(policy.logprobs) != len(reference.logprobs):
        raise DataError(
            f"likelihood {reference.id} of response {reference.response_id}: {len(reference.logprobs)} tokens, "
            f"expected {len(policy.logprobs)} as in likelihood {policy.id}; both must score the stored token ids"
        )
    return np.asarray(reference.logprobs, dtype=np.float64) - np.asarray(policy.logprobs, dtype=np.float64)
