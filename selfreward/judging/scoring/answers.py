"""From a round's judgments to one score per answer, as the recipe's protocol wants it."""

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
    if not (recipe.ensemble or recipe.adaptive.enabled):
        return aggregate(judgments, recipe.aggregate), []
    scores, drops = ensemble_scores(asked, recipe) if recipe.ensemble else (shrunken(asked, recipe.adaptive), [])
    return {**aggregate(certain, recipe.aggregate), **scores}, drops
