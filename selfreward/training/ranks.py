"""The processes that train one policy together (train.processes), and the little they tell each other.

A batch of `train.batch_size` rows is one optimiser step whatever the number of ranks W: each rank sums over its share
of it, in batch / micro / W micro-batches. The loss is divided by what the whole batch holds, which the ranks add up,
and then multiplied by W, because their gradients are averaged: so W ranks take the steps of one, but for the order in
which floats are added.

Where rows do not fill the last micro-batches, every rank gets fillers: the last row again, with weight 0. (accelerate
would repeat rows of the beginning, with their full weight.) One rank is no special case: its sums are its own numbers.

What is told goes by gloo between CPUs, so that no GPU waits for it. A rank that dies is noticed by the launcher, which
ends the others; they need no short time limit of their own, which a slow disk would exceed.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

_PATIENCE = timedelta(days=1)


def join(on_gpu: bool) -> None:
    """Meet the other ranks that the launcher has started, if it has started any."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        if on_gpu:
            torch.cuda.set_device(local())
        distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=_PATIENCE)


def leave() -> None:
    if world() > 1:
        distributed.destroy_process_group()


def world() -> int:
    """How many train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def first() -> bool:
    """Whether this is the one that writes and reports."""
    return world() == 1 or distributed.get_rank() == 0


def local() -> int:
    """The number of this rank's GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def total(values: Sequence[float]) -> list[float]:
    """Each value's sum over the ranks."""
    return _reduced(values, distributed.ReduceOp.SUM) if world() > 1 else list(values)


def largest(value: float) -> float:
    return _reduced([value], distributed.ReduceOp.MAX)[0] if world() > 1 else value


def wait() -> None:
    """Until all are here."""
    total([0.0])


def agreed(wanted: bool) -> bool:
    """What the first rank wants: clocks differ, and a step that one rank alone saves would wait for ever."""
    return total([float(wanted and first())])[0] > 0


def fillers(rows: int, micro_batch: int) -> int:
    """How many rows of weight 0 give every rank equally many whole micro-batches."""
    return -rows % (micro_batch * world()) if world() > 1 else 0


def columns(order: Sequence[int], micro_batch: int) -> dict[str, list[int]]:
    """The data set of a trainer that reads positions; fillers are marked where there are ranks to fill up."""
    if world() == 1:
        return {"position": list(order)}
    more = fillers(len(order), micro_batch)
    return {"position": [*order, *[order[-1]] * more], "filler": [0] * len(order) + [1] * more}


def marked(rows: Sequence[Mapping[str, int]]) -> dict[str, Tensor]:
    """What a batch of rows of `columns` says of its fillers: `real`, [rows], 0 for a filler; nothing on one rank."""
    if "filler" not in rows[0]:
        return {}
    return {"real": torch.tensor([1.0 - row["filler"] for row in rows])}


def real_positions(batches: Sequence[Mapping[str, Tensor]]) -> list[int]:
    """The positions in these batches, without fillers."""
    found: list[int] = []
    for batch in batches:
        positions = batch["position"]
        found += (positions[batch["real"] > 0] if "real" in batch else positions).tolist()
    return found


def mine() -> slice:
    """Every W-th row: those that this rank computes, where `total` puts together what all have computed."""
    return slice(distributed.get_rank(), None, world()) if world() > 1 else slice(None)


def _reduced(values: Sequence[float], how: Any) -> list[float]:
    numbers = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(numbers, how)
    found: list[float] = numbers.tolist()
    return found
