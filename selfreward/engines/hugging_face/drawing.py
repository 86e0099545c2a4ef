"""Drawing one token per row of logits: the likeliest, or one of the temperature's distribution cut to its nucleus.

Nucleus (Holtzman et al., 1904.09751, top-p): tokens ranked by probability, equal ones by their id; one is out when
those before it already hold top_p, so the likeliest always stays. Ranking takes a sort, and sorting a vocabulary of
49,152 costs more than a small model's forward pass. It is not needed: a token is drawn from the whole distribution and
stays if the mass of all that rank before it is below top_p, which is one masked sum; else the row draws again from
what ranks before it. What stays follows the distribution on exactly the full sort's nucleus.

A draw inverts the cumulative sum at one uniform number of the row; `multinomial` draws a number for every column.
Blocks of columns are summed in float32, all else in float64: a token's chance is its probability to 1e-6 of itself.
"""

from dataclasses import dataclass

import torch

_BLOCK = 128
"""Columns that are summed together before the cumulative sum; most vocabularies are multiples of it."""

_CPU_ROWS = 32
"""Rows that are drawn together on a CPU: what they need stays in its cache, and no large buffer is asked for anew."""

_QUICK_SUM_ERROR = 1e-4
"""More than float32 sums of probabilities can be off by."""

SMALL_VOCABULARY = 2048
"""Below this a full sort and `multinomial` are next to nothing. Keeping them there keeps every reply of the sandbox
(200 words) that was ever sampled byte for byte."""


@dataclass(frozen=True, slots=True)
class Sampler:
    """Sampling parameters of one batch. Temperature 0 takes the likeliest token. `logprobs`: whether a row keeps it."""

    temperature: float
    top_p: float
    max_tokens: int
    logprobs: bool = True

    def draw(self, logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """One token id per row of float32 `logits` (rows, vocabulary)."""
        if self.temperature == 0:
            return logits.argmax(-1)
        if logits.shape[-1] < SMALL_VOCABULARY:
            return _draw_plainly(torch.softmax(logits / self.temperature, -1), self.top_p, generator)
        return torch.cat([self._draw_exactly(rows, generator) for rows in _slices(logits)])

    def _draw_exactly(self, logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        probabilities = torch.softmax(logits if self.temperature == 1 else logits / self.temperature, -1)
        if self.top_p == 1:
            return draw_from_all(probabilities, generator)
        drawn = torch.empty(len(logits), dtype=torch.long, device=logits.device)
        waiting = torch.arange(len(logits), device=logits.device)
        while len(waiting):
            tokens = draw_from_all(probabilities, generator)
            drawn[waiting] = tokens
            outside = (~in_nucleus(probabilities, tokens, self.top_p)).nonzero()[:, 0]
            waiting, probabilities = waiting[outside], _before(probabilities[outside], tokens[outside])
        return drawn


def log_probabilities(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Each row's token at temperature 1, in nats."""
    slices = zip(_slices(logits), _slices(tokens[:, None]), strict=True)
    return torch.cat([torch.log_softmax(rows, -1).gather(-1, chosen)[:, 0] for rows, chosen in slices])


def draw_from_all(probabilities: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One token id per row: first a block of columns, then a column of it, by one uniform number."""
    blocks, device = _in_blocks(probabilities), probabilities.device
    uniform = torch.rand(len(blocks), 1, generator=generator, device=device, dtype=_exact(device))
    block, rest = _invert(blocks.sum(-1).cumsum(-1, dtype=uniform.dtype), uniform)
    inside = blocks[torch.arange(len(blocks), device=device), block[:, 0]]
    column, _ = _invert(inside.cumsum(-1, dtype=uniform.dtype), rest)
    return (block * _BLOCK + column)[:, 0]


def in_nucleus(probabilities: torch.Tensor, tokens: torch.Tensor, top_p: float) -> torch.Tensor:
    """Whether each row's token is in its nucleus: what ranks before it holds less than top_p.

    The quick sum is in float32 and holds every equal token for one that ranks before. Where it says no, or nearly so,
    the row is summed again in float64 with equal tokens ranked by id.
    """
    value = probabilities.gather(-1, tokens[:, None])
    padded = _in_blocks(torch.where(probabilities >= value, probabilities, 0))
    inside = padded.sum(-1).sum(-1, dtype=_exact(tokens.device)) - value[:, 0] < top_p - _QUICK_SUM_ERROR
    if len(unclear := (~inside).nonzero()[:, 0]):
        before = _before(probabilities[unclear], tokens[unclear])
        inside[unclear] = before.sum(-1, dtype=_exact(tokens.device)) < top_p
    return inside


def _before(probabilities: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The probabilities of what ranks before each row's token, 0 elsewhere."""
    ids, value = torch.arange(probabilities.shape[-1], device=tokens.device), probabilities.gather(-1, tokens[:, None])
    before = (probabilities > value) | ((probabilities == value) & (ids < tokens[:, None]))
    return torch.where(before, probabilities, 0)


def _slices(rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return rows.split(_CPU_ROWS if rows.device.type == "cpu" else len(rows))


def _in_blocks(columns: torch.Tensor) -> torch.Tensor:
    """(rows, vocabulary) as (rows, blocks, columns of a block), zeros behind the last one."""
    missing = -columns.shape[-1] % _BLOCK
    padded = torch.nn.functional.pad(columns, (0, missing)) if missing else columns
    return padded.view(len(padded), -1, _BLOCK)


def _invert(sums: torch.Tensor, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where each row's cumulative sum passes `uniform` of its total, and how far into that column's share, in [0, 1].

    A column without mass is never hit, not even when rounding carries the target to the total.
    """
    total = sums[:, -1:].contiguous()
    place = torch.searchsorted(sums, uniform * total, right=True)
    place = torch.minimum(place, torch.searchsorted(sums, total))
    below = torch.where(place > 0, sums.gather(-1, (place - 1).clamp(min=0)), 0)
    return place, ((uniform * total - below) / (sums.gather(-1, place) - below)).clamp(0, 1)


def _draw_plainly(probabilities: torch.Tensor, top_p: float, generator: torch.Generator) -> torch.Tensor:
    if top_p < 1:
        ranked, order = probabilities.sort(dim=-1, descending=True)
        ranked[ranked.cumsum(-1) - ranked >= top_p] = 0
        probabilities = torch.zeros_like(probabilities).scatter_(-1, order, ranked)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]


def _exact(device: torch.device) -> torch.dtype:
    """Of the numbers that sums are kept in. Apple's devices have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64
