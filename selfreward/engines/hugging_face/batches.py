"""Cutting work into batches that fit, and in two when they did not. Pure."""

from collections.abc import Mapping, Sequence

from selfreward.errors import EngineError


def batches(
    prompts: Sequence[Sequence[int]], counts: Mapping[int, int], max_tokens: int, bound: int
) -> list[list[tuple[int, int]]]:
    """Cut requests (index → number of replies) into batches of (index, replies), shortest prompts first.

    A batch holds at most `bound` positions, padding and room for the replies included, but always one reply. A
    request whose replies do not fit together is split.
    """
    result: list[list[tuple[int, int]]] = []
    rows = 0
    for index in sorted(counts, key=lambda index: (len(prompts[index]), index)):
        fitting = max(1, bound // (len(prompts[index]) + max_tokens))
        left = counts[index]
        while left:
            # Prompts come in rising length, so the row that is added is the widest.
            if not result or rows >= fitting or (rows + left > fitting and left <= fitting):
                result.append([])
                rows = 0
            taken = min(left, fitting - rows)
            result[-1].append((index, taken))
            rows += taken
            left -= taken
    return result


def halves(batch: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Two halves of a batch of (index, replies); a single request gives half of its replies to each."""
    if len(batch) > 1:
        middle = len(batch) // 2
        return [batch[:middle], batch[middle:]]
    ((index, count),) = batch
    if count == 1:
        raise EngineError(
            "out of memory on one single row; lower max_tokens, or take a smaller model or another device"
        )
    return [[(index, count // 2)], [(index, count - count // 2)]]
