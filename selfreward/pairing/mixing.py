"""What is trained on beside the round's own pairs: earlier rounds' pairs, and pairs from outside.

With e and x the wanted shares of all pairs and n own ones:

    earlier = e / (1 - e - x) * n        external = x / (1 - e - x) * n        rounded, and never more than there are

SPIN (2401.01335, its code) trains on the previous iteration's pairs too, one half of the data: `earlier_share: 0.5`.
DICE (2406.09760) replays the original human pairs; 20-40 % is what practitioners blend in. Which ones is a lot of the
round. Only pairs that were that round's own are taken (never mixed ones again, so a share stays a share), and only
answer pairs: a judgment of an older judge is no example for the newer one. `source` says where a pair comes from:
`round-2:self`, `external:human`. Reference log-probabilities of an earlier pair are forgotten, the reference moved on.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from selfreward.engines.chat import ChatRenderer
from selfreward.recipe import MixRecipe, Recipe
from selfreward.records import Pair, stable_id
from selfreward.tasks.pairs_file import ExternalPair

EARLIER, EXTERNAL = "round-", "external:"


def mix(
    own: Sequence[Pair],
    earlier: Mapping[int, Sequence[Pair]],
    external: Sequence[Pair],
    recipe: MixRecipe,
    *,
    seed: int,
) -> list[Pair]:
    """The pairs to be mixed in; `earlier` is by round number, and holds the rounds that led to this one's policy."""
    wanted = [number for number in earlier if number == max(earlier) or recipe.earlier == "all"]
    past = [_from_round(pair, number) for number in sorted(wanted) for pair in earlier[number] if _own_answer(pair)]
    known = {pair.id for pair in own}
    past = [pair for pair in past if pair.id not in known]
    rest = 1.0 - recipe.earlier_share - recipe.external_share
    sizes = (round_half(recipe.earlier_share / rest * len(own)), round_half(recipe.external_share / rest * len(own)))
    return [*_drawn(past, sizes[0], seed), *_drawn(external, sizes[1], seed)]


def fresh_pairs(pairs: Sequence[ExternalPair], recipe: Recipe, round: int) -> list[ExternalPair]:
    """The pairs of one round where no others are trained on: `prompts.per_round` that no other round has.

    The order depends on the seed and the ids only: going on for more rounds keeps the earlier rounds' pairs.
    """
    order = sorted(pairs, key=lambda pair: stable_id(recipe.seed, "given", pair.id))
    count = recipe.prompts.per_round
    return order[(round - 1) * count : round * count]


def round_half(value: float) -> int:
    """The nearest whole number; a rounding error below a half does not decide."""
    return int(value + 0.5 + 1e-9)


def _own_answer(pair: Pair) -> bool:
    return pair.kind == "answer" and not pair.source.startswith((EARLIER, EXTERNAL))


def _from_round(pair: Pair, number: int) -> Pair:
    source = f"{EARLIER}{number}:{pair.source}"
    return dataclasses.replace(pair, source=source, reference="", reference_chosen=None, reference_rejected=None)


def _drawn(pairs: Sequence[Pair], count: int, seed: int) -> list[Pair]:
    return sorted(pairs, key=lambda pair: stable_id(seed, "mix", pair.id))[:count]


def external_pair(row: ExternalPair, renderer: ChatRenderer) -> Pair:
    """A given pair in the tokens that the model would have sampled."""
    return Pair(
        id=row.id,
        kind="answer",
        prompt_id=row.prompt.id,
        chosen_id=stable_id(row.id, "chosen"),
        rejected_id=stable_id(row.id, "rejected"),
        prompt_token_ids=(),
        chosen_token_ids=renderer.reply_token_ids(row.chosen),
        rejected_token_ids=renderer.reply_token_ids(row.rejected),
        chosen_score=1.0,
        rejected_score=0.0,
        source=f"{EXTERNAL}{row.source}",
        label=row.label,
        weight=row.weight,
    )
