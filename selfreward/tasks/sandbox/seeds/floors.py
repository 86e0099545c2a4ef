"""What a seed must reach before it ships, and the intervals that say how surely it does. Standard library only."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

_RESAMPLES = 400
Item = TypeVar("Item")


@dataclass(frozen=True)
class Estimate:
    """A statistic with its 95 % percentile interval from resampling prompts; `n` counts values, `prompts` prompts."""

    value: float
    low: float
    high: float
    n: int
    prompts: int


@dataclass(frozen=True)
class Floor:
    """The least that a shipped seed must reach, and for rates that must be balanced also the most."""

    least: float
    most: float = float("inf")
    interval_above: float = float("-inf")
    """The lower end of the 95 % interval must be above this."""

    def __str__(self) -> str:
        parts = [f"at least {self.least:g}"]
        if self.most < float("inf"):
            parts.append(f"at most {self.most:g}")
        if self.interval_above > float("-inf"):
            parts.append(f"interval above {self.interval_above:g}")
        return ", ".join(parts)


FLOORS = {
    "sampled_accuracy": Floor(0.35, 0.60),  # above, a loop has little room to gain; see also the next line
    "best_of_minus_sampled": Floor(0.30),
    "judge_own_rho": Floor(0.75),
    "judge_own_pairwise": Floor(0.85),
    "judge_greedy_minus_sampled": Floor(0.0, interval_above=0.0),
    "meta_own_accuracy": Floor(0.70, interval_above=0.6),
    "meta_own_slot_a": Floor(0.4, 0.6),
    "new_task_valid": Floor(0.80),
}

QUESTION_FLOORS = {
    "comparison_right": Floor(0.90, interval_above=0.85),
    "comparison_first": Floor(0.4, 0.6),
    "principle_right_answer_right": Floor(0.90, interval_above=0.85),
    "principle_longer_right": Floor(0.90, interval_above=0.85),
    "principle_shorter_right": Floor(0.90, interval_above=0.85),
    "principle_with_commas_right": Floor(0.80, interval_above=0.75),
    "list_right": Floor(0.75, interval_above=0.70),
    "rubric_right": Floor(0.93, interval_above=0.90),
    "rubric_other_right": Floor(0.75, interval_above=0.70),
    "step_wrong_found": Floor(0.75, interval_above=0.70),
    "step_right_kept": Floor(0.93, interval_above=0.90),
}
"""Of a seed under the dial `questions`, beside the others.

`principle_in_brackets_right` has none: it is .62 [.54, .70] of 208 verdicts, where .5 is chance: hardly learnt.
"""


def unmet_floors(skill: dict[str, Any], floors: Mapping[str, Floor] = FLOORS) -> list[str]:
    """One sentence for every floor that a model with this `measure_skill` misses."""
    missed = []
    for name, floor in floors.items():
        estimate = skill["estimates"][name]
        if not floor.least <= estimate["value"] <= floor.most or estimate["low"] <= floor.interval_above:
            missed.append(f"{name} is {estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]: {floor}")
    return missed


def skill_table(skill: dict[str, Any]) -> str:
    """The estimates as lines of text, each with its interval, its n and the floor it must reach, if any."""
    lines = []
    for name, estimate in skill["estimates"].items():
        floor = {**FLOORS, **QUESTION_FLOORS}.get(name)
        needed = "" if floor is None else f"  {'MISSED' if name in _missed_names(skill) else 'met'}: {floor}"
        interval = f"[{estimate['low']:.3f}, {estimate['high']:.3f}]"
        lines.append(f"{name:28} {estimate['value']:.3f} {interval} n={estimate['n']}{needed}")
    return "\n".join(lines)


def _missed_names(skill: dict[str, Any]) -> set[str]:
    return {sentence.split()[0] for sentence in skill["missed"]}


def estimate_with_interval(clusters: Sequence[Sequence[Item]], statistic: Callable[[list[Item]], float]) -> Estimate:
    """`statistic` of all values, with an interval that treats each cluster (prompt) as one draw."""
    filled = [cluster for cluster in clusters if cluster]
    if not filled:
        return Estimate(0.0, 0.0, 0.0, 0, 0)
    rng = random.Random("intervals")
    draws = sorted(
        statistic([value for cluster in rng.choices(filled, k=len(filled)) for value in cluster])
        for _ in range(_RESAMPLES)
    )
    low, high = draws[int(0.025 * _RESAMPLES)], draws[int(0.975 * _RESAMPLES) - 1]
    values = [value for cluster in filled for value in cluster]
    return Estimate(statistic(values), low, high, len(values), len(filled))
