"""Preference losses on summed log-probabilities of completions. Pure functions on tensors of one value per pair.

With m = beta * [(log pi(c) - log ref(c)) - (log pi(r) - log ref(r))] and p = P(chosen is better):

    soft-label DPO      -p log sigma(m) - (1 - p) log sigma(-m)

DPO (Rafailov et al. 2023, 2305.18290) is p = 1; conservative DPO with smoothing e is p = 1 - e; CREAM (2410.12735) is
p = C. With 0 < p < 1 the best margin is finite: m = logit(p). The negative log-likelihood of the chosen answer is
divided by that answer's own length (IRPO, 2404.19733), so a long answer does not weigh more than a short one.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def margin(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> Tensor:
    """The implicit reward of chosen minus that of rejected, one value per pair."""
    return beta * ((policy_chosen - reference_chosen) - (policy_rejected - reference_rejected))


def dpo(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    beta: float,
    label: Tensor,
) -> Tensor:
    """Soft-label DPO, one value per pair; `label` is P(chosen is better)."""
    m = margin(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta)
    return -label * logsigmoid(m) - (1.0 - label) * logsigmoid(-m)


def mean_token_nll(policy_chosen: Tensor, chosen_tokens: Tensor) -> Tensor:
    """Negative log-likelihood per token of each chosen answer."""
    return -policy_chosen / chosen_tokens


def batch_mean(per_pair: Tensor, weight: Tensor, pairs: int) -> Tensor:
    """Sum of weighted losses over the number of pairs of the whole batch.

    A weight scales its pair's gradient and no other's: the sum is not divided by the sum of weights.
    """
    return torch.sum(weight * per_pair) / pairs
