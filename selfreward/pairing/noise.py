"""How far a frozen reference believes each preference, as its weight (nrDPO, Applied Sciences 2025, 15(19), 10328).

With l(y | x) the mean log-probability of a token of y under the reference, and x' the truncated context:

    m  = l(chosen | x) - l(rejected | x)                 signed: a label against the reference counts less
    w  = s(m / t) * c * (min(|chosen|, |rejected|) / max)^k           s = 1 / (1 + e^-x), |y| in tokens
    t  = median |m| of the round's pairs
    c  = 1 where m has the same sign under x', else `context`
    weight = w / mean w of the pairs that are kept, times the weight that the pair had
    gate   = of n pairs the floor(gate * n) with the lowest m are dropped (`low reference margin`)

Unverified: the paper was read in its abstract, which names the three factors (confidence of the margin under a frozen
reference, stability where history is cut, length) and the gate, not their formulas; these are ours. x' is the last
user's turn alone where there are several turns, else the second half of its words.

Assumption: under the reference likelier means better. That can hold where answers come from elsewhere; of a policy's
own samples both are likely and m is noise, and where the likeliest answer is often wrong (docs/methods/cream.md) the
weights prefer mistakes. Labels that are turned half of the time hold no information: what is learned then is the
reference. The mean weight is 1, so that the steps are as large as without.

Edge cases. Where every m is 0 all confidences are 1/2. Pairs of an earlier round keep the weight of their round, and
judgment pairs theirs; neither counts in t, the gate or the mean.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence

from selfreward.pairing.mixing import EARLIER
from selfreward.recipe import NrdpoWeights
from selfreward.records import Drop, Likelihood, Message, Pair, Prompt, pair_drop


def weighable(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs whose label is of this round."""
    return [pair for pair in pairs if pair.kind == "answer" and not pair.source.startswith(EARLIER)]


def truncated(prompt: Prompt) -> Prompt:
    """The last user's turn alone, or of a single turn the second half of its words."""
    if len(prompt.messages) > 1:
        return dataclasses.replace(prompt, messages=(Message("user", prompt.text),))
    words = prompt.text.split()
    return dataclasses.replace(prompt, messages=(Message("user", " ".join(words[len(words) // 2 :])),))


def margins(rows: Sequence[Likelihood]) -> list[float]:
    """m of each pair, from its two rows."""
    means = [math.fsum(row.logprobs) / len(row.logprobs) for row in rows]
    return [chosen - rejected for chosen, rejected in zip(means[::2], means[1::2], strict=True)]


def weigh(
    pairs: Sequence[Pair], whole: Sequence[float], cut: Sequence[float], recipe: NrdpoWeights
) -> tuple[list[Pair], list[Drop]]:
    """The pairs with their weights, and those that the gate drops; `whole` and `cut` are their margins, x and x'."""
    order = sorted(range(len(pairs)), key=lambda place: (whole[place], pairs[place].id))
    stopped = set(order[: math.floor(recipe.gate * len(pairs))])
    drops = [
        pair_drop("answer", pair.prompt_id, "low reference margin", f"{whole[place]:.3g} nats by token", pair.id)
        for place, pair in enumerate(pairs)
        if place in stopped
    ]
    scale = statistics.median(map(abs, whole)) if pairs else 0.0
    raw = [
        believed(pair, m, m_cut, scale, recipe) if place not in stopped else 0.0
        for place, (pair, m, m_cut) in enumerate(zip(pairs, whole, cut, strict=True))
    ]
    kept = len(pairs) - len(stopped)
    mean = math.fsum(raw) / kept if kept else 1.0
    return [
        dataclasses.replace(pair, weight=pair.weight * raw[place] / mean)
        for place, pair in enumerate(pairs)
        if place not in stopped
    ], drops


def believed(pair: Pair, whole: float, cut: float, scale: float, recipe: NrdpoWeights) -> float:
    """w of a pair; always above 0."""
    confidence = 0.5 * (1 + math.tanh(whole / scale / 2)) if scale else 0.5
    stable = _sign(whole) == _sign(cut)
    lengths = len(pair.chosen_token_ids), len(pair.rejected_token_ids)
    # The sigmoid of a margin that is far below the others is 0 in floats, and a round of such pairs had no mean.
    return max(confidence, 1e-6) * (1.0 if stable else recipe.context) * (min(lengths) / max(lengths)) ** recipe.length


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
