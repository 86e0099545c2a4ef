"""What a reader should worry about, each alarm with the numbers that fired it. First of all: `judge_skill.py`.

What is worth an alarm, every metric says itself (`worries` of its `ABOUT`); here it is looked for, kind by kind.
Changes fire where the paired 95 % interval against round 0 excludes 0 (report pool; these alarms do not steer, and with
several of them one in some runs fires by chance). Levels fire where the whole interval is beyond a round number.
Probes share one error of 5 % over all of them and all rounds (Bonferroni, `risen`): one alarms where its paired change
is above 0 at its share of that. A regression is a cohort of the recipe whose paired change is below 0 with its whole
interval, in any round. Co-adaptation (`forces.py`) is corrected for its signs and rounds.
Each names the keys of the recipe that work against it, with what stands there in this run (`keys_against`).
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TypeVar

from selfreward.measuring.metrics import numbers
from selfreward.measuring.metrics.worries import (
    OTHER_JUDGE,
    ROLL_BACK,
    Above,
    Beyond,
    Changed,
    CohortFell,
    GaveIn,
    Grew,
    Outside,
    Regressed,
    Remedy,
    Shrank,
)
from selfreward.measuring.stats.clustered import TAIL, t_quantile
from selfreward.recipe import walk
from selfreward.records import Measurement
from selfreward.report.catalogue import place, words
from selfreward.report.compare import compare_rounds
from selfreward.report.forces import moving, signs
from selfreward.report.judge_skill import Alarm, judge_skill
from selfreward.report.reading import Key, Reading
from selfreward.report.tables import number_text

Kind = TypeVar("Kind")
LONGEST_VALUE = 40
ERROR = 0.05
"""The chance that any probe's change alarms in a run in which nothing changes."""


def alarms(reading: Reading) -> list[Alarm]:
    """Every alarm of the run: whether the judge can judge, then changes, then levels."""
    found = [
        *judge_skill(reading),
        *_changes(reading),
        *_regressions(reading),
        *_levels(reading),
        *_judges(reading),
        *_cohorts(reading),
        *_co_adaptation(reading),
    ]
    now = {key: str(value) for key, value, _ in walk(reading.recipe)}
    return [
        dataclasses.replace(
            alarm,
            remedies=tuple(one for one in alarm.remedies if not one.value or now.get(one.key) != one.value),
        )
        for alarm in found
    ]


def keys_against(reading: Reading, alarm: Alarm) -> list[tuple[Remedy, str]]:
    """The alarm's remedies, each with the value that the run has there; "" where its recipe has no such key."""
    now = {key: value for key, value, _ in walk(reading.recipe)}
    return [(remedy, _short(now[remedy.key]) if remedy.key in now else "") for remedy in alarm.remedies]


