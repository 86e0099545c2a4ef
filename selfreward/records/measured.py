"""What was found out about a policy."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number with its 95 % interval. `n` counts clusters (prompts) unless the metric's docstring says otherwise.

    `oracle` marks rows that used knowledge a real user would not have: gates and selection refuse them. `better` says
    which direction is an improvement, or "" where none is.
    """

    round: int
    policy: str
    metric: str
    cohort: str
    pool: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    excluded: int
    better: Literal["higher", "lower", ""]
    oracle: bool = False
