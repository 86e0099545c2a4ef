"""Battles of a response's own judgments before the meta-judge (Meta-Rewarding, 2407.19594 §2.3).

Each pair of judgments is asked in both orders: r_mn is 1 when m, shown first, wins; -1 when n, shown second, wins; 0
for a tie or an unreadable verdict. A win in the favoured slot counts less, by weights over the whole run:

    w1 = second-slot wins / all wins      w2 = first-slot wins / all wins
    B_mn = w1 * [r_mn = 1] + w2 * [r_nm = -1]

m beats n from the first slot in r_mn, and from the second slot in r_nm, where *n* is shown first. (r_mn = -1 is a win
of n: using it for the second term credits the loser.)

Edge cases. No win at all: both weights 1/2. All wins in one slot: the other slot's weight is never used and this one's
is 0, so B is zero and nothing is paired; rightly, for where both orders name the same slot there is no information.
`agreed` mode counts a battle as one win only if both orders name the same winner, else not at all; no slot weight is
needed, because the winner won once from each slot.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from selfreward.errors import DataError
from selfreward.judging.scoring.bradley_terry import strengths
from selfreward.judging.scoring.pointwise import aggregate
from selfreward.judging.scoring.score import MetaSummary, Standing
from selfreward.recipe import MetaRecipe
from selfreward.records import Judgment, MetaJudgment, stable_id

Verdicts = Mapping[tuple[str, str], int]
"""(first id, second id) -> 1 first wins, -1 second wins, 0 tie or unreadable."""

_DECIMALS = 9
"""Equal records give equal strengths to the last bit, whatever the solver's rounding, so that lots decide ties."""

_OUTCOMES = {"first": 1, "second": -1, "tie": 0, None: 0}


def which_battles(judgments: Sequence[Judgment], recipe: MetaRecipe, seed: int) -> list[tuple[str, str]]:
    """(first id, second id) of every question to the meta-judge, the two orders of a battle side by side.

    Only complete readable judgments with different texts take part, and only pairs with different scores: the
    meta-judge prefers the higher score anyway, and equal scores teach no better score. The responses whose scores vary
    most are asked about first, up to `max_responses`, ties by lot; within one, judgments are taken in turn from each
    score given, up to `max_judgments`, so that a disagreement is never cut away.
    """
    spread = {response_id: score.spread for response_id, score in aggregate(judgments, "mean").items()}
    by_response: defaultdict[str, list[Judgment]] = defaultdict(list)
    for judgment in sorted(judgments, key=lambda row: (row.response_id, row.sample, row.id)):
        if judgment.score is not None and judgment.finish_reason == "stop":
            by_response[judgment.response_id].append(judgment)
    fielded = {name: _in_turn(rows)[: recipe.max_judgments] for name, rows in by_response.items()}
    disputed = [name for name, rows in fielded.items() if len({row.score for row in rows}) > 1]
    disputed.sort(key=lambda name: (-(spread[name] or 0.0), stable_id(seed, "battles", name)))
    questions: list[tuple[str, str]] = []
    for name in sorted(disputed[: recipe.max_responses]):
        for one, other in combinations(fielded[name], 2):
            if one.score != other.score:
                questions += [(one.id, other.id), (other.id, one.id)]
    return questions


def _in_turn(rows: Sequence[Judgment]) -> list[Judgment]:
    """Judgments with different texts: the first of every score, then the second of every score, and so on."""
    first_of_text = {row.text: row for row in reversed(rows)}
    turn: Counter[float | None] = Counter()
    keyed = []
    for position, row in enumerate(row for row in rows if first_of_text[row.text] is row):
        keyed.append(((turn[row.score], position), row))
        turn[row.score] += 1
    return [row for _, row in sorted(keyed, key=lambda item: item[0])]


def slot_weights(metas: Sequence[MetaJudgment]) -> tuple[float, float]:
    """(w1, w2): what a win from the first and from the second slot counts, over the whole run."""
    wins = Counter(meta.winner for meta in metas)
    total = wins["first"] + wins["second"]
    return (wins["second"] / total, wins["first"] / total) if total else (0.5, 0.5)


def read_verdicts(metas: Sequence[MetaJudgment]) -> dict[tuple[str, str], int]:
    """Outcomes by ordered pair. Raises DataError when one order was answered twice."""
    verdicts: dict[tuple[str, str], int] = {}
    for meta in metas:
        order = (meta.first_id, meta.second_id)
        if order in verdicts:
            raise DataError(f"meta-judgment {meta.id}: {order} is already answered; expected one verdict per order")
        verdicts[order] = _OUTCOMES[meta.winner]
    return verdicts


def battle_matrix(ids: Sequence[str], verdicts: Verdicts, weights: tuple[float, float]) -> NDArray[np.float64]:
    """B with `B[m, n]` the weight of m's wins over n, each win weighted by the slot it came from."""
    first_slot, second_slot = weights
    matrix = np.zeros((len(ids), len(ids)))
    for m, one in enumerate(ids):
        for n, other in enumerate(ids):
            from_first = verdicts.get((one, other)) == 1
            from_second = verdicts.get((other, one)) == -1
            matrix[m, n] = first_slot * from_first + second_slot * from_second
    return matrix


def agreed_matrix(ids: Sequence[str], verdicts: Verdicts) -> NDArray[np.float64]:
    """B with one win for each battle whose two orders name the same winner."""
    both = battle_matrix(ids, verdicts, (0.5, 0.5))
    return np.where(both == 1.0, both, 0.0)


def hold_battles(metas: Sequence[MetaJudgment], recipe: MetaRecipe) -> tuple[list[Standing], MetaSummary]:
    """How the judgments of each response stand, by response id, and the meta-judge's own statistics."""
    weights = slot_weights(metas)
    by_response: defaultdict[str, list[MetaJudgment]] = defaultdict(list)
    for meta in metas:
        by_response[meta.response_id].append(meta)
    standings: list[Standing] = []
    battles = agreed = 0
    for response_id in sorted(by_response):
        verdicts = read_verdicts(by_response[response_id])
        ids = sorted({name for order in verdicts for name in order})
        both = agreed_matrix(ids, verdicts)
        battles += len({frozenset(order) for order in verdicts})
        agreed += int(both.sum())
        wins = both if recipe.battles == "agreed" else battle_matrix(ids, verdicts, weights)
        fitted = strengths(wins, recipe.ridge).round(_DECIMALS) + 0.0
        standings.append(
            Standing(response_id, tuple(ids), tuple(fitted.tolist()), tuple(tuple(row) for row in wins.tolist()))
        )
    winners = Counter(meta.winner for meta in metas)
    summary = MetaSummary(
        battles=battles,
        agreed=agreed,
        agreement=agreed / battles if battles else None,
        first_wins=winners["first"],
        second_wins=winners["second"],
        ties=winners["tie"],
        unreadable=winners[None],
        weights=weights,
    )
    return standings, summary
