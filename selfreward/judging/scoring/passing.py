"""Verifier first, the judge among what passed: one scale on which no failing answer is above one that passes.

    fails                      LOWEST
    passes, judged with s      (HIGHEST + s) / 2, so from the middle of the scale to its end; a spread is quartered
    passes, nobody was asked   HIGHEST: the only one of its prompt that passes

A pair of a passing and a failing answer is thus at least half of the scale apart, two passing ones at most: with
`pairs.min_gap` of half of the scale none of the latter are left. An answer that passes and whose judgments could not be
read has no score, nor has one that the verifier leaves open.
"""

from collections.abc import Mapping
from dataclasses import replace

from selfreward.judging.scoring.score import Score
from selfreward.recipe.scale import HIGHEST

PASSES = HIGHEST / 2
"""What the worst answer that passes is worth."""


def among_passing(verdicts: Mapping[str, Score], judged: Mapping[str, Score]) -> dict[str, Score]:
    """Scores by response id, of the verifier's LOWEST and HIGHEST and of the judge's scores of what passed."""
    lifted = {
        name: replace(
            score,
            value=(HIGHEST + score.value) / 2,
            spread=None if score.spread is None else score.spread / 4,
        )
        for name, score in judged.items()
    }
    return {**verdicts, **lifted}
