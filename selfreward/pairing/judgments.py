"""Judgment pairs (Meta-Rewarding, 2407.19594 §2.3): the judge prompt, and the best against the worst of its judgments.

Each response whose judgments met in battle ends as exactly one Pair or one Drop (`subject` is the response id):

    meta-judge below its floor   the share of battles on which both orders agree is below `min_agreement`: all of them
    no decided battle            no verdict counted, or a meta-judge that always names one slot
    near tie                     the strengths of best and worst differ by less than `min_gap`
    same score                   best and worst judgment give one same score
    truncated                    one of the two has no end: it is no example of a judgment
    too long                     the chosen one has more than `max_chosen_chars` (judges like length)
    contradicted                 in their own battle the rejected one won
    class cap, share cap         see `caps.py`

`control: coin_flip` keeps the very same pairs and draws the winner of each by coin: what remains of a gain is what the
pairs do without the meta-judge's information.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from selfreward.errors import DataError
from selfreward.judging.scoring.score import MetaSummary, Standing
from selfreward.pairing.candidates import first_by_lot
from selfreward.pairing.caps import refused
from selfreward.recipe import MetaRecipe
from selfreward.records import Drop, Judgment, Pair, pair_drop, seed_for, stable_id


def judgment_pairs(
    judgments: Sequence[Judgment],
    standings: Sequence[Standing],
    summary: MetaSummary,
    recipe: MetaRecipe,
    *,
    answer_pairs: int,
    seed: int,
    source: str = "meta",
) -> tuple[list[Pair], list[Drop]]:
    """Pairs and drops in the order of `standings`.

    `answer_pairs` is the number of answer pairs that these will be trained with.
    """
    by_id = {judgment.id: judgment for judgment in judgments}
    if summary.agreement is not None and summary.agreement < recipe.min_agreement:
        detail = f"agreement {summary.agreement:.3f}, at least {recipe.min_agreement:g} needed"
        reason = "meta-judge below its floor"
        return [], [pair_drop("judgment", standing.response_id, reason, detail) for standing in standings]
    eligible: dict[str, Pair] = {}
    drops: dict[str, Drop] = {}
    for standing in standings:
        picked = _pick(standing, by_id, recipe, seed)
        if isinstance(picked, Drop):
            drops[standing.response_id] = picked
            continue
        eligible[standing.response_id] = _pair(standing, by_id, *picked, source)
    scores = [_score(by_id[pair.chosen_id]) for pair in eligible.values()]
    stopped = refused(list(eligible.values()), scores, answer_pairs, recipe, seed)
    for response_id, pair in eligible.items():
        if pair.id in stopped:
            drops[response_id] = pair_drop("judgment", response_id, stopped[pair.id])
    kept = [pair for pair in eligible.values() if pair.id not in stopped]
    if recipe.control == "coin_flip":
        kept = [_by_coin(pair, seed) for pair in kept]
    return kept, [drops[standing.response_id] for standing in standings if standing.response_id in drops]


def _pick(
    standing: Standing, judgments: Mapping[str, Judgment], recipe: MetaRecipe, seed: int
) -> tuple[int, int] | Drop:
    """Positions of the best and the worst judgment, or the drop that ends this response."""
    strengths = standing.strengths

    def drop(reason: str, detail: str = "") -> Drop:
        return pair_drop("judgment", standing.response_id, reason, detail)

    def one_with(value: float, side: str) -> int:
        equals = [index for index, strength in enumerate(strengths) if strength == value]
        return first_by_lot(equals, lambda index: standing.judgment_ids[index], seed, side)

    if not any(any(row) for row in standing.wins):
        return drop("no decided battle")
    best, worst = one_with(max(strengths), "chosen"), one_with(min(strengths), "rejected")
    gap = strengths[best] - strengths[worst]
    if best == worst or gap < recipe.min_gap:
        return drop("near tie", f"gap {gap:.4g}, at least {recipe.min_gap:g} needed")
    chosen, rejected = (judgments[standing.judgment_ids[index]] for index in (best, worst))
    if _score(chosen) == _score(rejected):
        return drop("same score", f"both give {chosen.score:g}")
    if "length" in (chosen.finish_reason, rejected.finish_reason):
        return drop("truncated")
    if recipe.max_chosen_chars is not None and len(chosen.text) > recipe.max_chosen_chars:
        return drop("too long", f"chosen has {len(chosen.text)} characters, at most {recipe.max_chosen_chars} allowed")
    if standing.wins[worst][best] > standing.wins[best][worst]:
        return drop("contradicted", "the rejected judgment won the direct battle")
    return best, worst


def _score(judgment: Judgment) -> float:
    if judgment.score is None:
        raise DataError(
            f"judgment {judgment.id}: unreadable ({judgment.unreadable}); expected only readable judgments in battles"
        )
    return judgment.score


def _pair(standing: Standing, judgments: Mapping[str, Judgment], best: int, worst: int, source: str) -> Pair:
    chosen, rejected = (judgments[standing.judgment_ids[index]] for index in (best, worst))
    return Pair(
        id=stable_id("pair", "judgment", standing.response_id, *sorted((chosen.id, rejected.id))),
        kind="judgment",
        prompt_id=chosen.prompt_id,
        chosen_id=chosen.id,
        rejected_id=rejected.id,
        prompt_token_ids=(),
        chosen_token_ids=chosen.token_ids,
        rejected_token_ids=rejected.token_ids,
        chosen_score=standing.strengths[best],
        rejected_score=standing.strengths[worst],
        source=source,
    )


def _by_coin(pair: Pair, seed: int) -> Pair:
    pair = dataclasses.replace(pair, source=f"{pair.source}+coin")
    if seed_for(seed, "coin", pair.id) % 2:
        return pair
    return dataclasses.replace(pair.swap(), label=pair.label)
