"""Systems that take turns, so that a machine with other work slows all alike."""

import math
import os
import time
from collections.abc import Mapping

from baselines.served import Served
from baselines.systems import resume
from baselines.timed import Timed


def take_turns(timed: Mapping[str, Timed], repeats: int, seconds: float = math.inf) -> list[float]:
    """Start all, let them take turns, end them; the machine's load at every turn.

    No turn of all is begun that, by the longest one before, would not end within `seconds`.
    """
    loads, begun, longest = [], time.perf_counter(), 0.0
    try:
        for name, one in timed.items():
            one.begin()
            warmed = "" if one.first is None else f", first round {one.first:.1f} s"
            print(f"{name}: started in {one.start:.1f} s{warmed}", flush=True)
        names = list(timed)
        for repeat in range(repeats):
            turn = time.perf_counter()
            if turn + longest > begun + seconds:
                break
            # Another one begins each time, so that nobody always follows the same neighbour.
            for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
                one = timed[name]
                if repeat < one.repeats:
                    loads.append(os.getloadavg()[0])
                    one.measure(repeat + 2)
                    print(f"{name}: {one.seconds[-1]:.2f} s, {one.processor[-1]:.2f} CPU s {one.facts[-1]}", flush=True)
            longest = max(longest, time.perf_counter() - turn)
        for one in timed.values():
            resume(one.system.root)
            if isinstance(one.system, Served):
                one.check = f"weights differ by {one.system.difference():.1e} nats"
            elif hand_offs := one.facts[-1].get("hand-offs"):
                one.check = "hand-offs: " + ", ".join(f"{count} by {kind}" for kind, count in hand_offs.items())
    finally:
        for one in timed.values():
            resume(one.system.root)
            one.system.close()
    return loads
