"""Preference losses: pure functions of the completions' summed log-probabilities and lengths, one value per pair.

With h = log pi(y) - log ref(y) of a completion y, |y| its tokens, and p = P(chosen is better), the pair's label:

    loss                    margin m                                shape f(m)
    dpo                     beta (h_c - h_r)                        -log sigma(m)             2305.18290
    dpo_length_normalised   beta (h_c / |c| - h_r / |r|)            -log sigma(m)
    robust                  beta (h_c - h_r)                        [(1-e) f(m) - e f(-m)] / (1 - 2e), f of dpo
                                                                                              2403.00409
    hinge                   beta (h_c - h_r)                        max(0, 1 - m)             SLiC, SPIN
    ipo_sum                 h_c - h_r                               (m - 1 / (2 beta))^2      2310.12036
    ipo_token               h_c / |c| - h_r / |r|                   the same; the form of TRL's `ipo`
    simpo                   beta (log pi(c) / |c| - log pi(r) / |r|)  -log sigma(m - gamma)   2405.14734
    orpo                    log odds(c) - log odds(r)               -beta log sigma(m)        2403.07691

each of these costs  p f(m) + (1 - p) f(-m): the expected loss when the label is a coin. `dpo` with p = 1 is plain DPO,
p = 1 - e is conservative DPO (`label_smoothing` e turns any p into (1 - e) p + e (1 - p)), p = C is CREAM (2410.12735),
p = a judge's probability is soft-label DPO (RLAIF). With 0 < p < 1 the best margin of `dpo` is finite: logit(p).
The odds of ORPO are those of the geometric mean probability per token, P / (1 - P). Two losses are no function of one
margin: SPPO (2405.00675) reads the win rates W of both sides against the policy's own answers, or the label alone:

    sppo          1/2 [(h_c - (W_c - 1/2) / beta)^2 + (h_r - (W_r - 1/2) / beta)^2]      the paper's form
    sppo_hard     (h_c - (p - 1/2) / beta)^2 + (h_r + (p - 1/2) / beta)^2      TRL's at p = 1: no win rates, no 1/2

`beta` is IPO's tau, ORPO's lambda and SPPO's 1 / eta. The negative log-likelihood of the chosen answer (`train.nll`)
is divided by that answer's own length (IRPO, 2404.19733) and added to any loss; in ORPO it is the other half of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from selfreward.recipe import LOSS_READS, LossBase, as_dict

NEAREST_TO_CERTAIN = -1e-6
"""Largest mean log-probability whose odds are taken: at 0 they are infinite, and so would be the gradient."""


@dataclass(frozen=True)
class PairBatch:
    """Log-probabilities of both completions and what comes with the pairs; every tensor has one value per pair.

    `reference_*` and `*_win_rate` are empty (None) where the loss does not read them.
    """

    chosen: Tensor
    rejected: Tensor
    chosen_tokens: Tensor
    rejected_tokens: Tensor
    label: Tensor
    reference_chosen: Tensor | None = None
    reference_rejected: Tensor | None = None
    chosen_win_rate: Tensor | None = None
    rejected_win_rate: Tensor | None = None


@dataclass(frozen=True)
class Loss:
    """A preference loss by its name in `LOSSES`, with the recipe's constants."""

    name: str = "dpo"
    beta: float = 0.3
    label_smoothing: float = 0.0
    gamma: float = 0.0

    @property
    def reads(self) -> frozenset[str]:
        """Which of reference, label, label_smoothing, gamma and win_rates change its value."""
        return LOSS_READS[self.name]

    def margin(self, batch: PairBatch) -> Tensor:
        """Above 0 where the policy prefers the chosen completion, in the unit of the loss (see the module)."""
        return LOSSES[self.name][0](batch, self.beta)

    def __call__(self, batch: PairBatch) -> Tensor:
        return LOSSES[self.name][1](batch, self)


def loss_of(recipe: LossBase, beta: float) -> Loss:
    """The loss that a recipe names, with the keys that its variant has."""
    return Loss(beta=beta, **{("name" if key == "kind" else key): value for key, value in as_dict(recipe).items()})


