"""How much better than its siblings an answer was: rewards of one prompt's answers to advantages, pure.

With the readable rewards r_1 .. r_n of one prompt and m their mean:

    leave_one_out      A_i = r_i - (sum of the others) / (n - 1)      RLOO, 2402.14740; = n / (n - 1) group_centred
    group_centred      A_i = r_i - m                                  Dr. GRPO, 2503.20783
    group_normalised   A_i = (r_i - m) / (sd(r) + 1e-4)               GRPO, 2402.03300; sd with n - 1
    batch_normalised   A_i = (r_i - m) / (sd of all r - m of the round + 1e-4)       REINFORCE++-baseline, 2501.03262

Every answer counts as often as it was sampled: the baseline is over samples, not over distinct texts. A constant added
to the rewards of one prompt changes none of them. (TRL's `scale_rewards="batch"` takes the sd of the rewards as they
are, where such a constant does.) Dividing by the group's sd makes nearly solved and nearly unsolved prompts weigh more.

A prompt with fewer than two readable rewards has no baseline and is dropped. A group of equal rewards says nothing; it
is dropped too, unless `keep_uniform`, where its zeros still count in the mean that a loss takes. The share of such
groups is an alarm: the judge is saturated, or there is nothing left to learn.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from selfreward.records import Drop, stable_id

Advantage = Literal["leave_one_out", "group_centred", "group_normalised", "batch_normalised"]
ADVANTAGES: tuple[Advantage, ...] = get_args(Advantage)

FLOOR = 1e-4
"""Added to a standard deviation, as TRL does."""

ONE_READABLE, UNIFORM = "one readable answer", "uniform group"


def leave_one_out(rewards: Sequence[float]) -> list[float]:
    total, count = math.fsum(rewards), len(rewards)
    return [reward - (total - reward) / (count - 1) for reward in rewards]


def group_centred(rewards: Sequence[float]) -> list[float]:
    mean = statistics.fmean(rewards)
    return [reward - mean for reward in rewards]


def group_normalised(rewards: Sequence[float]) -> list[float]:
    spread = statistics.stdev(rewards) + FLOOR
    return [advantage / spread for advantage in group_centred(rewards)]


_OF_A_GROUP: Mapping[Advantage, Callable[[Sequence[float]], list[float]]] = {
    "leave_one_out": leave_one_out,
    "group_centred": group_centred,
    "group_normalised": group_normalised,
    "batch_normalised": group_centred,  # divided by what all groups together spread, below
}


def advantages(
    groups: Mapping[str, Mapping[str, float]], how: Advantage, *, keep_uniform: bool = False
) -> tuple[dict[str, float], list[Drop]]:
    """Advantage by response id from rewards by prompt id and response id; a Drop for every prompt that has none."""
    found: dict[str, float] = {}
    drops: list[Drop] = []
    for prompt_id, group in groups.items():
        rewards = list(group.values())
        if len(rewards) < 2:
            drops.append(group_drop(prompt_id, ONE_READABLE if rewards else "no readable answer", rewards))
        elif is_uniform(rewards) and not keep_uniform:
            drops.append(group_drop(prompt_id, UNIFORM, rewards))
        else:
            found |= zip(group, _OF_A_GROUP[how](rewards), strict=True)
    if how == "batch_normalised" and found:
        spread = statistics.stdev(found.values()) + FLOOR
        found = {response_id: advantage / spread for response_id, advantage in found.items()}
    return found, drops


def is_uniform(rewards: Sequence[float]) -> bool:
    """Whether all rewards are equal. Scores are exact sums, so equal ones are equal to the bit."""
    return max(rewards) == min(rewards)


def group_drop(prompt_id: str, reason: str, rewards: Sequence[float]) -> Drop:
    detail = f"{len(rewards)} answers" + (f", all {rewards[0]:g}" if reason == UNIFORM else "")
    return Drop(stable_id("drop", "samples", "group", prompt_id), "samples", "group", prompt_id, reason, detail)


def answer_drop(response_id: str, reason: str, detail: str = "") -> Drop:
    """The record of an answer that did not become a sample."""
    return Drop(stable_id("drop", "samples", "sample", response_id), "samples", "sample", response_id, reason, detail)
