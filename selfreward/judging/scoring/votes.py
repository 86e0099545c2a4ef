"""What several preferences between two answers become: those under several principles, or of an ensemble's members.

p_m is member m's P(a better), from both orders, 1/2 for a tie; a member that could not be read has none.

    mean        mean_m p_m, over those that were read
    majority    1 where more members prefer a than b, 0 where fewer do, else 1/2
    unanimous   1 where every member prefers a, 0 where every one prefers b, else 1/2

A majority forgets how sure its members are, and is right more often than one of them only as far as they err apart
(Condorcet's jury). `unanimous` buys precision with ties, and an unread member is no agreement: it makes one.
"""

import math
from collections.abc import Sequence
from typing import Literal


def voted(preferences: Sequence[float], members: int, vote: Literal["mean", "majority", "unanimous"]) -> float:
    """P(a better) of the `preferences` that were read, of `members` in all; there is at least one."""
    if vote == "mean":
        return math.fsum(preferences) / len(preferences)
    ahead, behind = (sum(side) for side in ([one > 0.5 for one in preferences], [one < 0.5 for one in preferences]))
    if vote == "unanimous":
        return 1.0 if ahead == members else 0.0 if behind == members else 0.5
    return 0.5 if ahead == behind else float(ahead > behind)
