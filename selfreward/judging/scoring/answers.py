"""From a round's judgments to one score per answer, as `judge.aggregate` wants it."""

from collections.abc import Sequence

from selfreward.judging.scoring.adaptive import shrunken
from selfreward.judging.scoring.ensemble import ensemble_scores
from selfreward.judging.scoring.pointwise import aggregate
from selfreward.judging.scoring.score import Score
from selfreward.recipe import JudgeRecipe
from selfreward.records import Drop, Judgment


def score_answers(judgments: Sequence[Judgment], recipe: JudgeRecipe) -> tuple[dict[str, Score], list[Drop]]:
    """(score by response id, answers that lost theirs and why). Only an ensemble drops.

    Where verifier and model share the judging, a verifier's verdict stays what it is: it is exact, and nobody's noise.
    """
    certain = [row for row in judgments if row.source == "verifier"]
    asked = [row for row in judgments if row.source != "verifier"]
    if recipe.ensemble is not None:
        scores, drops = ensemble_scores(asked, recipe)
    elif recipe.adaptive is not None:
        scores, drops = shrunken(asked, recipe.adaptive), []
    else:
        return aggregate(judgments, recipe.average), []
    return {**aggregate(certain, recipe.average), **scores}, drops
