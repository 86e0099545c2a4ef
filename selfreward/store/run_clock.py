"""How long a run still takes, from what its stages have taken so far.

`costs` says what every artifact of every round is expected to cost, in any unit: only their ratios count. A stage that
an earlier round had is expected to take what it took there; any other takes its cost at the pace of all stages so far,
the running one included. So the first minutes give a rough figure, and a whole round a good one. Gates that end a run
early are not foreseen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Key = tuple[int, str]
"""Round and artifact."""


@dataclass
class RunClock:
    costs: Mapping[Key, float] = field(default_factory=dict)
    _seconds: dict[Key, float] = field(default_factory=dict)

    def done(self, round: int, artifact: str, seconds: float) -> None:
        """The artifact is there, now or since an earlier start of the run; to compute it took `seconds`."""
        self._seconds[round, artifact] = seconds

    def left(
        self, round: int, artifact: str, share: float, seconds: float, *, owed: float = 1.0, last: int | None = None
    ) -> float | None:
        """Seconds to the end of the run while `artifact` is done to `share`, after `seconds`; None while unknown.

        `owed`: how much of it this process had to do; what was there before says nothing about the pace. With `last`,
        to the end of that round.
        """
        running = (round, artifact)
        spent = {key: taken for key, taken in self._seconds.items() if self.costs.get(key) and taken > 0}
        cost = sum(self.costs[key] for key in spent) + share * owed * self.costs.get(running, 0.0)
        if cost <= 0:
            return None
        pace = (sum(spent.values()) + (seconds if running in self.costs else 0.0)) / cost
        rest = seconds * (1 - share) / share if share > 0 else owed * self._expected(running, pace)
        until = max((number for number, _ in self.costs), default=round) if last is None else last
        ahead = (key for key in self.costs if round <= key[0] <= until and key != running and key not in self._seconds)
        return rest + sum(self._expected(key, pace) for key in ahead if not self._never_comes(key, round))

    def _expected(self, key: Key, pace: float) -> float:
        earlier = [number for number, artifact in self._seconds if artifact == key[1] and number < key[0]]
        return self._seconds[max(earlier), key[1]] if earlier else self.costs.get(key, 0.0) * pace

    def _never_comes(self, key: Key, round: int) -> bool:
        """A whole round has passed without it."""
        return round > 1 and all((number, key[1]) not in self._seconds for number in range(round))
