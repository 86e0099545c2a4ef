"""Chunks in flight: a few are computed at the same time, and they come out in their order.

A chunk ends with its slowest reply, and while that one is waited for an engine that answers many at once has little to
do. An engine that takes several calls at the same time is given the next chunk meanwhile. What is written is the same
as one by one: a chunk is still the unit of sampling, and is appended after those before it. A kill loses what was in
flight, and nothing that was appended.

An engine of one module (transformers) is asked one by one, in the thread that asks.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from selfreward.errors import LimitError


def _nothing() -> None:
    """Nobody waits for anybody."""


@dataclass(frozen=True)
class Ahead:
    """How many chunks are computed at the same time; what makes ready for them, and what ends those that still wait.

    `ready` is called in the thread that asks, where an engine is built and Ctrl-C arrives. After `hang_up` nothing is
    answered until `ready` is called again.
    """

    window: int = 1
    hang_up: Callable[[], None] = _nothing
    ready: Callable[[], None] = _nothing


ALONE = Ahead()

Finished = tuple[int, list[Any], float]
"""A chunk's index, its rows, and the seconds since the chunk before it was finished."""


def in_order(
    compute: Callable[[int], list[Any]], owed: Sequence[int], ahead: Ahead, begin: Callable[[int], None]
) -> Iterator[Finished]:
    """Every chunk that is `owed`, in this order. `begin` is told of each before it is computed.

    Where `begin` raises a LimitError no further chunk is begun; it is raised when those in flight have come out. Any
    other error ends what is in flight, and is raised when its chunk's turn has come.
    """
    last = time.perf_counter()
    if ahead.window == 1:
        for index in owed:
            begin(index)
            last = time.perf_counter()
            rows = compute(index)
            yield index, rows, time.perf_counter() - last
        return
    waiting, flying = deque(owed), deque[tuple[int, Future[list[Any]]]]()
    limit: LimitError | None = None
    if owed:
        ahead.ready()
    pool = ThreadPoolExecutor(ahead.window, thread_name_prefix="chunk")
    try:
        while flying or (waiting and limit is None):
            while waiting and limit is None and len(flying) < ahead.window:
                try:
                    begin(waiting[0])
                except LimitError as reached:
                    limit = reached
                else:
                    flying.append((waiting[0], pool.submit(compute, waiting.popleft())))
            if flying:
                index, future = flying.popleft()
                rows = future.result()
                now = time.perf_counter()
                yield index, rows, now - last
                last = now
    except BaseException:
        # Ctrl-C and a full disk too: nobody waits for answers that nobody will read.
        ahead.hang_up()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if limit is not None:
        raise limit
