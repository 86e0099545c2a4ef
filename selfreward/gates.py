"""What a run decides from its own measurements: whether its verdicts can be used, and which round is best.

Only rows that a user of a real model would have are read: oracle-labelled rows never steer, and the report pool is
never looked at, so that what is reported was not chosen for being good.
"""

from collections.abc import Iterable, Sequence

from selfreward.errors import GateError
from selfreward.records import Judgment, Measurement

SELECTION_POOL = "selection"
SELECTION_METRIC = "judge_mean"
CHANGE_METRIC = "judge_mean_change"


def best_round(measurements: Iterable[Measurement]) -> int:
    """The round whose policy a user should take, by the judge's mean score on the selection pool.

    Rule: a round is a candidate when the lower bound of its paired change against round 0 (`judge_mean_change`) is
    above 0; round 0 always is. Of the candidates the one with the highest mean score wins, and the earlier one of two
    equals. So a later round must earn its place, and a run that resolves nothing keeps its start policy.

    Assumption: every policy is scored by its own judge, so the rule trusts the judge to have stayed the same judge. It
    cannot see a judge that became generous; `judge_minus_truth` is there for that where truth is known.
    Edge cases: without any row of the metric the answer is round 0; a round with a missing value or change is skipped.

    Raises GateError when a row that the rule would read is labelled `oracle`.
    """
    means = _steering(measurements := list(measurements), SELECTION_METRIC)
    changes = _steering(measurements, CHANGE_METRIC)
    candidates = [(row.value, -row.round) for row in means.values() if row.value is not None and row.round == 0]
    for number, change in changes.items():
        mean = means.get(number)
        if number > 0 and change.low is not None and change.low > 0 and mean is not None and mean.value is not None:
            candidates.append((mean.value, -number))
    return -max(candidates)[1] if candidates else 0


def _steering(measurements: Sequence[Measurement], metric: str) -> dict[int, Measurement]:
    """Round → the row of `metric` over all cohorts of the selection pool; an oracle-labelled one is refused."""
    rows = [m for m in measurements if (m.metric, m.pool, m.cohort) == (metric, SELECTION_POOL, "all")]
    for row in rows:
        if row.oracle:
            raise GateError(
                f"round {row.round}: {metric} on the {row.pool} pool is labelled as oracle knowledge; expected a "
                "measurement that a user would have; choose the best round by a metric without truth"
            )
    return {row.round: row for row in rows}


def require_readable(judgments: Sequence[Judgment], minimum: float, number: int) -> None:
    """Raise GateError when the share of readable verdicts of round `number` is below `minimum` (or there are none)."""
    readable = sum(judgment.score is not None for judgment in judgments)
    share = readable / len(judgments) if judgments else 0.0
    if judgments and share >= minimum:
        return
    reasons: dict[str, int] = {}
    for judgment in judgments:
        if judgment.unreadable is not None:
            reasons[judgment.unreadable] = reasons.get(judgment.unreadable, 0) + 1
    counted = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items(), key=lambda item: -item[1]))
    raise GateError(
        f"round {number}: {readable} of {len(judgments)} verdicts could be read ({share:.0%}); expected at least "
        f"{minimum:.0%} (gates.min_readable). Reasons: {counted or 'no verdict was asked for'}. Look at the judge's "
        "replies in judgments.jsonl; a larger judge.sampling.max_tokens or another judge.template usually helps"
    )
