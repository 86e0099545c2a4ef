"""Several judges, prompts or models: the score is the mean of their means, and where they disagree there is none.

    score = mean_m s_m,   s_m = mean (or median) of member m's readable scores;   disagreement = max_m s_m - min_m s_m

Every member weighs the same, however many of its verdicts could be read. An answer that a member could not read at all
has no agreement to speak of: it is dropped where a bound is set, and scored by the others where none is. Agreement is
not truth: members with one blind spot agree. Members that are the same weights asked with the same words, as `policy`
and `initial` are in the first round, count as one.
"""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence

from selfreward.judging.scoring.pointwise import aggregate
from selfreward.judging.scoring.score import Score
from selfreward.recipe import JudgeRecipe
from selfreward.records import Drop, Judgment, pair_drop


def ensemble_scores(judgments: Sequence[Judgment], recipe: JudgeRecipe) -> tuple[dict[str, Score], list[Drop]]:
    """(score by response id, a Drop "low agreement" for every answer that the bound takes away)."""
    by_member: defaultdict[tuple[str, str], list[Judgment]] = defaultdict(list)
    for judgment in judgments:
        by_member[judgment.judge, judgment.template].append(judgment)
    of_answer: defaultdict[str, list[Score]] = defaultdict(list)
    for member in sorted(by_member):
        for name, score in aggregate(by_member[member], recipe.average).items():
            of_answer[name].append(score)
    bound = recipe.ensemble.max_disagreement if recipe.ensemble else None
    unreadable = Counter(judgment.response_id for judgment in judgments if judgment.score is None)
    found: dict[str, Score] = {}
    drops: list[Drop] = []
    for name in sorted({judgment.response_id for judgment in judgments}):
        values = [score.value for score in of_answer[name]]
        apart = max(values) - min(values) if values else 0.0
        if bound is not None and (len(values) < len(by_member) or apart > bound):
            told = f"members differ by {apart:.3g}, at most {bound:g} allowed; {len(values)} could be read"
            drops.append(pair_drop("answer_score", name, "low agreement", told))
        elif values:
            found[name] = Score(
                value=math.fsum(values) / len(values),
                readable=sum(score.readable for score in of_answer[name]),
                unreadable=unreadable[name],
                spread=float(statistics.variance(values)) if len(values) > 1 else None,
            )
    return found, drops
