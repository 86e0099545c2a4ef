"""A comparison that hangs on small changes of its readings is a tie: the stability rule of prover-estimator debate.

Brown-Cohen and others (2506.13609) ask of a claim that its truth does not hinge on small changes of many of the
estimates below it: (epsilon, rho)-stability. Here the estimates are the readings p_1 ... p_m of P(a better), one for
each debate about two answers, and the claim is the order of a and b, by the side of 1/2 on which their mean lies:

    rho = share of the 2^m patterns of p_i +- epsilon under which the mean leaves its side, or lies on 1/2
    tie where rho > `unstable`

This form is ours, *unverified* against the paper: its claims are trees of subclaims, and a debate has but the judge's
readings. With the two debates of one order each a tie is a mean within epsilon of 1/2: rho is 1/4 there and 0 beyond.

Edge cases. Verdicts that agree are 1 and 1, or 0 and 0: no epsilon below 1/2 moves them. Those that disagree have the
mean 1/2, which is a tie without any change. epsilon 0 leaves everything as it is read.
"""

import math
from collections.abc import Sequence
from itertools import product

_CLOSE = 1e-12


def unstable_share(chances: Sequence[float], epsilon: float) -> float:
    """Rho of the order that these readings of P(a better) give."""
    side = _side(chances)
    patterns = list(product((-epsilon, epsilon), repeat=len(chances)))
    moved = [_side([chance + change for chance, change in zip(chances, pattern, strict=True)]) for pattern in patterns]
    return sum(one != side or one == 0 for one in moved) / len(patterns)


def settled(chances: Sequence[float], epsilon: float, unstable: float) -> float:
    """P(a better) as the mean of its readings, 1/2 where their order is unstable."""
    mean = math.fsum(chances) / len(chances)
    return 0.5 if epsilon and unstable_share(chances, epsilon) > unstable else mean


def _side(chances: Sequence[float]) -> int:
    gap = math.fsum(chances) / len(chances) - 0.5
    return 0 if abs(gap) < _CLOSE else 1 if gap > 0 else -1
