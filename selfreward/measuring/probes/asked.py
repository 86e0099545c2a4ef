"""What the replies to a probe's questions say, one value for each question; their mean is the measurement.

A probe is a generator: it yields conversations, is sent one reply to each, and returns its values. So it sees no engine
and is tested with a scripted person. The values, not their mean, are kept: rounds and models that were asked the same
are compared question by question.

    <metric>          mean of the values; a share has Wilson's interval, a difference a t-interval
    <metric>_change   the same minus round 0's, paired by question, where both rounds have a value

Every metric of the probes gets both. `n` counts clusters (questions that differ only in who asks are one); `excluded`
are questions without a value: unreadable replies, or a condition of the metric that does not hold.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from selfreward.measuring.evidence import AskedValue
from selfreward.measuring.stats.clustered import (
    Estimate,
    cluster_means,
    clustered_mean,
    clustered_share,
    paired_difference,
)
from selfreward.records import Measurement, Pool, Prompt, stable_id

Better = Literal["higher", "lower", ""]


Probe = Generator[Sequence[Prompt], Sequence[str], list[AskedValue]]
"""Yields conversations whose last turn is the user's, is sent one reply to each, returns what they say."""


def values(
    metric: str,
    questions: Mapping[str, str],
    found: Mapping[str, float],
    *,
    share: bool,
    better: Better,
    pool: Pool = "report",
    oracle: bool = False,
) -> list[AskedValue]:
    """A value for every question; `questions` maps each to its cluster, and those that `found` lacks are left out."""
    facts: dict[str, Any] = {"share": share, "better": better, "pool": pool, "oracle": oracle}
    return [
        AskedValue(stable_id(pool, metric, name, ""), metric, name, cluster, found.get(name), **facts)
        for name, cluster in questions.items()
    ]


def moved(rows: Iterable[AskedValue], pool: Pool) -> list[AskedValue]:
    """The same values as measurements of another pool."""
    return [replace(row, pool=pool, id=stable_id(pool, row.metric, row.question, row.cohort)) for row in rows]


def measured(rows: Sequence[AskedValue], *, round: int, policy: str) -> list[Measurement]:
    """One measurement per metric, pool and cohort, in the order in which they first occur."""
    results = []
    for cohort, group in _groups(rows):
        known = [(row.value, row.cluster) for row in group if row.value is not None]
        estimate = (clustered_share if group[0].share else clustered_mean)(
            [value for value, _ in known], [cluster for _, cluster in known]
        )
        results.append(_measurement(group, "", cohort, estimate, len(group) - len(known), round, policy))
    return results


def changes(rows: Sequence[AskedValue], before: Sequence[AskedValue], *, round: int, policy: str) -> list[Measurement]:
    """`rows` minus `before`, question by question. `excluded` are questions that only one side has a value for."""
    earlier = {(group[0].metric, group[0].pool, cohort): group for cohort, group in _groups(before)}
    results = []
    for cohort, group in _groups(rows):
        start = earlier.get((group[0].metric, group[0].pool, cohort))
        if start is not None:
            estimate, excluded = difference(group, start)
            results.append(_measurement(group, "_change", cohort, estimate, excluded, round, policy))
    return results


def difference(rows: Sequence[AskedValue], before: Sequence[AskedValue]) -> tuple[Estimate, int]:
    """The paired difference of one metric's values, and how many questions are not in it."""
    sides = [{row.question: row for row in side if row.value is not None} for side in (rows, before)]
    common = sorted(sides[0].keys() & sides[1].keys())
    means = [
        cluster_means([side[name].value or 0.0 for name in common], [side[name].cluster for name in common])
        for side in sides
    ]
    asked = {row.question for row in (*rows, *before)}
    return paired_difference(*means), len(asked) - len(common)


def _groups(rows: Sequence[AskedValue]) -> list[tuple[str, list[AskedValue]]]:
    """The rows of each metric and pool, all together and by cohort."""
    found: dict[tuple[str, str, str], list[AskedValue]] = {}
    for row in rows:
        for cohort in dict.fromkeys(("all", row.cohort)):
            if cohort:
                found.setdefault((row.metric, row.pool, cohort), []).append(row)
    return [(cohort, group) for (_, _, cohort), group in found.items()]


def _measurement(
    group: Sequence[AskedValue], ending: str, cohort: str, estimate: Estimate, excluded: int, round: int, policy: str
) -> Measurement:
    first = group[0]
    return Measurement(
        round=round,
        policy=policy,
        metric=first.metric + ending,
        cohort=cohort,
        pool=first.pool,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        excluded=excluded,
        better=first.better,
        oracle=first.oracle,
    )
