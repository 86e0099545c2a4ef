"""How likely does the policy still find a fixed set of texts: answers of round 0's policy, by teacher forcing?

    logprob_drift_token      nats: mean of log p_now(token) - log p_0(token) over all tokens of the texts
    logprob_drift_sequence   nats: the same summed over a text, averaged over texts
    logprob_drift_large      share of tokens whose log-probability moved by more than one nat, either way

The texts are the same in every round, so that rounds can be compared and a prompt's easy tokens cancel. They were
sampled from p_0, so minus the first is Schulman's k1 for KL(p_0 || p_now) (at temperature 1; at another up to what that
changes): below 0 as the policy moves away, with a trend that says how fast. It sees what the policy *forgets*; KL from
its own samples (drift.py) sees what it newly says. Texts with a log-probability that is not finite, or without both
rows, are excluded. Clusters are prompts.
"""

import numpy as np

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric
from selfreward.measuring.metrics.answers import row
from selfreward.measuring.metrics.families import POLICY_DRIFT
from selfreward.measuring.metrics.policy.drift import by_response, log_ratio
from selfreward.measuring.stats.clustered import Array, clustered_mean, clustered_share
from selfreward.records import Likelihood, Measurement

ABOUT = About(
    "text_drift",
    pools=("report",),
    metrics=(
        Metric("logprob_drift_token", "first answers' log p, change per token", POLICY_DRIFT, still=0.0),
        Metric("logprob_drift_sequence", "first answers' log p, change per answer", POLICY_DRIFT, still=0.0),
        Metric("logprob_drift_large", "first answers' tokens moved by > 1 nat", POLICY_DRIFT),
    ),
)

LARGE = 1.0


def measure(evidence: Evidence) -> list[Measurement]:
    now, then = (by_response(evidence.text_likelihoods.get(name, ())) for name in ("policy", "initial"))
    if evidence.round == 0 or not now or not then:
        return []
    prompts, changes = [], []
    texts = sorted(evidence.initial.responses, key=lambda item: (item.prompt_id, item.sample, item.id))
    asked = [text for text in texts if text.id in now or text.id in then]
    for text in asked:
        change = _change(now[text.id], then[text.id]) if text.id in now and text.id in then else None
        if change is not None:
            prompts.append(text.prompt_id)
            changes.append(change)
    tokens = [prompt for prompt, change in zip(prompts, changes, strict=True) for _ in change]
    flat = np.concatenate(changes) if changes else np.zeros(0)
    estimates = {
        "logprob_drift_token": clustered_mean(flat, tokens),
        "logprob_drift_sequence": clustered_mean([float(change.sum()) for change in changes], prompts),
        "logprob_drift_large": clustered_share((np.abs(flat) > LARGE).astype(np.float64), tokens),
    }
    excluded = len(asked) - len(changes)
    return [row(evidence, name, estimate, pool="report", excluded=excluded) for name, estimate in estimates.items()]


def _change(now: Likelihood, then: Likelihood) -> Array | None:
    change = -log_ratio(now, then)
    return change if len(change) and np.isfinite(change).all() else None
