"""When a number is worth an alarm in the report. A metric says which of these it has; `report/alarms.py` looks.

Limits are round numbers, not estimates. A level fires where its whole 95 % interval is beyond the limit. `remedies` are
recipe keys that work against it, the first to try first: what people change, not what is known to help in this run.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remedy:
    """A key of the recipe, and what to set it to. Where it already stands at `value`, this is no remedy."""

    key: str
    how: str
    value: str = ""


OTHER_JUDGE = Remedy("judge.model", "initial, or another model: a judge that training does not move")
CLOSER = Remedy("train.beta", "higher: the policy stays closer to its reference")
ROLL_BACK = Remedy("gates.rules", "a rule on it with action rollback: such a round is not trained on")
FINER = Remedy("judge.reading.kind", "probability: a score between the points", "probability")
QUESTION = Remedy("judge.question.template", "a prompt that says what does not count")
SHORTER = Remedy("pairs.rule", "length_tiers or z_length: of equals the shorter answer is chosen")


@dataclass(frozen=True, slots=True)
class Changed:
    """The paired interval of last and first round excludes 0 on the side `way` (1 up, -1 down)."""

    way: int
    meaning: str
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True)
class Grew:
    """It grew by more than this share of what it was at first; `called` heads the alarm."""

    share: float
    called: str
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True)
class Shrank:
    """It lost more than this share of what it was at first; `called` heads the alarm."""

    share: float
    called: str
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True)
class Above:
    """A share above `limit`, on the report pool or in training."""

    limit: float
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True)
class Beyond:
    """Above (`upward`) or below `limit` on one pool."""

    pool: str
    limit: float
    upward: bool
    meaning: str
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True)
class Outside:
    """Neither here nor there: a share in training outside of `low` to `high`."""

    low: float
    high: float
    called: str
    meaning: str
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True)
class Regressed:
    """A cohort's paired change to the worse in any round: below 0, or above it where lower is better."""

    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True)
class GaveIn:
    """A probe's paired change above 0 in any round."""

    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True, slots=True)
class CohortFell:
    """In a cohort of the report pool, the intervals of first and last round do not touch (conservative)."""

    remedies: tuple[Remedy, ...] = ()


Worry = Changed | Grew | Shrank | Above | Beyond | Outside | Regressed | GaveIn | CohortFell
