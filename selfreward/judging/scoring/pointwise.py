"""N pointwise judgments of an answer become one score (SRLM, 2401.10020 §2.3): the mean or median of the readable ones.

An unreadable judgment is counted and enters no number; an answer without a readable one has no score at all. Sums are
exact (`fsum`), so equal multisets of scores tie exactly and the order of rows changes nothing.
"""

import random
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

from selfreward.judging.scoring.score import Score
from selfreward.records import Judgment, Response, distinct, seed_for

__all__ = ["Score", "aggregate", "distinct", "readable_share", "shuffle_within_prompts"]


def aggregate(judgments: Sequence[Judgment], how: Literal["mean", "median"]) -> dict[str, Score]:
    """The score of each response that has at least one readable judgment, by response id."""
    readable: dict[str, list[float]] = {}
    unreadable: defaultdict[str, int] = defaultdict(int)
    for judgment in judgments:
        if judgment.score is None:
            unreadable[judgment.response_id] += 1
        else:
            readable.setdefault(judgment.response_id, []).append(judgment.score)
    centre = statistics.fmean if how == "mean" else statistics.median
    return {
        response_id: Score(
            value=float(centre(values)),
            readable=len(values),
            unreadable=unreadable[response_id],
            spread=float(statistics.variance(values)) if len(values) > 1 else None,
        )
        for response_id, values in readable.items()
    }


def readable_share(judgments: Sequence[Judgment]) -> float | None:
    """The share of judgments that gave a score, or None without judgments."""
    if not judgments:
        return None
    return sum(judgment.score is not None for judgment in judgments) / len(judgments)


def shuffle_within_prompts(scores: Mapping[str, Score], responses: Sequence[Response], seed: int) -> dict[str, Score]:
    """The control without information: each prompt keeps its multiset of scores, dealt to its answers by lot.

    The lot depends on the seed and the prompt's id. Now and then it deals every score to its owner: a permutation
    that never did would carry information.
    """
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for response in responses:
        if response.id in scores:
            owners[response.prompt_id].append(response.id)
    shuffled: dict[str, Score] = {}
    for prompt_id, members in owners.items():
        ids = sorted(members)
        dealt = list(ids)
        random.Random(seed_for(seed, "shuffled scores", prompt_id)).shuffle(dealt)
        shuffled |= {owner: scores[other] for owner, other in zip(ids, dealt, strict=True)}
    return shuffled
