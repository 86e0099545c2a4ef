"""What was measured of a system, and how it is shown."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from baselines.systems import pause, processor_seconds, resume


@dataclass
class Timed:
    """A system and what was measured of it. `first` is its round to warm up, `warm_up` that round's number."""

    system: Any
    warms_up: bool = True
    warm_up: int = 1
    repeats: int = 3
    start: float = 0.0
    first: float | None = None
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)
    check: str = ""

    def begin(self) -> None:
        begun = time.perf_counter()
        self.system.start()
        self.start = time.perf_counter() - begun
        if self.warms_up:
            begun = time.perf_counter()
            self.system.round(self.warm_up)
            self.first = time.perf_counter() - begun
        pause(self.system.root)

    def measure(self, number: int) -> None:
        resume(self.system.root)
        cpu, begun = processor_seconds(self.system.root), time.perf_counter()
        self.facts.append(self.system.round(number))
        self.seconds.append(time.perf_counter() - begun)
        self.processor.append(processor_seconds(self.system.root) - cpu)
        pause(self.system.root)


def ratio(timed: Mapping[str, Timed], ours_: str, other: str, measured: str = "seconds") -> str:
    """How many times as long the other takes: median and range of the turns that were taken together."""
    found = turns(timed, ours_, other, measured)
    return f"{statistics.median(found):.2f} [{min(found):.2f}, {max(found):.2f}] (n = {len(found)})"


def turns(timed: Mapping[str, Timed], ours_: str, other: str, measured: str) -> list[float]:
    pairs = zip(getattr(timed[other], measured), getattr(timed[ours_], measured), strict=False)
    return [theirs / mine for theirs, mine in pairs]


def row(name: str, one: Timed) -> list[str]:
    facts = one.facts
    rate = [fact["judge_tokens"] / fact["judge_seconds"] for fact in facts]
    hits = [fact["hits"] / fact["queries"] for fact in facts if fact.get("queries")]
    middle = {
        key: statistics.median(fact[key] for fact in facts) for key in ("judgments", "pairs", "gap", "not_reversed")
    }
    return [
        name,
        f"{one.start:.1f}" if one.start > 0.05 else "",
        "" if one.first is None else f"{one.first:.1f}",
        f"{statistics.median(one.seconds):.2f} [{min(one.seconds):.2f}, {max(one.seconds):.2f}]",
        f"{statistics.median(one.processor):.2f}",
        f"{middle['judgments']:.0f}",
        f"{statistics.median(rate):.0f}",
        f"{statistics.median(hits):.2f}" if hits else "",
        f"{middle['pairs']:.0f}",
        f"{middle['gap']:.2f}",
        f"{middle['not_reversed']:.2f}",
        one.check,
    ]


HEADER = ["system", "start s", "first s", "steady round s [min, max]", "CPU s", "judgments", "judge tokens/s"]
HEADER += ["cache hits", "pairs", "oracle gap", "not reversed", "check"]


def table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (HEADER, ["---"] * len(HEADER), *rows))
