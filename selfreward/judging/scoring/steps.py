"""Verdicts about the steps of an answer become one score: of the worst step, or of all of them together.

    min       score = 5 * min_i p_i           an answer is as good as its worst step
    product   score = 5 * prod_i p_i          the chance that all are right, were they independent

p_i is P(step i is right): 1 or 0 where a verdict was read, between them where probabilities were. With verdicts the two
are the same. A product falls with every step, so it prefers short answers among equally doubtful ones; the minimum does
not. The first wrong step is the first of which p < 1/2.

Edge cases. One step that could not be read leaves the answer without a score: the unread one could have been the wrong
one, and a minimum over the others would be a guess. That holds where another step is wrong, too, since only answers
that are judged alike can be compared. An answer with one step has its p.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

from selfreward.recipe.scale import HIGHEST
from selfreward.records import StepVerdict

DECIMALS = 3
"""Scores are kept to .001 points, so that rounding of a product makes no order."""


def by_answer(verdicts: Sequence[StepVerdict]) -> Mapping[str, Sequence[StepVerdict]]:
    """The verdicts of each answer, in the order of its steps."""
    found: defaultdict[str, list[StepVerdict]] = defaultdict(list)
    for row in sorted(verdicts, key=lambda row: (row.response_id, row.step)):
        found[row.response_id].append(row)
    return found


def step_score(steps: Sequence[StepVerdict], combine: Literal["min", "product"]) -> float | None:
    """The score 0..5 of one answer, None where one of its steps has no verdict."""
    chances = [row.right for row in steps if row.right is not None]
    if len(chances) < steps[0].steps:
        return None
    return round(HIGHEST * (min(chances) if combine == "min" else math.prod(chances)), DECIMALS)


def first_wrong(steps: Sequence[StepVerdict]) -> int | None:
    """The number, from 1, of the first step that is rather wrong than right; None where none is."""
    return next((row.step for row in steps if row.right is not None and row.right < 0.5), None)


def step_statistics(verdicts: Sequence[StepVerdict]) -> Mapping[str, float | None]:
    """`first_wrong` is its mean place among the answers that have one, 0 for the first step and 1 for the last."""
    answers = by_answer(verdicts)
    read = [steps for steps in answers.values() if all(row.right is not None for row in steps)]
    wrong = [(place - 1) / max(1, len(steps) - 1) for steps in read if (place := first_wrong(steps)) is not None]
    lengths = Counter(len(steps) for steps in answers.values())
    return {
        "answers": len(answers),
        "steps": math.fsum(count * number for count, number in lengths.items()) / len(answers) if answers else None,
        "unreadable": sum(row.unreadable is not None for row in verdicts),
        "all_right": (len(read) - len(wrong)) / len(read) if read else None,
        "first_wrong": math.fsum(wrong) / len(wrong) if wrong else None,
    }
