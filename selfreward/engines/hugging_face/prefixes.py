"""Beginnings that the prompts of a batch have in common: a rubric, few-shot examples. Pure.

Rows whose first `SHARED_FROM` tokens are equal share a head, all that they have in common; a head is read once and its
keys and values are copied to its rows, which then read their tails. A row that shares with nobody is cut as well,
because heads stand in one tensor and tails in another.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

SHARED_FROM = 64
"""Tokens that rows must have in common to be worth a second forward pass. No prompt of the sandbox is as long."""

_WORTH = 0.8
"""Heads and tails are read apart where they are at most this share of the positions that whole rows are."""

_WIDER = 1.1
"""Heads and tails are padded apart, so the cache may become wider than whole rows would make it, by this much."""

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SharedHeads:
    """`heads[head_of[i]] + tails[i]` is row i; no head and no tail is empty."""

    heads: tuple[Tokens, ...]
    head_of: tuple[int, ...]
    tails: tuple[Tokens, ...]


def shared_heads(rows: Sequence[Sequence[int]]) -> SharedHeads | None:
    """How to read `rows` with equal beginnings read once, or None where that saves too little."""
    groups: dict[Tokens, list[int]] = {}
    for index, row in enumerate(rows):
        # One token at least is left to the tail: its logits are what is wanted.
        alone = len(row) <= SHARED_FROM
        groups.setdefault((-1, index) if alone else tuple(row[:SHARED_FROM]), []).append(index)
    common = {key: _common([rows[index] for index in members]) for key, members in groups.items() if len(members) > 1}
    if not common or any(len(row) < 2 for row in rows):
        return None
    longest = max(common.values())
    heads: list[Tokens] = []
    head_of, tails = [0] * len(rows), [Tokens()] * len(rows)
    for key, members in groups.items():
        cut = common.get(key) or min(longest, len(rows[members[0]]) - 1)
        for index in members:
            head_of[index], tails[index] = len(heads), tuple(rows[index][cut:])
        heads.append(tuple(rows[members[0]][:cut]))
    width = max(map(len, rows))
    first, second = max(map(len, heads)), max(map(len, tails))
    read = len(heads) * first + len(rows) * second
    if read > _WORTH * len(rows) * width or first + second > _WIDER * width:
        return None
    return SharedHeads(tuple(heads), tuple(head_of), tuple(tails))


def _common(rows: Sequence[Sequence[int]]) -> int:
    """Leading tokens that all rows have in common, one less than the shortest row at most."""
    first, last = min(map(tuple, rows)), max(map(tuple, rows))
    equal = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return min(sum(1 for _ in equal), min(map(len, rows)) - 1)
