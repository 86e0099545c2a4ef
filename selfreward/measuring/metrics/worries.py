"""When a number is worth an alarm in the report. A metric says which of these it has; `report/alarms.py` looks.

Limits are round numbers, not estimates. A level fires where its whole 95 % interval is beyond the limit.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Changed:
    """The paired interval of last and first round excludes 0 on the side `way` (1 up, -1 down)."""

    way: int
    meaning: str


@dataclass(frozen=True, slots=True)
class Grew:
    """It grew by more than this share of what it was at first; `called` heads the alarm."""

    share: float
    called: str


@dataclass(frozen=True, slots=True)
class Shrank:
    """It lost more than this share of what it was at first; `called` heads the alarm."""

    share: float
    called: str


@dataclass(frozen=True, slots=True)
class Above:
    """A share above `limit`, on the report pool or in training."""

    limit: float


@dataclass(frozen=True, slots=True)
class Beyond:
    """Above (`upward`) or below `limit` on one pool."""

    pool: str
    limit: float
    upward: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Outside:
    """Neither here nor there: a share in training outside of `low` to `high`."""

    low: float
    high: float
    called: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Regressed:
    """A cohort's paired change below 0 in any round."""


@dataclass(frozen=True, slots=True)
class GaveIn:
    """A probe's paired change above 0 in any round."""


@dataclass(frozen=True, slots=True)
class CohortFell:
    """In a cohort of the report pool, the intervals of first and last round do not touch (conservative)."""


Worry = Changed | Grew | Shrank | Above | Beyond | Outside | Regressed | GaveIn | CohortFell
