"""Preferences to batches, and the loss of a reward model (Bradley-Terry; RLAIF 2309.00267, InstructGPT 2203.02155).

    -p log s(r_a - r_b) - (1 - p) log s(r_b - r_a) + centre (r_a + r_b)^2        s = 1 / (1 + e^-x)

p is the label, soft or not. Differences say nothing of a reward's level: the second term (Eisenstein et al. 2312.09244,
unverified) keeps it about 0, so that 0 is an average answer and a price of KL means the same in every round. All pairs
of a prompt stand in one batch, every answer is read once, and every prompt weighs the same: pairs of one prompt's
answers are not independent, and one that has more of them would be learnt by heart (InstructGPT §3.5).

A reward is read at the last token, the end of the turn; it is found by the row's length and not by looking for padding,
which is that very token for many tokenizers. The head starts at 0: the first loss is the labels' own, ln 2 for any.

Labels by a weaker judge (Burns et al. 2312.09390, appendix A.4): a share c of the label is the model's own word,

    p' = (1 - c) p + c [z > 0]        z = r_a - r_b, no gradient through [.], 1/2 where z is 0

so that it may be sure where it disagrees. c rises from 0 along a line: at first it has no word of its own. The paper
draws the line between its two classes where the share of ones is the weak labels' own. Here each pair is written down
one way round by lot, so that both ways count, the weak share is 1/2 and the line is z = 0; and the loss does not change
when a pair is turned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from selfreward.records import Pair
from selfreward.training import ranks
from selfreward.training.rows import Row, pad


@dataclass(frozen=True, slots=True)
class Group:
    """One prompt's answers in tokens, and its preferences: (first, second, P(first is better)) by position."""

    prompt_id: str
    rows: tuple[Row, ...]
    preferences: tuple[tuple[int, int, float], ...]

    @property
    def tokens(self) -> int:
        return max(len(prompt) + len(answer) for prompt, answer in self.rows)


def groups_of(pairs: Sequence[Pair]) -> list[Group]:
    """The pairs by prompt, prompts by id."""
    by_prompt: dict[str, list[Pair]] = {}
    for pair in sorted(pairs, key=lambda one: (one.prompt_id, one.id)):
        by_prompt.setdefault(pair.prompt_id, []).append(pair)
    found = []
    for name, members in by_prompt.items():
        rows: dict[str, Row] = {}
        for pair in members:
            rows[pair.chosen_id] = pair.prompt_token_ids, pair.chosen_token_ids
            rows[pair.rejected_id] = pair.prompt_token_ids, pair.rejected_token_ids
        place = {answer: position for position, answer in enumerate(rows)}
        told = tuple((place[pair.chosen_id], place[pair.rejected_id], pair.label) for pair in members)
        found.append(Group(name, tuple(rows.values()), told))
    return found


@dataclass(frozen=True)
class GroupCollator:
    """Turns rows {"position": i} into one batch of `groups[i]`; each group's pairs weigh 1 together."""

    groups: Sequence[Group]
    pad_token: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        batch = [self.groups[row["position"]] for row in rows]
        read: list[Row] = []
        first, second, label, weight = [], [], [], []
        for row, group in zip(rows, batch, strict=True):
            for one, other, wanted in group.preferences:
                first.append(len(read) + one)
                second.append(len(read) + other)
                label.append(wanted)
                weight.append((1.0 - row.get("filler", 0)) / len(group.preferences))
            read += group.rows
        return {
            "input_ids": pad(read, self.pad_token)[0],
            "last": torch.tensor([len(prompt) + len(answer) - 1 for prompt, answer in read]),
            "first": torch.tensor(first),
            "second": torch.tensor(second),
            "label": torch.tensor(label, dtype=torch.float32),
            "weight": torch.tensor(weight, dtype=torch.float32),
            "position": torch.tensor([row["position"] for row in rows]),
            **ranks.marked(rows),
        }


def with_confidence(first: Tensor, second: Tensor, label: Tensor, share: float) -> Tensor:
    """The labels where `share` of each is the model's own word about the pair."""
    own = torch.heaviside((first - second).detach(), torch.tensor(0.5, device=first.device))
    return (1 - share) * label + share * own


def confidence_at(step: int, steps: int, whole: float, ramp: float) -> float:
    """The share of the model's own word at a step: along a line from 0 to `whole` over `ramp` of the steps."""
    return whole * min(1.0, step / (ramp * steps))


def preference_loss(first: Tensor, second: Tensor, label: Tensor, weight: Tensor, centre: float) -> Tensor:
    """The sum over pairs; divide by the number of prompts."""
    apart = first - second
    told = -label * logsigmoid(apart) - (1 - label) * logsigmoid(-apart)
    return (weight * (told + centre * (first + second) ** 2)).sum()
