"""How many judgment pairs are let through: strongest gaps first, under two caps.

Too many judgment pairs, or too many whose chosen judgment gives one same score, teach the judge to say that score
always (NeMo-Aligner's documentation reports saturation above about 15 % and caps a class at 40 %).

    share cap   kept <= max_share * (answer pairs + kept)
    class cap   pairs of one chosen score <= max(1, max_class_share * kept)

Both bind the number that is really kept, so `kept` is the largest total for which they hold together. Consequence: a
judge that gives one same score to everything it prefers trains on a single judgment pair, which is the point.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

from selfreward.recipe import MetaRecipe
from selfreward.records import Pair, stable_id

_ROUNDING = 1e-9
"""0.2 * 600 / 0.8 must count as 150, on whichever side of it the floats fall."""


def allowed_by_share(answer_pairs: int, max_share: float) -> int:
    """The most judgment pairs that are at most `max_share` of all pairs."""
    return math.floor(max_share * answer_pairs / (1 - max_share) + _ROUNDING)


def refused(
    pairs: Sequence[Pair], scores: Sequence[float], answer_pairs: int, recipe: MetaRecipe, seed: int
) -> dict[str, str]:
    """Pair id -> the cap that stops it, for the pairs that are not let through.

    `scores[i]` is what the chosen judgment of `pairs[i]` gives; equal gaps are ranked by lot.
    """
    limit = min(len(pairs), allowed_by_share(answer_pairs, recipe.max_share))
    return over_class_cap(pairs, scores, recipe.max_class_share, limit, seed)


def over_class_cap(
    pairs: Sequence[Pair], classes: Sequence[Hashable], max_class_share: float, limit: int, seed: int
) -> dict[str, str]:
    """Pair id -> the cap that stops it, where at most `limit` pairs, and of a class at most its share, are kept."""
    sizes = Counter(classes)

    def class_limit(total: int) -> int:
        return max(1, math.floor(max_class_share * total + _ROUNDING))

    def fits(total: int) -> bool:
        return sum(min(size, class_limit(total)) for size in sizes.values()) >= total

    total = next(total for total in range(limit, -1, -1) if fits(total))
    strongest_first = sorted(
        zip(pairs, classes, strict=True),
        key=lambda item: (item[0].rejected_score - item[0].chosen_score, stable_id(seed, "cap", item[0].id)),
    )
    stopped: dict[str, str] = {}
    taken: Counter[Hashable] = Counter()
    for pair, kind in strongest_first:
        if taken[kind] >= class_limit(total) and taken.total() < limit:
            stopped[pair.id] = "class cap"
        elif taken.total() >= total:
            stopped[pair.id] = "share cap" if total == limit else "class cap"
        else:
            taken[kind] += 1
    return stopped