def margin(
    policy_chosen: Tensor, policy_rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> Tensor:
    """The implicit reward of chosen minus that of rejected, one value per pair."""
    return beta * ((policy_chosen - reference_chosen) - (policy_rejected - reference_rejected))


def log_ratios(batch: PairBatch) -> tuple[Tensor, Tensor]:
    """h of chosen and of rejected."""
    assert batch.reference_chosen is not None and batch.reference_rejected is not None
    return batch.chosen - batch.reference_chosen, batch.rejected - batch.reference_rejected


def summed(batch: PairBatch, beta: float) -> Tensor:
    chosen, rejected = log_ratios(batch)
    return beta * (chosen - rejected)


def per_token(batch: PairBatch, beta: float) -> Tensor:
    chosen, rejected = log_ratios(batch)
    return beta * (chosen / batch.chosen_tokens - rejected / batch.rejected_tokens)


def summed_nats(batch: PairBatch, beta: float) -> Tensor:
    return summed(batch, 1.0)


def nats_per_token(batch: PairBatch, beta: float) -> Tensor:
    return per_token(batch, 1.0)


def mean_likelihood(batch: PairBatch, beta: float) -> Tensor:
    return beta * (batch.chosen / batch.chosen_tokens - batch.rejected / batch.rejected_tokens)


def log_odds_ratio(batch: PairBatch, beta: float) -> Tensor:
    return _log_odds(batch.chosen / batch.chosen_tokens) - _log_odds(batch.rejected / batch.rejected_tokens)


def _log_odds(mean_logprob: Tensor) -> Tensor:
    bounded = mean_logprob.clamp(max=NEAREST_TO_CERTAIN)
    return bounded - torch.log(-torch.expm1(bounded))


def expected(shape: Callable[[Tensor, Loss], Tensor]) -> Callable[[PairBatch, Loss], Tensor]:
    """p f(m) + (1 - p) f(-m), the loss when chosen is better with probability p."""

    def loss(batch: PairBatch, settings: Loss) -> Tensor:
        m = settings.margin(batch)
        label = batch.label
        if settings.label_smoothing and settings.name != "robust":
            label = (1 - settings.label_smoothing) * label + settings.label_smoothing * (1 - label)
        return label * shape(m, settings) + (1.0 - label) * shape(-m, settings)

    return loss


def logistic(m: Tensor, settings: Loss) -> Tensor:
    return -logsigmoid(m)


def debiased(m: Tensor, settings: Loss) -> Tensor:
    """What DPO would cost without label noise, in expectation; unbounded below where a pair is badly fitted."""
    flips = settings.label_smoothing
    return ((1 - flips) * -logsigmoid(m) - flips * -logsigmoid(-m)) / (1 - 2 * flips)


def hinge(m: Tensor, settings: Loss) -> Tensor:
    return relu(1 - m)


def squared(m: Tensor, settings: Loss) -> Tensor:
    return (m - 1 / (2 * settings.beta)) ** 2


def logistic_beyond_gamma(m: Tensor, settings: Loss) -> Tensor:
    return -logsigmoid(m - settings.gamma)


def weighted_logistic(m: Tensor, settings: Loss) -> Tensor:
    return -settings.beta * logsigmoid(m)


def self_play(batch: PairBatch, settings: Loss) -> Tensor:
    assert batch.chosen_win_rate is not None and batch.rejected_win_rate is not None
    chosen, rejected = log_ratios(batch)
    misses = (
        chosen - (batch.chosen_win_rate - 0.5) / settings.beta,
        rejected - (batch.rejected_win_rate - 0.5) / settings.beta,
    )
    return 0.5 * (misses[0] ** 2 + misses[1] ** 2)


def hard_self_play(batch: PairBatch, settings: Loss) -> Tensor:
    chosen, rejected = log_ratios(batch)
    target = (batch.label - 0.5) / settings.beta
    return (chosen - target) ** 2 + (rejected + target) ** 2


LOSSES: dict[str, tuple[Callable[[PairBatch, float], Tensor], Callable[[PairBatch, Loss], Tensor]]] = {
    "dpo": (summed, expected(logistic)),
    "dpo_length_normalised": (per_token, expected(logistic)),
    "robust": (summed, expected(debiased)),
    "hinge": (summed, expected(hinge)),
    "ipo_sum": (summed_nats, expected(squared)),
    "ipo_token": (nats_per_token, expected(squared)),
    "simpo": (mean_likelihood, expected(logistic_beyond_gamma)),
    "orpo": (log_odds_ratio, expected(weighted_logistic)),
    "sppo": (summed, self_play),
    "sppo_hard": (summed, hard_self_play),
}
"""Name -> margin and loss, each one value per pair. What each reads beside them is `LOSS_READS` of the recipe."""


def mean_token_nll(policy_chosen: Tensor, chosen_tokens: Tensor) -> Tensor:
    """Negative log-likelihood per token of each chosen answer."""
    return -policy_chosen / chosen_tokens


def batch_mean(per_pair: Tensor, weight: Tensor, pairs: int) -> Tensor:
    """Sum of weighted losses over the number of pairs of the whole batch.

    A weight scales its pair's gradient and no other's: the sum is not divided by the sum of weights.
    """
    return torch.sum(weight * per_pair) / pairs
