"""Did anything else get worse? Each cohort is a set of prompts of its own, with a verifier or a judge that grades it.

    cohort_accuracy           share of answers that are right by the cohort's verifier
    cohort_score              mean score by the cohort's judge, where no verifier grades it
    cohort_accuracy_change    the same minus round 0's, paired by prompt: high < 0 is a regression
    cohort_score_change

The row's cohort is the name in the recipe, and its pool the one that the recipe deals it to. Answers that the verifier
leaves open, or without a readable verdict, are excluded and counted; the changes exclude prompts that only one of the
rounds has a value for. A judge that is the same in every round (`measure.cohort_judge`) makes a change the policy's
alone. The questions bring their truth, so only a verifier of the sandbox's makes oracle rows.
"""

from collections.abc import Sequence
from typing import Literal

from selfreward.measuring.evidence import CohortRows, Evidence
from selfreward.measuring.metrics.about import About, Metric, down
from selfreward.measuring.metrics.answers import Answer, clusters, join, row
from selfreward.measuring.metrics.families import COHORTS
from selfreward.measuring.metrics.worries import CLOSER, ROLL_BACK, Regressed
from selfreward.measuring.stats.clustered import cluster_means, clustered_mean, clustered_share, paired_difference
from selfreward.records import Measurement

ABOUT = About(
    "cohorts",
    (
        Metric("cohort_accuracy", "accuracy", COHORTS, by_cohort="only"),
        Metric(
            "cohort_accuracy_change",
            "accuracy, change",
            COHORTS,
            planted=(down("worse answers", "letters"),),
            worries=(Regressed((ROLL_BACK, CLOSER)),),
            by_cohort="only",
        ),
        Metric("cohort_score", "judge's score", COHORTS, by_cohort="only"),
        Metric(
            "cohort_score_change",
            "judge's score, change",
            COHORTS,
            worries=(Regressed((ROLL_BACK, CLOSER)),),
            by_cohort="only",
        ),
    ),
)

POOLS = ("gate", "report")


def measure(evidence: Evidence) -> list[Measurement]:
    rows = []
    for cohort in evidence.cohorts:
        if cohort.classifier is not None:
            continue  # classified.py
        now = join(cohort.now, f"cohort {cohort.name} of round {evidence.round}")
        before = join(cohort.initial, f"cohort {cohort.name} of round 0") if evidence.round else []
        for pool in POOLS:
            inside = [answer for answer in now if answer.prompt.pool == pool]
            if inside:
                start = [answer for answer in before if answer.prompt.pool == pool]
                rows += _rows(evidence, cohort, pool, inside, start)
    return rows


def _rows(
    evidence: Evidence, cohort: CohortRows, pool: str, now: Sequence[Answer], before: Sequence[Answer]
) -> list[Measurement]:
    metric, estimator = (
        ("cohort_score", clustered_mean) if cohort.verifier is None else ("cohort_accuracy", clustered_share)
    )
    values, prompts = graded(cohort, now)
    better: Literal["higher"] = "higher"
    level = estimator(values, prompts)
    excluded = len(now) - len(values)
    rows = [
        row(
            evidence,
            metric,
            level,
            pool=pool,
            cohort=cohort.name,
            excluded=excluded,
            better=better,
            oracle=cohort.oracle,
        )
    ]
    if before:
        change = paired_difference(cluster_means(values, prompts), cluster_means(*graded(cohort, before)))
        asked = {answer.prompt.id for answer in (*now, *before)}
        rows.append(
            row(
                evidence,
                f"{metric}_change",
                change,
                pool=pool,
                cohort=cohort.name,
                excluded=len(asked) - change.n,
                better=better,
                oracle=cohort.oracle,
            )
        )
    return rows


def graded(cohort: CohortRows, answers: Sequence[Answer]) -> tuple[list[float], list[str]]:
    """The grades of the answers that have one, and their prompt ids."""
    known: list[tuple[float, Answer]] = []
    for answer in answers:
        if cohort.verifier is None:
            grade = answer.score
        else:
            truth = cohort.verifier.check(answer.prompt, answer.response.text)
            grade = None if truth.open else float(truth.correct)
        if grade is not None:
            known.append((grade, answer))
    return [grade for grade, _ in known], clusters([answer for _, answer in known])
