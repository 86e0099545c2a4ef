"""Comparisons of a prompt's answers, always in both orders, become one rating per answer.

A comparison of a with b is asked twice, once with each in the first slot (RLAIF, 2309.00267 §2.1):

    from probabilities   P(a better) = 1/2 * [P_ab(first) + 1 - P_ba(first)]
    from verdicts        a wins only if both orders say so; a verdict that flips is a tie (MT-Bench convention)

The win weights P(a better), P(b better) go into a ridge Bradley-Terry fit; a rating e becomes a score on the judge's
scale as 5 * sigma(e): 2.5 is an answer of the prompt's average strength. Only the order and the ratios mean anything,
and only within one prompt.

Edge cases. A judge that always names the same slot: every P is 1/2, all ratings are equal, nothing is paired, and the
position statistics say so. A comparison of which one order could not be read counts for nothing: one order alone would
carry the slot's bias. An answer that wins everything has a finite rating because of the ridge. K < 2: no comparison.
"""

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

import numpy as np

from selfreward.errors import DataError
from selfreward.judging.scoring.bradley_terry import strengths
from selfreward.judging.scoring.stability import settled
from selfreward.judging.scoring.votes import voted
from selfreward.recipe import Compared, JudgeRecipe
from selfreward.recipe.scale import HIGHEST
from selfreward.records import Comparison, seed_for

_DECIMALS = 9
"""Equal records give equal ratings to the last bit, whatever the solver's rounding."""


@dataclass(frozen=True, slots=True)
class PositionStatistics:
    """What the slots decide. `first_share`: preference for the first slot over all readable orders (1/2 is fair).

    `same_slot`: of the comparisons with both orders read, the share in which the same slot wins twice;
    `first_of_same_slot`: how much of that goes to the first slot.
    """

    comparisons: int
    unreadable: int
    first_share: float | None
    same_slot: float | None
    first_of_same_slot: float | None


def which_comparisons(ids: Sequence[str], recipe: Compared, *seed: object) -> list[tuple[str, str]]:
    """The unordered pairs of one prompt's answers to be compared, each as (smaller id, larger id), sorted.

    `ring`: neighbours in an order drawn by lot, so that the graph is connected with K comparisons. `random`: a chain
    through that order, which joins them all, and others by lot until there are `count`.
    """
    ids = sorted(set(ids))
    everything = list(combinations(ids, 2))
    if recipe.comparisons == "all" or len(ids) < 3:
        return everything
    lot = random.Random(seed_for("comparisons", *seed))
    order = list(ids)
    lot.shuffle(order)
    chosen = {_sorted(one, other) for one, other in pairwise(order)}
    if recipe.comparisons == "ring":
        chosen.add(_sorted(order[-1], order[0]))
    else:
        left = [pair for pair in everything if pair not in chosen]
        lot.shuffle(left)
        chosen.update(left[: max(0, recipe.count - len(chosen))])
    return sorted(chosen)


def both_orders(comparisons: Sequence[Comparison]) -> dict[tuple[str, str], list[tuple[float | None, float | None]]]:
    """By (smaller id, larger id): for every principle, P(first slot) with the smaller id first, and with it second.

    Raises DataError when one order was answered twice, or never.
    """
    asked: dict[tuple[str, str, str], float | None] = {}
    for row in comparisons:
        order = (row.first_id, row.second_id, row.principle)
        if order in asked:
            raise DataError(f"comparison {row.id}: {order} is already answered; expected one answer per order")
        asked[order] = row.preference
    found: defaultdict[tuple[str, str], list[tuple[float | None, float | None]]] = defaultdict(list)
    for first, second, principle in sorted(asked):
        if (second, first, principle) not in asked:
            raise DataError(f"comparison of {first} with {second}: asked in one order only; expected both")
        if first < second:
            found[first, second].append((asked[first, second, principle], asked[second, first, principle]))
    return dict(found)


def preference(here: float | None, there: float | None, reading: Literal["soft", "verdict"]) -> float | None:
    """P(a better) from P(first slot) with a first and with b first; None where an order could not be read."""
    if here is None or there is None:
        return None
    if reading == "soft":
        return (here + 1.0 - there) / 2
    return {(1.0, 0.0): 1.0, (0.0, 1.0): 0.0}.get((here, there), 0.5)


def ratings(comparisons: Sequence[Comparison], recipe: JudgeRecipe) -> dict[str, float]:
    """The score 0..5 of every answer of *one* prompt that took part in a readable comparison."""
    reading: Literal["soft", "verdict"] = "verdict" if recipe.reading.kind == "verdict" else "soft"
    known: dict[tuple[str, str], float] = {}
    members = len(recipe.members)
    for pair, orders in both_orders(comparisons).items():
        values = [value for here, there in orders if (value := preference(here, there, reading)) is not None]
        if values:
            known[pair] = voted(values, members or len(orders), recipe.ensemble.vote if recipe.ensemble else "mean")
        if values and reading == "soft" and recipe.debating is not None:
            known[pair] = settled(_readings(orders), recipe.debating.epsilon, recipe.debating.unstable)
    ids = sorted({name for pair in known for name in pair})
    place = {name: index for index, name in enumerate(ids)}
    wins = np.zeros((len(ids), len(ids)))
    for (one, other), value in known.items():
        wins[place[one], place[other]] = value
        wins[place[other], place[one]] = 1.0 - value
    fitted = strengths(wins, recipe.ridge).round(_DECIMALS) + 0.0
    return {name: HIGHEST / (1.0 + math.exp(-value)) for name, value in zip(ids, fitted.tolist(), strict=True)}


def _readings(orders: Sequence[tuple[float | None, float | None]]) -> list[float]:
    """Every P(a better) that was read with its other order."""
    both = [(here, there) for here, there in orders if here is not None and there is not None]
    return [chance for here, there in both for chance in (here, 1.0 - there)]


def position_statistics(comparisons: Sequence[Comparison]) -> PositionStatistics:
    """How much the slots decide, over a whole run of comparisons."""
    read = [row.preference for row in comparisons if row.preference is not None]
    orders = [order for both in both_orders(comparisons).values() for order in both]
    complete = [(here, there) for here, there in orders if here is not None and there is not None]
    first = sum(here > 0.5 and there > 0.5 for here, there in complete)
    second = sum(here < 0.5 and there < 0.5 for here, there in complete)
    same = first + second
    return PositionStatistics(
        comparisons=len(orders),
        unreadable=len(comparisons) - len(read),
        first_share=math.fsum(read) / len(read) if read else None,
        same_slot=same / len(complete) if complete else None,
        first_of_same_slot=first / same if same else None,
    )


def as_facts(statistics: PositionStatistics) -> Mapping[str, float | None]:
    return {name: getattr(statistics, name) for name in statistics.__dataclass_fields__}


def _sorted(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)
