"""What a run is doing at this moment, for whoever looks on: `.live.json` in its directory, rewritten once a second.

It is for people. Nothing is decided by it, so it is not fsynced, and a disk that does not take it stops nothing. It
stays where a process was killed and then says how far that one had come. A stage that is over within a second leaves
none.
"""

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

LIVE = ".live.json"


@dataclass(frozen=True, slots=True)
class Beat:
    """`done` of `total` units, `rate` a second, `tokens` in `seconds` by this process. What is left is an estimate in
    seconds, or None while nothing can be said. `time` is when it was told.
    """

    round: int
    artifact: str
    stage: str
    done: int
    total: int | None
    rate: float
    tokens: int
    seconds: float
    left: float | None
    round_left: float | None
    run_left: float | None
    note: str
    time: float

    @property
    def token_rate(self) -> float:
        return self.tokens / max(self.seconds, 1e-9)

    def later(self, now: float | None = None) -> "Beat":
        """The same with what was left shortened by the time since it was told."""
        gone = (time.time() if now is None else now) - self.time

        def shorter(seconds: float | None) -> float | None:
            return None if seconds is None else max(0.0, seconds - gone)

        left, round_left, run_left = map(shorter, (self.left, self.round_left, self.run_left))
        return replace(self, left=left, round_left=round_left, run_left=run_left)


def write_beat(directory: Path, beat: Beat) -> None:
    """Replace the run's beat, whole."""
    beside = directory / f"{LIVE}.tmp"
    with suppress(OSError):
        beside.write_text(json.dumps(asdict(beat)) + "\n", encoding="utf-8")
        beside.replace(directory / LIVE)


def read_beat(directory: Path) -> Beat | None:
    """The last beat, or None where there is none that can be read."""
    try:
        return Beat(**json.loads((directory / LIVE).read_bytes()))
    except (OSError, ValueError, TypeError):
        # ValueError: not JSON; TypeError: the fields of another version
        return None