def _short(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def worried(kind: type[Kind]) -> list[tuple[str, Kind]]:
    """(metric, worry) of one kind, in the order of the report."""
    return [(one.name, worry) for one in numbers().values() for worry in one.worries if isinstance(worry, kind)]


def _changes(reading: Reading) -> Iterator[Alarm]:
    first, last = reading.rounds[0], reading.rounds[-1]
    if first == last:
        return
    changed, grew, shrank = dict(worried(Changed)), dict(worried(Grew)), dict(worried(Shrank))
    for row in compare_rounds(reading, reading, first, last):
        estimate = row.difference.estimate
        if estimate.low is None or estimate.high is None:
            continue
        change = number_text(estimate.value, estimate.low, estimate.high, signed=True)
        evidence = f"round {last} against round {first}, paired by prompt: {change}"
        worry = changed.get(row.metric)
        if worry and (estimate.low > 0 if worry.way > 0 else estimate.high < 0):
            yield Alarm(f"{words(row.metric)}:", f"{worry.meaning} ({evidence}).", worry.remedies)
        longer = grew.get(row.metric)
        if longer and estimate.low > longer.share * row.before:
            by = f"answers grew by more than {longer.share:.0%} ({evidence}, from {row.before:.1f} tokens)."
            yield Alarm(f"{longer.called}:", by, longer.remedies)
        shorter = shrank.get(row.metric)
        if shorter and estimate.high < -shorter.share * row.before:
            by = f"answers lost more than {shorter.share:.0%} ({evidence}, from {row.before:.1f} tokens)."
            yield Alarm(
                f"{shorter.called}:",
                f"{by} What is right only because it is short is no gain: see accuracy at equal length.",
                shorter.remedies,
            )


def _regressions(reading: Reading) -> Iterator[Alarm]:
    regressed = dict(worried(Regressed))
    for key, found in reading.by_key.items():
        if key.metric in regressed:
            fallen = [row for row in found.values() if _is_worse(row)]
            if fallen:
                side = "above" if fallen[0].better == "lower" else "below"
                what = (
                    f"{words(key.metric.removesuffix('_change'))} {side} round {reading.rounds[0]}, {place(key.pool)}"
                )
                paired = f"paired by prompt, n {max(row.n for row in fallen)}"
                yield Alarm(
                    f"regression of cohort {key.cohort}:",
                    f"{what}, {_in_rounds(fallen)} ({paired}).",
                    regressed[key.metric].remedies,
                )
    yield from _gave_in(reading)


def _gave_in(reading: Reading) -> Iterator[Alarm]:
    """The probes' changes, as many as they are."""
    asked = dict(worried(GaveIn))
    keys = [Key(metric, pool) for metric in asked for pool in ("report", "gate")]
    found = {key: list(reading.by_key.get(key, {}).values()) for key in keys}
    beyond = risen([row for rows in found.values() for row in rows])
    for key, rows in found.items():
        fired = [row for row in rows if row in beyond]
        if fired:
            what = f"rose against round {reading.rounds[0]}, paired by question, {place(key.pool)}"
            head = f"{words(key.metric.removesuffix('_change'))}:"
            yield Alarm(head, f"{what}, {_in_rounds(fired)}.", asked[key.metric].remedies)


def risen(rows: Sequence[Measurement]) -> list[Measurement]:
    """Which of a run's changes are above 0, at an error of 5 % for all of them together.

    Each has its share of the error, one-sided, and never more than its 95 % interval leaves on that side; the interval
    is widened to it by the ratio of t quantiles with n - 1 degrees of freedom, as the gates do. So a run in which
    nothing changes has an alarm with a chance of 5 % at most, however the probes depend on each other.
    """
    told = [row for row in rows if row.value is not None and row.low is not None and row.n > 1]
    level = min(1 - TAIL, ERROR / max(1, len(told)))

    def bound(row: Measurement) -> float:
        assert row.value is not None and row.low is not None
        wider = t_quantile(1 - level, row.n - 1) / t_quantile(TAIL, row.n - 1)
        return row.value - wider * (row.value - row.low)

    return [row for row in told if bound(row) > 0]


def _is_worse(change: Measurement) -> bool:
    """The whole interval lies on the side that is not better."""
    if change.better == "lower":
        return change.low is not None and change.low > 0
    return change.high is not None and change.high < 0


def _levels(reading: Reading) -> Iterator[Alarm]:
    for metric, above in worried(Above):
        for pool in ("report", "train"):
            found = reading.by_key.get(Key(metric, pool), {})
            beyond = [row for row in found.values() if row.low is not None and row.low > above.limit]
            if beyond:
                yield Alarm(
                    f"{words(metric)}:",
                    f"above {above.limit:.0%}, {place(pool)}, {_in_rounds(beyond)}.",
                    above.remedies,
                )
    for metric, band in worried(Outside):
        rows = reading.by_key.get(Key(metric, "train"), {}).values()
        outside = [
            row
            for row in rows
            if row.low is not None and row.high is not None and (row.low > band.high or row.high < band.low)
        ]
        if outside:
            yield Alarm(f"{band.called}:", f"{band.meaning} {_in_rounds(outside)}.", band.remedies)


def _judges(reading: Reading) -> Iterator[Alarm]:
    for metric, worry in worried(Beyond):
        found = reading.by_key.get(Key(metric, worry.pool), {}).values()
        beyond = [row for row in found if _is_beyond(row, worry.limit, worry.upward)]
        if beyond:
            yield Alarm(f"{words(metric)}:", f"{worry.meaning} ({_in_rounds(beyond)}).", worry.remedies)


def _is_beyond(row: Measurement, limit: float, upward: bool) -> bool:
    """The whole interval, or the value of a row that is a fact and has none."""
    end = row.low if upward else row.high
    if row.n == 0:
        end = row.value
    return end is not None and (end > limit if upward else end < limit)


def _cohorts(reading: Reading) -> Iterator[Alarm]:
    first, last = reading.rounds[0], reading.rounds[-1]
    fell = dict(worried(CohortFell))
    for key, found in reading.by_key.items():
        if key.metric not in fell or key.pool != "report" or key.cohort == "all":
            continue
        before, after = found.get(first), found.get(last)
        if before and after and before.low is not None and after.high is not None and after.high < before.low:
            texts = [number_text(row.value, row.low, row.high) for row in (before, after)]
            what = words(key.metric)
            yield Alarm(
                f"cohort {key.cohort}:",
                f"{what} fell from {texts[0]} to {texts[1]} by round {last}.",
                fell[key.metric].remedies,
            )


def _co_adaptation(reading: Reading) -> Iterator[Alarm]:
    """Of the three forces the one that is a fault whatever else the run shows; its error is that of all three."""
    if len(reading.rounds) > 1 and (shown := moving(signs(reading)).get("co-adaptation")):
        seen = "; ".join(sign.said for sign in shown)
        meaning = f"the judge moves with the policy that it judges ({seen})."
        yield Alarm("co-adaptation:", meaning, (OTHER_JUDGE, ROLL_BACK))


def _in_rounds(rows: Sequence[Measurement]) -> str:
    return "; ".join(f"round {row.round}: {number_text(row.value, row.low, row.high)}" for row in rows)
