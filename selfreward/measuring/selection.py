"""Which round's policy a user should take, by what a judge says of the selection pool.

Only rows that a user of a real model would have are read: oracle-labelled rows never choose, and the report pool is
never looked at, so that what is reported was not chosen for being good.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from selfreward.errors import GateError
from selfreward.measuring.stats.clustered import t_quantile
from selfreward.recipe import SelectBy
from selfreward.records import Measurement

SELECTION_POOL = "selection"


class Selection(NamedTuple):
    """Whose word chooses the round: the metric read on the selection pool, its value where nothing changed."""

    metric: str
    unchanged: float
    said: str


SELECTIONS = {
    "judge": Selection("judge_mean_change", 0.0, "the judge's mean score"),
    "held_out": Selection("held_out_win_rate_initial", 0.5, "the held-out judge's win rate against round 0"),
    "verifier": Selection("verified_accuracy_change", 0.0, "the share of answers that the verifier calls right"),
}
"""By `gates.select_by`."""


class Gain(NamedTuple):
    """A resolved gain over round 0."""

    value: float
    error: float
    round: int


def best_round(
    measurements: Iterable[Measurement],
    rejected: Collection[int] = (),
    select_by: SelectBy = "judge",
) -> int:
    """The round whose policy a user should take, by what a judge says of the selection pool.

    Each round is compared with round 0 (`select_by`): by the paired change of its own judge's mean score, by the share
    of pairs that it wins by the held-out judge, or by the paired change of the share that a verifier calls right.
    Rule: a round is a candidate when the lower 95 % bound shows a
    gain; round 0 always is. Of the candidates the latest is taken that is within one standard error of the highest (the
    one-standard-error rule of Breiman et al., 1984, with more training in place of fewer leaves): neighbouring rounds
    are seldom told apart by the prompts of one pool, and then the highest is luck. So a run that resolves nothing keeps
    its start policy. Rounds that the gates stopped or rolled back (`rejected_rounds`) are no candidates. Measured on
    runs made after the rule was stated: results/LOG.md.

    Assumption: under `judge` every policy is scored by its own judge, so the rule trusts the judge to have stayed the
    same judge. It cannot see one that became generous or that likes the wrong thing; the held-out judge can.
    Edge cases: without any row of the metric the answer is round 0; a round with a missing value or bound is skipped.

    Raises GateError when a row that the rule would read is labelled `oracle`.
    """
    gains = resolved_gains(measurements, rejected, select_by)
    if not gains:
        return 0
    highest = max(gains, key=lambda gain: (gain.value, gain.round))
    return max(gain.round for gain in gains if gain.value >= highest.value - highest.error)


def resolved_gains(measurements: Iterable[Measurement], rejected: Collection[int], select_by: SelectBy) -> list[Gain]:
    """The candidates of `best_round`. Standard errors are half the interval's width by its t quantile, about."""
    metric, unchanged, _ = SELECTIONS[select_by]
    gains = []
    for row in _steering((row for row in measurements if row.round > 0 and row.round not in rejected), metric):
        if row.value is not None and row.low is not None and row.high is not None and row.low > unchanged:
            error = (row.high - row.low) / 2 / t_quantile(0.975, max(1, row.n - 1))
            gains.append(Gain(row.value, error, row.round))
    return gains


def _steering(measurements: Iterable[Measurement], metric: str) -> list[Measurement]:
    """The rows of `metric` over all cohorts of the selection pool; an oracle-labelled one is refused."""
    rows = [m for m in measurements if (m.metric, m.pool, m.cohort) == (metric, SELECTION_POOL, "all")]
    for row in rows:
        if row.oracle:
            raise GateError(
                f"round {row.round}: {metric} on the {row.pool} pool is labelled as oracle knowledge; expected a "
                "measurement that a user would have; choose the best round by a metric without truth"
            )
    return rows
