"""Rankings of all answers to a prompt, in balanced orders, become one score per answer.

Each order is shown, and its reverse: over the two every answer's mean place is the middle, so that whatever is linear
in the place cancels, as it does in a comparison's two orders. Further orders are turns of the first, K / orders places.

    score = 5 * (K - r) / (K - 1),   r = mean rank over the lists that count

The best of every list has 5 and the worst of every list 0; only the order and the ratios mean anything, and only within
one prompt. Averaging ranks is Borda's count: it uses all places and no model of the judge.

Edge cases. A list of which the reverse could not be read counts for nothing: one order alone would carry the places'
bias. A judge that always ranks by place gives every answer the middle: all scores are 2.5, nothing is paired, and
`first_slot` says so. K = 2 has one order and its reverse. K < 2: no list.
"""

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

from selfreward.recipe.scale import HIGHEST
from selfreward.records import Ranking, seed_for


def which_orders(ids: Sequence[str], orders: int, *seed: object) -> list[tuple[str, ...]]:
    """The orders in which one prompt's answers are shown, each followed by its reverse; none for fewer than two."""
    first = sorted(set(ids))
    if len(first) < 2:
        return []
    random.Random(seed_for("orders", *seed)).shuffle(first)
    turns = min(orders, len(first)) if len(first) > 2 else 1
    found = []
    for number in range(turns):
        by = number * len(first) // turns
        turned = (*first[by:], *first[:by])
        found += [turned, turned[::-1]]
    return found


def list_scores(rankings: Sequence[Ranking]) -> dict[str, float]:
    """The score 0..5 of every answer of *one* prompt of which a list and its reverse could be read."""
    ranks: defaultdict[str, list[float]] = defaultdict(list)
    for row in balanced(rankings):
        for name, rank in zip(row.shown, row.ranks, strict=True):
            ranks[name].append(rank)
    last = len(ranks)
    return {name: HIGHEST * (last - math.fsum(found) / len(found)) / (last - 1) for name, found in ranks.items()}


def balanced(rankings: Sequence[Ranking]) -> list[Ranking]:
    """The lists that were read and whose reverse was read too."""
    read = {(row.prompt_id, row.shown): row for row in rankings if row.unreadable is None}
    return [row for (prompt, shown), row in read.items() if (prompt, shown[::-1]) in read]


def list_statistics(rankings: Sequence[Ranking]) -> Mapping[str, float | None]:
    """`first_slot`: mean place of the first slot's answer, 0 for best and 1 for worst; .5 is fair."""
    kept = balanced(rankings)
    first = [(row.ranks[0] - 1) / (len(row.ranks) - 1) for row in kept]
    return {
        "lists": len(rankings),
        "unreadable": sum(row.unreadable is not None for row in rankings),
        "first_slot": math.fsum(first) / len(first) if first else None,
    }
