"""Which change of a share can a pool of prompts see at all? Arithmetic, before anything was measured.

The change of each prompt's share of right answers, between two rounds of K answers each, has the variance

    2 within / K + between          within: of one answer around its prompt's own share, at most 1/4
                                    between: of the true change around its mean, from prompt to prompt

and the mean over P prompts is found in 80 % of the cases at a two-sided 5 % level where it is at least

    (t(.975, P - 1) + t(.8, P - 1)) · sqrt((2 within / K + between) / P)

`WITHIN` is that of true accuracy in recipes/sandbox.yaml (.176 on 200 report prompts, 4 answers each, rounds 0 and 1).
`BETWEEN` is assumed: it was .003 there after one round, and grows with the change. Assumption: another task is like
it. A metric on another scale has variances of its own; the report says what each comparison really could have seen.
"""

import math

from selfreward.measuring.stats.clustered import TAIL, t_quantile
from selfreward.measuring.stats.nested_difference import POWER

WITHIN, BETWEEN = 0.18, 0.02


def smallest_change(prompts: int, answers: int, within: float = WITHIN, between: float = BETWEEN) -> float:
    """The smallest paired change of a share that `prompts` prompts of `answers` answers find in 80 % of the cases."""
    reach = t_quantile(TAIL, prompts - 1) + t_quantile(POWER, prompts - 1)
    return min(1.0, reach * math.sqrt((2 * within / answers + between) / prompts))
