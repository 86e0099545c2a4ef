"""Soft preference labels from the probabilities of a pairwise judge (RLAIF, 2309.00267 section 2.1; 2212.08073).

A comparison of a with b is asked in both orders; P_ab(first) is the probability of the label that names slot 1, of both
labels together, with a in slot 1. Over the principles that were asked about,

    P(a better) = mean of 1/2 [c(P_ab(first)) + 1 - c(P_ba(first))]         c(p) = min(max(p, 1 - clamp), clamp)

so that P(b better) = 1 - P(a better), and a judge that looks at the slot alone prefers nobody. The clamp is that of
constitutional AI: after a rationale the probabilities are nearly 0 and 1, however wrong the rationale, and there they
are kept between .4 and .6 (`clamp` .6). It is put on each reply, not on their mean: replies that contradict each other
then still cancel. Ratings, and so the choice of the pair, are made of the probabilities as they are: the clamp has no
say in who is chosen.

The label of a pair may be below 1/2: the chosen answer won over all of its comparisons and lost this one.

Edge cases: a comparison of which one order could not be read says nothing, and two answers without any that does have
no label. Raises DataError for a comparison in one order only, or asked twice.
"""

import math
from collections.abc import Sequence

from selfreward.judging.scoring.tournament import both_orders, preference
from selfreward.records import Comparison


def soft_labels(comparisons: Sequence[Comparison], clamp: float | None = None) -> dict[tuple[str, str], float]:
    """P(first is better) by (first id, second id), both ways round, for all answers that were compared."""
    labels: dict[tuple[str, str], float] = {}
    for (one, other), orders in both_orders(comparisons).items():
        read = [preference(_clamped(here, clamp), _clamped(there, clamp), "soft") for here, there in orders]
        values = [value for value in read if value is not None]
        if values:
            labels[one, other] = math.fsum(values) / len(values)
            labels[other, one] = 1.0 - labels[one, other]
    return labels


def _clamped(probability: float | None, clamp: float | None) -> float | None:
    if probability is None or clamp is None:
        return probability
    return min(max(probability, 1.0 - clamp), clamp)
