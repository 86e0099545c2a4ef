"""Which kind of feedback a prompt gets, by how uncertain the policy is about it (DAIF, TACL 2025, 13:392).

    u(x) = 1 - mean over the pairs of different samples of x of their ROUGE-L F1        0: all samples are one text

    the share `certain` of the prompts with the lowest u     critique
    the share `refined` after them                           refinement
    all others                                               preference

Unverified: the paper was read in its abstract, which gives critique to tasks of low uncertainty, refinement to medium
and preference to high by an argument of information gain, and not how uncertainty is measured or where the borders
are. Unlikeness of the samples and thirds of the round are ours.

Edge cases. Prompts with fewer than two complete answers have no u, take no part in the ranking, and are left to
preference, whose rule says what they lack. Equal u are ranked by id.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

from selfreward.records import Response
from selfreward.tasks.similarity import rouge_l, words_of

Feedback = Literal["critique", "refinement", "preference"]


def uncertainty(texts: Sequence[str]) -> float:
    """u of one prompt's complete answers, of which there are two or more; equal texts count as often as sampled."""
    words = [words_of(text) for text in texts]
    alike = [1.0 if one == other else rouge_l(one, other) for one, other in combinations(words, 2)]
    return 1.0 - math.fsum(alike) / len(alike)


def divided(responses: Sequence[Response], certain: float, refined: float) -> Mapping[str, Feedback]:
    """By prompt id."""
    texts: defaultdict[str, list[str]] = defaultdict(list)
    for response in responses:
        if response.finish_reason == "stop":
            texts[response.prompt_id].append(response.text)
    doubts = {name: uncertainty(said) for name, said in texts.items() if len(said) > 1}
    ranked = sorted(doubts, key=lambda name: (round(doubts[name], 9), name))
    first, second = round(certain * len(ranked)), round((certain + refined) * len(ranked))
    found: dict[str, Feedback] = dict.fromkeys(ranked[:first], "critique")
    return found | dict.fromkeys(ranked[first:second], "refinement") | dict.fromkeys(ranked[second:], "preference")
