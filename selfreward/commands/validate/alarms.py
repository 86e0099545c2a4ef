"""When does a row of measurements say that something happened?

    fixed      a metric whose value is known where nothing happened (a change 0, a rate .5): its 95 % interval excludes
               that value; a p-value below .05
    change     a level: its difference to round 0's, as the gates compute it (`gates.judge_round`, both directions, at
               2.5 % each), is not 0

Levels that round 0 does not have, and rows without an interval, cannot alarm. The oracle's mark is taken off for the
gates' arithmetic: it forbids steering, and here nothing is steered.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Literal

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.gates import judge_round
from selfreward.measuring.metrics import addresses, numbers
from selfreward.recipe import GateRule, GatesRecipe
from selfreward.records import Measurement

Null = Literal["still", "guessed"]
FIXED: Null = "still"
"""Against the value that a metric has where policy and judge are the same; `..._change` and `..._trend` are 0."""
GUESSED: Null = "guessed"
"""Against the value that it has where scores, verdicts and pairs are drawn by lot.

Best-of-N has none: a judge that guesses once for each distinct text picks a rare text as often as a common one, so it
is truly worse than a random sample.
"""

Rows = Mapping[str, Sequence[Measurement]]
"""Family (the name of its file's `ABOUT`) → its rows."""


def measured(evidence: Evidence, families: Iterable[str] | None = None) -> dict[str, list[Measurement]]:
    """The families' rows, by the family; all of them unless some are named."""
    found = {}
    for family in addresses() if families is None else families:
        module, attribute = addresses()[family].split(":")
        found[family] = getattr(import_module(module), attribute)(evidence)
    return found


def fixed_alarms(now: Rows, values: Null) -> dict[tuple[str, str], int]:
    """(family, metric) → direction in which the interval excludes the metric's value: -1, 0 or 1."""
    found = {}
    for family, rows in now.items():
        for row in rows:
            null = _value(row.metric, values)
            if values == FIXED and row.value is not None and row.metric in numbers() and numbers()[row.metric].p_value:
                found[family, _name(row)] = int(row.value < 0.05)
            elif null is not None and row.low is not None and row.high is not None:
                found[family, _name(row)] = int(row.low > null + 1e-9) - int(row.high < null - 1e-9)
    return found


def change_alarms(now: Rows, initial: Rows) -> dict[tuple[str, str], int]:
    """(family, metric) → direction in which a level differs from round 0's: -1, 0 or 1."""
    found = {}
    for family, rows in now.items():
        before = {(row.metric, row.pool, row.cohort): row for row in initial.get(family, ())}
        for row in rows:
            start = before.get((row.metric, row.pool, row.cohort))
            if start is not None and _value(row.metric, FIXED) is None and None not in (row.low, start.low):
                found[family, _name(row)] = _direction(row, start)
    return found


def _direction(now: Measurement, start: Measurement) -> int:
    rows = [replace(row, pool="gate", cohort="all", oracle=False) for row in (start, now)]
    rules = [
        GateRule(now.metric, above=0.0, against="initial"),
        GateRule(now.metric, below=0.0, against="initial"),
    ]
    up, down = judge_round(GatesRecipe(rules=rules, error=0.05), 1, rows, now.round)
    return int(up.fired) - int(down.fired)


def _name(row: Measurement) -> str:
    """The metric, with what tells its rows apart."""
    where = [] if row.pool in ("report", "gate") else [row.pool]
    return " ".join([row.metric, *where, *([] if row.cohort == "all" else [row.cohort])])


def _value(metric: str, values: Null) -> float | None:
    known = numbers().get(metric)
    return None if known is None else known.null if values == FIXED else known.guessed
