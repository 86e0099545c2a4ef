"""Answers of two rounds to the same prompts, as a held-out judge sees them: asked, paired and won.

A verdict that changes with the order is a tie; equal texts are a tie that nobody is asked about.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from selfreward.measuring.evidence import HeldOut, PoolRows
from selfreward.measuring.metrics.answers import Answer, join
from selfreward.measuring.stats.clustered import Estimate, clustered_share
from selfreward.records import Comparison


class Duel(NamedTuple):
    """One pair of answers to a prompt: wins (1, 1/2 or 0) of this round's, its further characters."""

    prompt: str
    held_out: float
    own: float | None
    characters: int


class Asked(NamedTuple):
    """An answer with the loop's own mean score, and the held-out judge's."""

    answer: Answer
    held_out: float | None


def asked_answers(rows: PoolRows, held_out: HeldOut, where: str) -> list[Asked]:
    """The answers that the held-out judge was asked about, sorted by prompt and sample."""
    wanted = set(held_out.asked)
    own = [answer for answer in join(rows, where) if answer.response.id in wanted]
    names = {answer.response.id for answer in own}
    judgments = [judgment for judgment in held_out.judgments if judgment.response_id in names]
    scored = join(PoolRows(rows.prompts, [answer.response for answer in own], judgments), where)
    by_id = {answer.response.id: answer.score for answer in scored}
    return [Asked(answer, by_id[answer.response.id]) for answer in own]


def duels(now: Sequence[Asked], then: Sequence[Asked], held_out: HeldOut) -> tuple[list[Duel], int]:
    """All pairs that the held-out judge decided or tied, and how many answers (pairwise: pairs) it did not."""
    before: dict[str, list[Asked]] = defaultdict(list)
    for one in then:
        before[one.answer.prompt.id].append(one)
    if held_out.comparisons is not None:
        verdicts = both_orders(held_out.comparisons)
        pairs = [
            (one, other)
            for one in now
            for other in before[one.answer.prompt.id]
            if other.answer.response.sample == one.answer.response.sample
        ]
        decided = [(one, other, _verdict(one, other, verdicts)) for one, other in pairs]
        found = [_duel(one, other, win) for one, other, win in decided if win is not None]
        return found, len(now) - len(found)
    scored = {name: [one for one in members if one.held_out is not None] for name, members in before.items()}
    against = [(one, scored.get(one.answer.prompt.id, [])) for one in now if one.held_out is not None]
    found = [
        _duel(one, other, _win(one.held_out, other.held_out) or 0.0) for one, others in against for other in others
    ]
    return found, len(now) - sum(bool(others) for _, others in against)


def both_orders(comparisons: Sequence[Comparison]) -> dict[tuple[str, str], float | None]:
    """(one, other) → 1, 1/2 or 0 for `one`: what both orders say, 1/2 where they differ, None where one is unread."""
    said = {(row.first_id, row.second_id): row.preference for row in comparisons}
    found: dict[tuple[str, str], float | None] = {}
    for (first, second), here in said.items():
        there = said.get((second, first))
        if here is None or there is None:
            found[first, second] = None
        else:
            orders = float(np.sign(here - 0.5)), float(np.sign(0.5 - there))
            found[first, second] = (orders[0] + 1) / 2 if orders[0] == orders[1] else 0.5
    return found


def _verdict(one: Asked, other: Asked, verdicts: dict[tuple[str, str], float | None]) -> float | None:
    if one.answer.response.text == other.answer.response.text:
        return 0.5
    return verdicts.get((one.answer.response.id, other.answer.response.id))


def _win(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else float(np.sign(one - other) + 1) / 2


def _duel(one: Asked, other: Asked, win: float) -> Duel:
    characters = len(one.answer.response.text) - len(other.answer.response.text)
    return Duel(one.answer.prompt.id, win, _win(one.answer.score, other.answer.score), characters)


def flip_share(comparisons: Sequence[Comparison]) -> tuple[Estimate, int]:
    """Of the comparisons read in both orders, the share whose verdict changes with the order; how many were not."""
    said = {(row.first_id, row.second_id, row.principle): row for row in comparisons}
    turned = ((one, said.get((two, first, named))) for (first, two, named), one in said.items() if first < two)
    pairs = [(one, other) for one, other in turned if other is not None]
    read = [
        (float(np.sign(one.preference - 0.5) != np.sign(0.5 - other.preference)), one.prompt_id)
        for one, other in pairs
        if one.preference is not None and other.preference is not None
    ]
    rate = clustered_share([flip for flip, _ in read], [prompt for _, prompt in read])
    return rate, len(pairs) - len(read)
