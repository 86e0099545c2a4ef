"""Weights that give every cohort, or every generator, the same say in a round's training.

    weight of a pair = weight * n / (classes * pairs of its class)

so that the pairs of a class weigh n / classes together and the mean weight stays. A class with few pairs gets steps
that are as large as its share asks for: with one pair among hundreds that is noise, and no cure for too few prompts.
"""

import dataclasses
from collections import Counter
from collections.abc import Hashable, Sequence

from selfreward.records import Pair


def balanced(pairs: Sequence[Pair], classes: Sequence[Hashable]) -> list[Pair]:
    """The same pairs with their weights; `classes[i]` is what `pairs[i]` counts for."""
    sizes = Counter(classes)
    return [
        dataclasses.replace(pair, weight=pair.weight * len(pairs) / (len(sizes) * sizes[kind]))
        for pair, kind in zip(pairs, classes, strict=True)
    ]
