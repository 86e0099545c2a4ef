"""Samples of a policy gradient to batches, and the log-probability of each token of an answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from selfreward.errors import TrainingError
from selfreward.records import Sample
from selfreward.training import ranks
from selfreward.training.rows import IGNORED, Row, pad


def sample_length(sample: Sample) -> int:
    return len(sample.prompt_token_ids) + len(sample.token_ids)


def check_samples(samples: Sequence[Sample], end_tokens: set[int], max_length: int, *, reference: bool) -> None:
    """Raise TrainingError unless every sample can be trained on as it is."""
    if not samples:
        raise TrainingError("no sample is left to train on; look at dropped.jsonl for the reasons")
    for one in samples:
        if not one.prompt_token_ids or not one.token_ids:
            raise TrainingError(f"sample {one.id}: expected tokens of a prompt and of an answer")
        if (one.finish_reason == "stop") != (one.token_ids[-1] in end_tokens):
            raise TrainingError(
                f"sample {one.id}: its answer ends with token {one.token_ids[-1]} and its finish_reason is "
                f"{one.finish_reason!r}; expected the end-of-turn token "
                f"({', '.join(map(str, sorted(end_tokens)))}) exactly where it is 'stop'"
            )
        given = {"old_logprobs": one.old_logprobs, "reference_logprobs": one.reference_logprobs}
        for name, values in given.items():
            if (name == "old_logprobs" or reference) and len(values) != len(one.token_ids):
                raise TrainingError(
                    f"sample {one.id}: {len(values)} {name} for {len(one.token_ids)} tokens; make the round's samples "
                    "again"
                )
        if sample_length(one) > max_length:
            raise TrainingError(
                f"sample {one.id}: {sample_length(one)} tokens; train.max_length is {max_length}; drop it or raise that"
            )


@dataclass(frozen=True)
class SampleCollator:
    """Turns rows {"position": i} into one batch of `samples[i]`; log-probabilities stand where their tokens' do."""

    samples: Sequence[Sample]
    pad_token: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        batch = [self.samples[row["position"]] for row in rows]
        ids, labels = pad([(one.prompt_token_ids, one.token_ids) for one in batch], self.pad_token)
        made = {
            "input_ids": ids,
            "labels": labels,
            "position": torch.tensor([row["position"] for row in rows]),
            "advantage": torch.tensor([one.advantage for one in batch], dtype=torch.float32),
            "old": _aligned(labels, [one.old_logprobs for one in batch]),
            **ranks.marked(rows),
        }
        if all(one.reference_logprobs for one in batch):
            made["reference"] = _aligned(labels, [one.reference_logprobs for one in batch])
        return made


def answer_mask(labels: Tensor) -> Tensor:
    """1 where a next token is one of the answer's, [rows, tokens - 1]."""
    return (labels[:, 1:] != IGNORED).float()


def _aligned(labels: Tensor, values: Sequence[Sequence[float]]) -> Tensor:
    """`values` at the places of the answers' tokens, 0 elsewhere, [rows, tokens - 1]."""
    mask = labels[:, 1:] != IGNORED
    flat = torch.tensor([value for row in values for value in row], dtype=torch.float32)
    return torch.zeros(mask.shape).masked_scatter(mask, flat)


def token_logprobs(model: Any, ids: Tensor, labels: Tensor) -> Tensor:
    """Log-probability of each next token of an answer, 0 elsewhere, at the temperature of the model's fused head."""
    log_probs: Tensor = model(input_ids=ids, labels=labels, use_cache=False, fused_lm_head=True).log_probs.float()
    return log_probs


@torch.no_grad()
def score_tokens(
    model: Any, rows: Sequence[Row], pad_token: int, dtype: torch.dtype, batch_tokens: int = 4096
) -> list[tuple[float, ...]]:
    """Every answer's log-probabilities, in the order of `rows`, with autocast to `dtype` as in training."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    found: list[tuple[float, ...]] = [()] * len(rows)
    for chunk in _by_length(rows, batch_tokens):
        ids, labels = (tensor.to(device) for tensor in pad([rows[i] for i in chunk], pad_token))
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            values = token_logprobs(model, ids, labels).cpu()
        for position, row in zip(chunk, values, strict=True):
            prompt, answer = rows[position]
            found[position] = tuple(row[len(prompt) - 1 : len(prompt) - 1 + len(answer)].tolist())
    model.train(was_training)
    return found


def _by_length(rows: Sequence[Row], batch_tokens: int) -> Iterator[list[int]]:
    """Positions in batches of rows of about one length, the longest first."""
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i][0]) - len(rows[i][1]), i))
    while order:
        width = sum(map(len, rows[order[0]]))
        size = max(1, batch_tokens // width)
        yield order[:size]
        order = order[size:]
