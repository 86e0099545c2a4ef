"""How artifacts are named: the one place where a name is put together and taken apart.

    judgments                           a judge's rows, and what they were made of:
    judgments_first, judgments_further  adaptive N's first pass and what was still open after it
    judgments_0, judgments_1 ...        an ensemble's members; judgments_0_comparisons of those that compare
    judgments_comparisons               a pairwise judge's verdicts
    judgments_speeches                  what was said before them, where two answers are debated
    judgments_lists                     a listwise judge's
    judgments_steps                     a stepwise judge's
    responses_0, responses_1 ...        the generators' answers, where several answer
    cohort_judgments_own_<K>            of the cohorts with a question of their own, the K-th's
    cohort_classified_<K>               of the cohorts that a classifier grades, the K-th's probabilities
    cohort_labelled_<K>                 the same of its labelled rows, once
    held_out_<pool>                     the held-out judge's rows; `..._of_round_<K>` of earlier answers, scored again

Any judge's rows are named so: judgments, model_judgments, eval_judgments, frozen_judgments, held_out_report ...
"""

import re
from collections.abc import Sequence

JUDGMENTS, MODEL_JUDGMENTS = "judgments", "model_judgments"
"""The judgments that a round trains on, and the model's own where a verifier judges first."""
FIRST, FURTHER, COMPARISONS, LISTS, STEPS = "first", "further", "comparisons", "lists", "steps"
SPEECHES = "speeches"
_PART = re.compile(rf"(?:_(?:{FIRST}|{FURTHER}|{COMPARISONS}|{LISTS}|{STEPS}|{SPEECHES}|\d+))+$")


def part_of(artifact: str, part: str | int) -> str:
    """The name of what a judge's artifact is made of."""
    return f"{artifact}_{part}"


def whole_of(artifact: str) -> str:
    """The judge's artifact that a part belongs to; itself where it is whole."""
    return _PART.sub("", artifact)


def cohort_artifact(apart: Sequence[str], cohort: str | None = None) -> str:
    """Judgments of all cohorts, or of one with a question of its own, by its place among these."""
    return "cohort_judgments" if cohort is None else part_of("cohort_judgments_own", apart.index(cohort))


def held_out_artifact(pool: str, of_round: int | None = None) -> str:
    return f"held_out_{pool}" + ("" if of_round is None else f"_of_round_{of_round}")
