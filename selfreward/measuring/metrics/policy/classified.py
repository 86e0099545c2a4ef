"""How much of a cohort's answers is of the kind that it asks a classifier about? As flagged, and less its errors.

    cohort_flagged              share of answers that the classifier flags: probability at or above the threshold
    cohort_flagged_change       the same minus round 0's, paired by prompt: low > 0 is a regression
    cohort_flagged_probability  mean probability of the label
    cohort_flagged_any          share of prompts of which at least one answer is flagged
    cohort_flagged_highest      mean over prompts of the highest probability among their answers (expected maximum)
    cohort_flagged_corrected    the share that is really of that kind: corrected for both errors (Rogan-Gladen)
    cohort_flagged_unclipped    that share before it was clipped to 0 and 1; only where it is outside of them
    cohort_flagged_hits         the classifier's true-positive rate on its labelled rows
    cohort_flagged_false        its false-positive rate on them

Of cohorts with `verifier: classifier`. Texts that do not fit into the classifier are excluded and counted; the change
excludes prompts that only one of the rounds has a value for. `any` and `highest` grow with the number of answers
(`measure.cohort_samples`; RealToxicityPrompts, 2009.11462, takes 25): compare them at one. The last four need
`classifier.labelled`: without it nothing is corrected, and `cohort_flagged` is what the classifier says, errors and
all. The corrected share's interval carries the uncertainty of the answers and of both rates
(measuring/stats/corrected.py); it has none where no share fits the labelled rows, which are then unlike these answers.
A change of `cohort_flagged` is the true one times (hits - false): its sign is right and its size too small. `n` of the
two rates counts labelled rows, not prompts.
"""

from collections.abc import Sequence
from typing import Literal

from selfreward.measuring.evidence import ByClassifier, CohortRows, Evidence
from selfreward.measuring.metrics.about import SHARE, About, Metric
from selfreward.measuring.metrics.answers import Answer, clusters, join, row
from selfreward.measuring.metrics.families import COHORTS
from selfreward.measuring.metrics.policy.cohorts import POOLS
from selfreward.measuring.metrics.worries import CLOSER, ROLL_BACK, Regressed
from selfreward.measuring.stats.clustered import (
    Estimate,
    cluster_means,
    clustered_mean,
    clustered_share,
    paired_difference,
    within_share,
)
from selfreward.measuring.stats.corrected import corrected_share, errors_of
from selfreward.records import Measurement

Better = Literal["higher", "lower", ""]

ABOUT = About(
    "classified",
    (
        Metric("cohort_flagged", "answers that its classifier flags", COHORTS, scale=SHARE, by_cohort="only"),
        Metric(
            "cohort_flagged_change",
            "answers that its classifier flags, change",
            COHORTS,
            worries=(Regressed((ROLL_BACK, CLOSER)),),
            by_cohort="only",
        ),
        Metric("cohort_flagged_probability", "classifier's mean probability", COHORTS, scale=SHARE, by_cohort="only"),
        Metric("cohort_flagged_any", "prompts with a flagged answer", COHORTS, scale=SHARE, by_cohort="only"),
        Metric("cohort_flagged_highest", "highest probability of a prompt", COHORTS, scale=SHARE, by_cohort="only"),
        Metric("cohort_flagged_corrected", "flagged, less its errors", COHORTS, scale=SHARE, by_cohort="only"),
        Metric("cohort_flagged_unclipped", "flagged, less its errors, unclipped", COHORTS, by_cohort="only"),
        Metric("cohort_flagged_hits", "labelled rows that it rightly flags", COHORTS, scale=SHARE, by_cohort="only"),
        Metric("cohort_flagged_false", "labelled rows that it wrongly flags", COHORTS, scale=SHARE, by_cohort="only"),
    ),
    after="cohort_score_change",
)


def measure(evidence: Evidence) -> list[Measurement]:
    rows = []
    for cohort in evidence.cohorts:
        if cohort.classifier is None:
            continue
        now = join(cohort.now, f"cohort {cohort.name} of round {evidence.round}")
        before = join(cohort.initial, f"cohort {cohort.name} of round 0") if evidence.round else []
        for pool in POOLS:
            inside, start = ([one for one in side if one.prompt.pool == pool] for side in (now, before))
            if inside:
                rows += _rows(evidence, cohort, cohort.classifier, pool, inside, start)
    return rows


def _rows(
    evidence: Evidence,
    cohort: CohortRows,
    by: ByClassifier,
    pool: str,
    now: Sequence[Answer],
    before: Sequence[Answer],
) -> list[Measurement]:
    def row_of(name: str, found: Estimate, excluded: int = 0, better: Better = "lower") -> Measurement:
        return row(evidence, name, found, pool=pool, cohort=cohort.name, excluded=excluded, better=better)

    flags, asked = _flags(now, by.threshold)
    left = len(now) - len(flags)
    share = clustered_share(flags, asked)
    rows = [row_of("cohort_flagged", share, left)]
    if before:
        change = paired_difference(cluster_means(flags, asked), cluster_means(*_flags(before, by.threshold)))
        prompts = len({answer.prompt.id for answer in (*now, *before)})
        rows.append(row_of("cohort_flagged_change", change, prompts - change.n))
    values = [answer.score for answer in now if answer.score is not None]
    rows.append(row_of("cohort_flagged_probability", within_share(clustered_mean(values, asked)), left))
    unread = len({answer.prompt.id for answer in now} - {*asked})
    for name, estimator, of in (("any", clustered_share, flags), ("highest", clustered_mean, values)):
        highest = _highest(of, asked)
        found = estimator([*highest.values()], [*highest])
        rows.append(row_of(f"cohort_flagged_{name}", within_share(found), unread))
    return [*rows, *(row_of(*told) for told in _corrected(share, by, left))]


def _corrected(share: Estimate, by: ByClassifier, left: int) -> list[tuple[str, Estimate, int, Better]]:
    """The rows that need labels; none without."""
    if not by.labels:
        return []
    errors = errors_of(by.flags, by.labels)
    rows: list[tuple[str, Estimate, int, Better]] = [
        ("cohort_flagged_hits", errors.true_positives, 0, "higher"),
        ("cohort_flagged_false", errors.false_positives, 0, "lower"),
    ]
    found = corrected_share(share, errors)
    if found is not None:
        rows.append(("cohort_flagged_corrected", found.estimate, left, "lower"))
        if found.unclipped != found.estimate.value:
            rows.append(("cohort_flagged_unclipped", Estimate(found.unclipped, None, None, share.n), left, ""))
    return rows


def _flags(answers: Sequence[Answer], threshold: float) -> tuple[list[float], list[str]]:
    """Whether each answer that was read is flagged, and its prompt."""
    known = [answer for answer in answers if answer.score is not None]
    return [float(answer.score >= threshold) for answer in known if answer.score is not None], clusters(known)


def _highest(values: Sequence[float], prompts: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for value, prompt in zip(values, prompts, strict=True):
        found[prompt] = max(value, found.get(prompt, 0.0))
    return found
