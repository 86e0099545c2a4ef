"""Token ids to batches: what is trained on, in which order, and the log-probability of a completion.

Rows are padded on the right and the attention is causal, so no real token ever sees padding and no attention mask is
needed; labels are -100 everywhere but on completion tokens, so prompt and padding are never in a sum.
"""

import random
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from selfreward.errors import TrainingError
from selfreward.records import Pair
from selfreward.training import ranks

IGNORED = -100
"""Label of a token that is not trained on."""

TokenIds = Sequence[int]
Row = tuple[TokenIds, TokenIds]
"""Prompt and completion token ids."""


def too_long(pairs: Sequence[Pair], max_length: int) -> list[str]:
    """Ids of the pairs of which prompt plus the longer completion exceed `max_length`; they are never truncated."""
    return [pair.id for pair in pairs if pair_length(pair) > max_length]


def pair_length(pair: Pair) -> int:
    return len(pair.prompt_token_ids) + max(len(pair.chosen_token_ids), len(pair.rejected_token_ids))


def check_pairs(pairs: Sequence[Pair], end_tokens: set[int], max_length: int, reads: Set[str]) -> None:
    """Raise TrainingError unless every pair can be trained on as it is, by a loss that reads `reads` of it."""
    if not pairs:
        raise TrainingError("no pair is left to train on; look at dropped.jsonl for the reasons")
    for pair in pairs:
        for side, ids in (("chosen", pair.chosen_token_ids), ("rejected", pair.rejected_token_ids)):
            # A step of an answer need not be its last.
            if not ids or (ids[-1] not in end_tokens and pair.kind != "step"):
                last = f"token {ids[-1]}" if ids else "nothing"
                raise TrainingError(
                    f"pair {pair.id}: the {side} completion ends with {last}; expected the end-of-turn token "
                    f"({', '.join(map(str, sorted(end_tokens)))}); drop truncated answers before pairing"
                )
        if not pair.prompt_token_ids:
            raise TrainingError(f"pair {pair.id}: the prompt has no tokens; expected at least one")
        if "reference" in reads and (pair.reference_chosen is None or pair.reference_rejected is None):
            raise TrainingError(f"pair {pair.id}: no reference log-probabilities; compute them before training")
        if "win_rates" in reads and (pair.chosen_win_rate is None or pair.rejected_win_rate is None):
            raise TrainingError(f"pair {pair.id}: no win rates, which this loss reads; make pairs by pairs.rule=sppo")
        if "label" not in reads and pair.label != 1.0:
            raise TrainingError(
                f"pair {pair.id}: its label is {pair.label}, which this loss does not read; choose a loss that reads "
                "labels (train.loss), or do not soften them (pairs.score.consistency, pairs.label)"
            )
    if long := too_long(pairs, max_length):
        raise TrainingError(
            f"pair {long[0]} and {len(long) - 1} more are longer than train.max_length ({max_length}); "
            "drop them or raise train.max_length"
        )


def training_order(lengths: Sequence[int], epochs: float, batch_size: int, seed: int) -> list[int]:
    """Positions in the order in which they are trained on, all epochs in one list.

    Every epoch is a fresh permutation; batches are consecutive slices and run across epoch ends, so the number of
    optimizer steps is ceil(epochs * n / batch_size). Inside a batch, which is what one optimizer step sums over, long
    rows come first: micro-batches then need little padding and the batch stays a random one.
    """
    source = random.Random(seed)
    wanted = max(1, round(epochs * len(lengths)))
    order: list[int] = []
    while len(order) < wanted:
        order += source.sample(range(len(lengths)), len(lengths))
    batches = [order[start : min(start + batch_size, wanted)] for start in range(0, wanted, batch_size)]
    return [position for batch in batches for position in sorted(batch, key=lambda p: (-lengths[p], p))]


def pad(rows: Sequence[Row], pad_token: int) -> tuple[Tensor, Tensor]:
    """Input ids and labels of `rows`, both [rows, longest]."""
    width = max(len(prompt) + len(completion) for prompt, completion in rows)
    ids = torch.full((len(rows), width), pad_token, dtype=torch.long)
    labels = torch.full((len(rows), width), IGNORED, dtype=torch.long)
    for index, (prompt, completion) in enumerate(rows):
        start, end = len(prompt), len(prompt) + len(completion)
        ids[index, :end] = torch.tensor([*prompt, *completion])
        labels[index, start:end] = ids[index, start:end]
    return ids, labels


@dataclass(frozen=True)
class PairCollator:
    """Turns rows {"position": i} into one batch of `pairs[i]`; what a pair does not have is not in the batch.

    `layout` makes the input of the model from the pairs: `side_by_side`, or `prefix.pack`.
    """

    pairs: Sequence[Pair]
    pad_token: int
    layout: Callable[[Sequence[Pair], int], dict[str, Tensor]]

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        batch = [self.pairs[row["position"]] for row in rows]
        values: dict[str, list[float | None]] = {
            "label": [pair.label for pair in batch],
            "weight": [pair.weight for pair in batch],
            "reference_chosen": [pair.reference_chosen for pair in batch],
            "reference_rejected": [pair.reference_rejected for pair in batch],
            "chosen_win_rate": [pair.chosen_win_rate for pair in batch],
            "rejected_win_rate": [pair.rejected_win_rate for pair in batch],
            "chosen_tokens": [float(len(pair.chosen_token_ids)) for pair in batch],
            "rejected_tokens": [float(len(pair.rejected_token_ids)) for pair in batch],
        }
        known = {name: value for name, value in values.items() if None not in value}
        floats = {name: torch.tensor(value, dtype=torch.float32) for name, value in known.items()}
        position = torch.tensor([row["position"] for row in rows])
        marked = ranks.marked(rows)
        if marked:
            floats["weight"] = floats["weight"] * marked["real"]
        return {**self.layout(batch, self.pad_token), "position": position, **floats, **marked}


def side_by_side(pairs: Sequence[Pair], pad_token: int) -> dict[str, Tensor]:
    """Two rows per pair: chosen rows first, then rejected rows."""
    chosen = [(pair.prompt_token_ids, pair.chosen_token_ids) for pair in pairs]
    rejected = [(pair.prompt_token_ids, pair.rejected_token_ids) for pair in pairs]
    ids, labels = pad([*chosen, *rejected], pad_token)
    return {"input_ids": ids, "labels": labels}


def completion_logprobs(model: Any, ids: Tensor, labels: Tensor) -> Tensor:
    """Summed log-probability of each row's labelled tokens, through the fused head that TRL puts on the model."""
    return model(input_ids=ids, labels=labels, use_cache=False, fused_lm_head=True).log_probs.float().sum(dim=1)


@torch.no_grad()
def score(model: Any, rows: Sequence[Row], pad_token: int, batch_tokens: int = 4096) -> list[float]:
    """Summed log-probability of every completion, in the order of `rows`; dropout off, weights as they are.

    Ranks share the rows; all of them must ask.
    """
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    by_length = sorted(range(len(rows)), key=lambda i: (-len(rows[i][0]) - len(rows[i][1]), i))[ranks.mine()]
    values = [0.0] * len(rows)
    start = 0
    while start < len(by_length):
        width = len(rows[by_length[start]][0]) + len(rows[by_length[start]][1])
        chunk = by_length[start : start + max(1, batch_tokens // width)]
        ids, labels = pad([rows[i] for i in chunk], pad_token)
        sums = completion_logprobs(model, ids.to(device), labels.to(device)).tolist()
        for position, value in zip(chunk, sums, strict=True):
            values[position] = value
        start += len(chunk)
    model.train(was_training)
    return ranks.total(values)
