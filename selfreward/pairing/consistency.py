"""Consistency of two rankings as soft labels (CREAM, 2410.12735 §4.2).

For each prompt the answers are ranked by the current and by the previous policy's implicit reward; with Kendall's tau:

    C = (tau + 1) / 2 of the prompt (`consistency: prompt`), or its mean over the prompts (`set`)
    loss = C * L(chosen, rejected) + (1 - C) * L(rejected, chosen): the pair's label is C

Decisions. tau-b, so ties are seen. A prompt with fewer than two answers, or with a constant ranking, has no tau (NaN):
it is counted, left out of the mean, and under `prompt` its pair is dropped ("consistency undefined"), as are all pairs
of a set without any tau. In the first round nothing came before the policy: there is no C and labels stay as they are.

Below 1/2 the label would reverse the preference. `clip` raises it to 1/2 (the loss then pulls the margin back to 0),
`skip` drops the pair, `literal` follows the paper. Every prompt's tau and what was done are written down, joined by id.

C compares the judge with its own past and never with the truth: a collapsed judge has C = 1.
"""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfreward.judging.scoring.score import Score
from selfreward.recipe import ImplicitReward
from selfreward.records import Drop, Pair, Response, pair_drop

WHOLE_SET = "set"
"""The id of the row about all prompts together."""


@dataclass(frozen=True, slots=True)
class Consistency:
    """How far two policies rank the answers of a prompt alike; `id` is the prompt's, or `set` for the mean of them.

    `answers` is how many were ranked, for the set how many prompts have a tau. `label` is what C became under
    `inconsistent`, None where the pairs are dropped or, in the first round, nothing came before.
    """

    id: str
    answers: int
    tau: float | None
    consistency: float | None
    label: float | None
    below_half: bool


def compare_rankings(
    responses: Sequence[Response],
    current: Mapping[str, Score],
    previous: Mapping[str, Score] | None,
    recipe: ImplicitReward,
) -> list[Consistency]:
    """One row per prompt and one about the set; scores are by response id, `previous` is None in the first round."""
    answers: defaultdict[str, list[str]] = defaultdict(list)
    for response in responses:
        if response.id in current and (previous is None or response.id in previous):
            answers[response.prompt_id].append(response.id)
    rows = []
    for prompt_id, ids in answers.items():
        tau = None
        if previous is not None:
            tau = kendall([current[answer].value for answer in ids], [previous[answer].value for answer in ids])
        rows.append(_row(prompt_id, len(ids), tau, recipe))
    taus = [row.tau for row in rows if row.tau is not None]
    return [*rows, _row(WHOLE_SET, len(taus), math.fsum(taus) / len(taus) if taus else None, recipe)]


def kendall(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Kendall's tau-b, or None where one of the rankings is constant or has fewer than two answers."""
    if len(set(one)) < 2 or len(set(other)) < 2:
        return None
    from scipy.stats import kendalltau

    return float(kendalltau(one, other).statistic)


def _row(id: str, answers: int, tau: float | None, recipe: ImplicitReward) -> Consistency:
    if tau is None:
        return Consistency(id, answers, None, None, None, below_half=False)
    consistency = min(1.0, max(0.0, (tau + 1) / 2))
    below = consistency < 0.5
    label: float | None = consistency
    if below and recipe.inconsistent != "literal":
        label = 0.5 if recipe.inconsistent == "clip" else None
    return Consistency(id, answers, tau, consistency, label, below)


def soften(
    pairs: Sequence[Pair], rows: Sequence[Consistency], recipe: ImplicitReward, *, first: bool
) -> tuple[list[Pair], list[Drop]]:
    """The pairs with their soft labels, and those that C drops. In the `first` round nothing is changed.

    A label that a pair already has is kept in proportion: p becomes C p + (1 - C)(1 - p), and p = 1 becomes C.
    """
    if recipe.consistency == "none" or first:
        return list(pairs), []
    by_id = {row.id: row for row in rows}
    kept: list[Pair] = []
    drops: list[Drop] = []
    for pair in pairs:
        row = by_id.get(WHOLE_SET if recipe.consistency == "set" else pair.prompt_id)
        if row is None or row.consistency is None:
            drops.append(pair_drop("answer", pair.prompt_id, "consistency undefined", "no ranking to compare", pair.id))
        elif row.label is None:
            detail = f"C = {row.consistency:.3f}"
            drops.append(pair_drop("answer", pair.prompt_id, "consistency below 1/2", detail, pair.id))
        else:
            label = row.label * pair.label + (1 - row.label) * (1 - pair.label)
            kept.append(dataclasses.replace(pair, label=label))
    return kept, drops
