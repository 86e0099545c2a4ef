"""The policy-gradient losses: pure functions of per-token log-probabilities at the temperature of the sampling.

With D_t = log pi(y_t) - log pi_old(y_t), the advantage A of the answer, and its n tokens:

    ratio           rho
    token           exp(D_t), one for each token                        GRPO, 2402.03300
    sequence_mean   exp(mean of D_t), one for each answer               GSPO, 2507.18071
    sequence        exp(sum of D_t), one for each answer                RLOO, 2402.14740

    l_t = -min(rho A, clip(rho, 1 - clip, 1 + clip_high) A) + kl k3_t
    k3_t = exp(d) - 1 - d, d = log pi_ref - log pi                      never negative; unbiased where pi = pi_old

The clip takes the gradient of what has moved far enough the way its advantage points; it is no bound on what has moved
the other way. One number of many:

    aggregate           sum over answers and tokens of l_t times
    tokens_of_batch     1 / tokens of the batch                         no length is preferred (DAPO, 2503.14476)
    tokens_of_answer    1 / (n answers of the batch)                    favours short right, long wrong answers (GRPO)
    constant            1 / (longest answers of the batch)              no length is preferred (Dr. GRPO, 2503.20783)

A ratio of the whole `sequence` is a loss for each answer, whose mean is taken (tokens_of_answer). The batch is what one
optimiser step sums over: how it is split into micro-batches changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from selfreward.training import ranks

Ratio = Literal["token", "sequence_mean", "sequence"]
Aggregate = Literal["tokens_of_batch", "tokens_of_answer", "constant"]


@dataclass(frozen=True)
class SampleBatch:
    """Log-probabilities [answers, tokens], 0 where `mask` is; `advantage` has one value for each answer.

    `real` is 0 for answers that only fill a batch up, [answers].
    """

    logprobs: Tensor
    old: Tensor
    mask: Tensor
    advantage: Tensor
    reference: Tensor | None = None
    real: Tensor | None = None


@dataclass(frozen=True)
class PolicyLoss:
    """`clip_high` None is `clip`. `longest` is the `max_tokens` of the sampling, for aggregate=constant."""

    clip: float = 0.2
    clip_high: float | None = None
    kl: float = 0.0
    ratio: Ratio = "token"
    aggregate: Aggregate = "tokens_of_batch"
    longest: int = 1

    def __post_init__(self) -> None:
        if self.ratio == "sequence" and self.aggregate != "tokens_of_answer":
            raise ValueError(f"ratio 'sequence' is one loss for each answer; aggregate is {self.aggregate!r}")

    @property
    def bounds(self) -> tuple[float, float]:
        return 1 - self.clip, 1 + (self.clip if self.clip_high is None else self.clip_high)

    def __call__(self, batch: SampleBatch, total: float) -> Tensor:
        """The batch's part of the loss; `total` is `denominator` of the whole batch of the optimiser step."""
        advantage, ratio = batch.advantage[:, None], self.ratios(batch)
        per_token = -torch.min(ratio * advantage, ratio.clamp(*self.bounds) * advantage).expand_as(batch.logprobs)
        if self.kl:
            per_token = per_token + self.kl * k3(batch)
        per_answer = (per_token * batch.mask).sum(dim=1)
        if self.aggregate == "tokens_of_answer":
            per_answer = per_answer / batch.mask.sum(dim=1)
        if batch.real is not None:
            per_answer = per_answer * batch.real
        return per_answer.sum() / total

    def ratios(self, batch: SampleBatch) -> Tensor:
        """rho: [answers, tokens], or [answers, 1] where there is one for each answer."""
        moved = (batch.logprobs - batch.old) * batch.mask
        if self.ratio == "token":
            return moved.exp()
        summed = moved.sum(dim=1, keepdim=True)
        return (summed if self.ratio == "sequence" else summed / batch.mask.sum(dim=1, keepdim=True)).exp()

    def denominator(self, lengths: Iterable[int]) -> float:
        """What the loss of a whole batch is divided by, from the tokens of its answers."""
        tokens = list(lengths)
        if self.aggregate == "tokens_of_batch":
            return float(sum(tokens))
        return float(len(tokens) * (self.longest if self.aggregate == "constant" else 1))


def k3(batch: SampleBatch) -> Tensor:
    """The KL to the reference, one value for each token, never negative."""
    assert batch.reference is not None
    apart = batch.reference - batch.logprobs
    return apart.exp() - 1 - apart


@dataclass
class Moved:
    """How far a step's ratios are from 1, summed up over its micro-batches.

    `clipped` are ratios whose gradient the clip has taken. The effective sample size is (sum rho)^2 / sum rho^2, here
    as a share of the ratios: 1 where none has moved, small where a few carry all the weight.
    """

    count: float = 0.0
    clipped: float = 0.0
    largest: float = 0.0
    first: float = 0.0
    second: float = 0.0
    kl: float = 0.0
    tokens: float = 0.0

    @torch.no_grad()
    def add(self, loss: PolicyLoss, batch: SampleBatch) -> None:
        ratio, advantage, (low, high) = loss.ratios(batch), batch.advantage[:, None], loss.bounds
        mask = batch.mask if batch.real is None else batch.mask * batch.real[:, None]
        inside = mask if ratio.shape == mask.shape else mask.amax(dim=1, keepdim=True)
        clipped = ((ratio < low) & (advantage < 0)) | ((ratio > high) & (advantage > 0))
        self.count += inside.sum().item()
        self.clipped += (clipped * inside).sum().item()
        self.largest = max(self.largest, (ratio * inside).max().item())
        self.first += (ratio * inside).sum().item()
        self.second += (ratio**2 * inside).sum().item()
        if batch.reference is not None:
            self.kl += (k3(batch) * mask).sum().item()
            self.tokens += mask.sum().item()

    def together(self) -> "Moved":
        """This of all ranks, which each have seen their share of the batch."""
        *summed, largest = self.count, self.clipped, self.first, self.second, self.kl, self.tokens, self.largest
        count, clipped, first, second, kl, tokens = ranks.total(summed)
        return Moved(count, clipped, ranks.largest(largest), first, second, kl, tokens)

    def summary(self) -> Mapping[str, Any]:
        found = {
            "clip_fraction": self.clipped / self.count,
            "ratio_max": self.largest,
            "effective_samples": self.first**2 / (self.count * self.second),
        }
        return found | ({"kl": self.kl / self.tokens} if self.tokens else {})
