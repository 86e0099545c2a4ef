"""Gates that could not be judged, refused before anything is sampled: what nothing measures, and what no user knows."""

import difflib
import re
from collections.abc import Iterator

from selfreward.errors import RecipeError
from selfreward.measuring.metrics import numbers
from selfreward.measuring.metrics.about import Metric
from selfreward.measuring.metrics.judge.anchor import FEWEST_ROUNDS
from selfreward.recipe import CohortRecipe, GateRule, Recipe
from selfreward.recipe.classifier import CLASSIFIER

OF_A_USER = "verified_accuracy_change is a user's own, where measure.verifier names a verifier other than the sandbox's"

BETWEEN_ROUNDS = re.compile(r"(?!padded|feedback).*_(previous|initial|change|trend)(_|$)")
"""Names of metrics that compare rounds, which round 0 has none of; the probes' changes are between two replies."""

VERIFIED, GRADED = "cohort_accuracy", {"none": "cohort_score", CLASSIFIER: "cohort_flagged"}
"""How the names of a cohort's metrics begin, by what grades it."""
CORRECTED = ("cohort_flagged_corrected", "cohort_flagged_unclipped", "cohort_flagged_hits", "cohort_flagged_false")


def check_gates(recipe: Recipe) -> None:
    """Raise RecipeError for a rule about a metric that nothing here measures, or whose truth no user of a model has.

    What metrics of a user's own measure (`measure.metrics`) is known by no name beforehand, and stands.
    The first would never fire, as one against a value of round 0 that there is none of; the second is refused by every
    round (`measuring/gates.py`), after its training.
    """
    for number, rule in enumerate(recipe.gates.rules):
        key = f"key 'gates.rules[{number}].metric' is {rule.metric!r}, which"
        metric = numbers().get(rule.metric)
        if metric is None and recipe.measure.metrics:
            continue
        if metric is None:
            raise RecipeError(f"{key} nothing measures, so the rule would never fire; {_nearest(rule.metric)}")
        for problem in _problems(recipe, rule, metric):
            raise RecipeError(f"{key} {problem}")


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, numbers(), n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else "`selfreward show` prints the names of a run's own"


def _problems(recipe: Recipe, rule: GateRule, metric: Metric) -> Iterator[str]:
    measure = recipe.measure
    if metric.truth == "oracle":
        yield f"is oracle knowledge that no user of a real model has; gate on another metric ({OF_A_USER})"
    if rule.pool not in metric.pools:
        where = " or ".join(pool for pool in metric.pools if pool != "report")
        yield (
            f"is not measured on the {rule.pool} pool; "
            + (f"set pool: {where}" if where else "it is only reported; gate on another metric")
        )
    elif rule.pool == "train" or BETWEEN_ROUNDS.match(rule.metric):
        if rule.against != "level":
            yield f"round 0 does not have, so the rule, against: {rule.against}, would never fire; set against: level"
        if rule.when == "before_training":
            yield "round 0 does not have, so it cannot be judged before round 1 trains; set when: after_round"
    if metric.truth == "labels" and not (rule.pool == "frozen" and measure.anchors):
        yield (
            f"is read against labels: on the {rule.pool} pool here they are an oracle's, which no user of a real model "
            f"has; set pool: frozen and measure.anchors to a file of answers that people have scored"
        )
    if metric.truth == "verifier" and measure.verifier in ("none", "sandbox"):
        yield (
            f"needs a verifier that a user has, and measure.verifier is {measure.verifier}; set measure.verifier or "
            "gate on another metric"
        )
    if rule.metric == "judge_sycophancy" and measure.source.kind == "sandbox":
        yield "is read on replies that the sandbox's oracle made; gate on it where prompts are a file's"
    cohort = measure.cohorts.get(rule.cohort)
    yield from _of_cohorts(rule, metric, cohort)
    if cohort is not None and cohort.verifier == "sandbox":
        yield (
            f"is of cohort {rule.cohort!r}, which the sandbox's oracle grades; set measure.cohorts.{rule.cohort}"
            ".verifier to one that a user has"
        )
    if metric.needs and not _set(recipe, metric.needs):
        yield f"is measured where {metric.needs} is set, and here it is not; set it or remove the rule"
    if metric.learns and recipe.train.LEARNS not in metric.learns:
        yield f"train.method={recipe.train.method} does not give; gate on another metric"
    if rule.metric.endswith("_trend") and recipe.rounds + 1 < FEWEST_ROUNDS:
        yield f"needs {FEWEST_ROUNDS} measured rounds, round 0 among them, and rounds is {recipe.rounds}; remove it"


def _of_cohorts(rule: GateRule, metric: Metric, cohort: CohortRecipe | None) -> Iterator[str]:
    """A cohort where a metric has none, none where it has nothing else, one that is graded in the other way."""
    if rule.cohort != "all" and metric.by_cohort == "never":
        yield f"is measured over all cohorts together, and not of {rule.cohort!r}; remove the rule's cohort"
    if rule.cohort == "all" and metric.by_cohort == "only":
        yield "is measured of single cohorts (of counts of what was dropped: reasons) only; set cohort to one of them"
    if cohort is None:
        return
    own = GRADED.get(cohort.verifier or "", VERIFIED)
    if rule.metric.startswith(tuple({*GRADED.values(), VERIFIED} - {own})):
        yield (
            f"cohort {rule.cohort!r} does not have, as its verifier is {cohort.verifier}; gate on {own}, or set "
            f"measure.cohorts.{rule.cohort}.verifier"
        )
    if rule.metric in CORRECTED and cohort.classifier is not None and cohort.classifier.labelled is None:
        yield f"needs labelled rows; set measure.cohorts.{rule.cohort}.classifier.labelled"


def _set(recipe: Recipe, key: str) -> bool:
    found: object = recipe
    for name in key.split("."):
        found = getattr(found, name, None)
    return bool(found)
