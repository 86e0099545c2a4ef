"""What a run has spent of what its recipe allows it.

Asked before every piece of work that is owed (a chunk of rows, a training) and never in one, so nothing half is sealed:
chunks that are done stay, and the same command with a higher limit goes on with the next one. A run may thus spend as
much more than a limit as one piece takes.

Assumption: what a killed process had asked of served models is in no journal and is not counted.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from selfreward.errors import LimitError
from selfreward.recipe import LimitsRecipe
from selfreward.store.run import Run


@dataclass
class Allowance:
    """`asked` is the cost of served models since this process began. Without a run nothing is limited."""

    limits: LimitsRecipe = field(default_factory=LimitsRecipe)
    run: Run | None = None
    asked: Callable[[], float] = lambda: 0.0
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._begun = self.clock()
        # The journal is told of this process's own cost at its end only.
        self._cost_before = served_cost(self.run) if self.run else 0.0

    def require(self, ahead: str) -> None:
        """Raises LimitError where a limit is reached; `ahead` is the piece of work that is not begun any more."""
        for key, spent, limit, unit in self._spent():
            if limit is not None and spent >= limit:
                said = f"{spent:,}" if isinstance(spent, int) else f"{spent:,.4g}"
                raise LimitError(
                    f"limits.{key} is {limit:,}, and {said} {unit}: stopped in good order before {ahead}. "
                    f"{_how_to_go_on(key)}"
                )

    def _spent(self) -> list[tuple[str, float, float | None, str]]:
        limits, run = self.limits, self.run
        if run is None:
            return []
        hours = (self.clock() - self._begun) / 3600
        tokens = sampled(run) if limits.tokens is not None else 0
        return [
            ("hours", hours, limits.hours, "hours have passed since this command began"),
            ("tokens", tokens, limits.tokens, "tokens have been sampled in this run"),
            ("cost", self._cost_before + self.asked(), limits.cost, "have been spent on served models in this run"),
        ]


def _how_to_go_on(key: str) -> str:
    if key == "hours":
        return "The same command goes on, for as long again"
    return f"The same command with a higher limits.{key}, or limits.{key}=null, goes on"


def sampled(run: Run) -> int:
    """Tokens of all sealed artifacts, and of the finished chunks of the one that is being made."""
    return run.tokens_underway + sum(seal.tokens for number in run.rounds() for seal in run.seals(number))


def served_cost(run: Run) -> float:
    """What earlier processes of this run spent on served models, from the journal."""
    reports = (event["report"] for event in run.events() if event.get("event") == "served")
    return sum(float(counts["cost"]) for report in reports for counts in report.values())
