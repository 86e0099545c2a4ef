"""A difference between two arms of a grid: over seed models, run seeds and prompts, each with its own share of doubt.

Half width² = t²(S-1) · variance(model means) + t²(P-1) · variance(prompt means), the variance of a mean being s²/n. The
first term holds the models' and the run seeds' variance, the second the prompts', which all models share and no number
of models averages away. Each part keeps its own t quantile: pooled degrees of freedom (Satterthwaite) fall short with
three models (92 % of 95 in simulations). Their interaction is in both parts, so the interval is a little too wide
rather than too narrow. With one seed model the run seeds take its place, with one run the prompts stand alone; `unit`
says so. The prompts' variance has room for moves that none of them shows (`stats.unseen_variance`): runs whose answers
agree on every prompt of a pool need not agree on the next one. Of a value that no prompt owns (a rank correlation) the
runs' variance has it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selfreward.measuring.stats.clustered import NOTHING, TAIL, Array, Estimate, positions, t_quantile, unseen_variance

POWER = 0.8
Scale = tuple[float, float]
"""The least and the greatest value that there can be."""


@dataclass(frozen=True, slots=True)
class NestedDifference:
    """A difference between two arms over seed models, run seeds and prompts.

    `unit` says what the interval speaks for. `smallest_effect` is what such an experiment finds in 80 % of the cases
    at a two-sided 5 % level, never 0; a difference whose interval holds 0 is "not resolved", not "none". `parts` are
    the (variance, degrees of freedom) that the interval is made of, before the scale cut it off.
    """

    estimate: Estimate
    models: int
    runs: int
    prompts: int
    unit: str
    smallest_effect: float | None
    parts: tuple[tuple[float, int], ...] = ()

    @property
    def resolved(self) -> bool:
        low, high = self.estimate.low, self.estimate.high
        return low is not None and high is not None and (low > 0 or high < 0)


def nested_paired_difference(
    table: Mapping[tuple[str, str, str], float], scale: Scale | None = None
) -> NestedDifference:
    """Mean difference from a table (seed model, run seed, prompt) -> difference, with an interval over seed models.

    Only prompts that every run has count. Differences are averaged over the runs of a seed model, then over models.
    The interval and the smallest effect do not leave `scale`: an interval that covers all of it knows nothing.
    """
    runs = sorted({(model, run) for model, run, _ in table})
    shared = [{prompt for model, run, prompt in table if (model, run) == key} for key in runs]
    prompts = sorted(set.intersection(*shared)) if shared else []
    if not prompts:
        return NestedDifference(NOTHING, 0, 0, 0, "nothing in common", None)
    cells = np.asarray([[table[model, run, prompt] for prompt in prompts] for model, run in runs])
    models = sorted({model for model, _ in runs})
    groups = [model if len(models) > 1 else run for model, run in runs]
    names, index = positions(groups)
    means = np.stack([cells[index == position].mean(axis=0) for position in range(len(names))])
    value = float(means.mean())
    by_prompt = _part(means.mean(axis=0), int((cells != 0).any(axis=0).sum()))
    by_run = _part(means.mean(axis=1), int((means != 0).any(axis=1).sum()) if len(prompts) == 1 else None)
    parts = tuple(part for part in (by_run, by_prompt) if part is not None)
    half, effect = _resolution(parts)
    low, high = (None, None) if half is None else (value - half, value + half)
    if scale and low is not None and high is not None and effect is not None:
        low, high = min(value, max(scale[0], low)), max(value, min(scale[1], high))
        effect = min(effect, max(-scale[0], scale[1]))
    unit = _unit(len(models), len(runs), len(prompts))
    return NestedDifference(
        Estimate(value, low, high, len(names)), len(models), len(runs), len(prompts), unit, effect, parts
    )


def _part(means: Array, moved: int | None) -> tuple[float, int] | None:
    """(variance of the mean, degrees of freedom); `moved` is None where other units have the room for unseen moves."""
    if len(means) < 2:
        return None
    unseen = 0.0 if moved is None else unseen_variance(means.tolist(), moved)
    return float(means.var(ddof=1)) / len(means) + unseen, len(means) - 1


def _unit(models: int, runs: int, prompts: int) -> str:
    if runs == 1:
        return "prompts of one run" if prompts > 1 else "one value of one run"
    over = "seed models" if models > 1 else "run seeds"
    return over + (" and prompts" if prompts > 1 else "") + ("" if models > 1 else " of one seed model")


def _resolution(parts: Sequence[tuple[float, int]]) -> tuple[float | None, float | None]:
    """Half width of the interval and smallest resolvable effect of (variance, degrees of freedom) parts."""
    if not parts:
        return None, None
    half, reach = (
        math.sqrt(sum(t_quantile(quantile, freedom) ** 2 * variance for variance, freedom in parts))
        for quantile in (TAIL, POWER)
    )
    return half, half + reach
