"""What a run decides from its own measurements: go on, stop or roll back (which round is best: selection.py).

Only rows that a user of a real model would have are read: oracle-labelled rows never steer, and the report pool is
never looked at, so that what is reported was not chosen for being good.

A rule of `gates.rules` fires on evidence at its share of the run's error level, one-sided, split evenly (Bonferroni):

    level = gates.error / (planned rounds × rules with proof: harm)

A 95 % interval is widened to it on each side apart, by the ratio of t quantiles with n - 1 degrees of freedom. A change
against round 0 combines the two intervals (MOVER, Zou & Donner 2008: low = d - √((v - low)² + (high₀ - v₀)²), the ratio
v / v₀ > f being the difference v - f·v₀ > 0) as if the rounds were independent. They share their prompts, so this is
too wide rather than too narrow; where a paired `..._change` is measured, a rule on its level finds more. So a run in
which nothing crosses its limit stays silent with a chance of at least 1 - gates.error, however the rules depend on each
other. Rules with `proof: health` use the plain 95 % bound and are outside of this promise: they fire on doubt.
"""

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from selfreward.errors import GateError
from selfreward.measuring.stats.multiplicity import widening
from selfreward.recipe import GateRule, GatesRecipe
from selfreward.records import Measurement


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """One rule after one round, with its evidence. `bound` is the end of the interval that was held against `limit`.

    `value`, `bound` and `limit` are levels, differences or, for a ratio, v - f·v₀ held against 0. `level` is the rule's
    one-sided error level. A rule that could not be judged has no bound, does not fire, and `note` says why.
    """

    round: int
    rule: GateRule
    fired: bool
    value: float | None
    bound: float | None
    limit: float
    level: float
    n: int
    note: str = ""

    @property
    def sentence(self) -> str:
        """The verdict for people."""
        rule = self.rule
        side = "above" if rule.above is not None else "below"
        about = {"level": "", "initial": " against round 0", "initial_ratio": " as a ratio to round 0"}[rule.against]
        limit = rule.above if rule.above is not None else rule.below
        found = f"value {self.value:.4g}, bound {self.bound:.4g}" if None not in (self.value, self.bound) else self.note
        state = "fires" if self.fired else "is silent"
        early = ", before the next one trains" if rule.when == "before_training" else ""
        return f"round {self.round}{early}: gate {rule.metric} ({rule.pool}) {side} {limit:g}{about} {state}: {found}"


When = Literal["after_round", "before_training"]


def judge_round(
    recipe: GatesRecipe,
    rounds: int,
    measurements: Sequence[Measurement],
    number: int,
    when: When = "after_round",
) -> list[GateVerdict]:
    """Every rule of that `when` on the measurements of round `number`, in the recipe's order.

    A rule is judged once in each of the rounds that are planned, after it or before it, and has the same level.

    Raises GateError when a rule reads an oracle measurement, or names one that the round does not have (a trend
    waits for its rounds).
    """
    harms = sum(rule.proof == "harm" for rule in recipe.rules)
    level = recipe.error / ((recipe.planned_rounds or rounds) * max(1, harms))
    return [_judge(rule, level, measurements, number) for rule in recipe.rules if rule.when == when]


def refuse_oracle_rules(recipe: GatesRecipe, measurements: Sequence[Measurement], number: int) -> None:
    """Raise GateError for a rule whose measurement in round `number` is oracle knowledge, before more is trained."""
    for rule in recipe.rules:
        _find(rule, measurements, number)


def decision(verdicts: Iterable[GateVerdict]) -> Literal["go on", "rollback", "stop"]:
    """The strongest action of the rules that fired; a warning goes on."""
    actions = {verdict.rule.action for verdict in verdicts if verdict.fired}
    return "stop" if "stop" in actions else "rollback" if "rollback" in actions else "go on"


def rejected_rounds(recipe: GatesRecipe, rounds: int, measurements: Sequence[Measurement]) -> set[int]:
    """The rounds after which a rule said stop or rollback: whatever their judge thinks, they are not the best.

    Raises GateError as `judge_round` does.
    """
    numbers = {row.round for row in measurements if row.round > 0} if recipe.rules else set()
    return {n for n in numbers if decision(judge_round(recipe, rounds, measurements, n)) != "go on"}


def _find(rule: GateRule, measurements: Sequence[Measurement], number: int) -> Measurement | None:
    wanted = (rule.metric, rule.pool, rule.cohort, number)
    found = next((m for m in measurements if (m.metric, m.pool, m.cohort, m.round) == wanted), None)
    if found is not None and found.oracle:
        raise GateError(
            f"gate on {rule.metric} ({rule.pool} pool): round {number} labels it as oracle knowledge, which no user of "
            "a real model would have; expected a measurement without truth; choose another metric in gates.rules"
        )
    return found


def _judge(rule: GateRule, level: float, measurements: Sequence[Measurement], number: int) -> GateVerdict:
    now = _find(rule, measurements, number)
    if now is None and rule.metric.endswith("_trend"):
        # It needs three rounds that led here, and after a rollback fewer do than were measured.
        limit = rule.above if rule.above is not None else rule.below
        return GateVerdict(number, rule, False, None, None, float(limit or 0.0), level, 0, "no trend yet")
    if now is None:
        there = sorted({m.metric for m in measurements if m.round == number and m.pool == rule.pool and not m.oracle})
        nearest = difflib.get_close_matches(rule.metric, there, n=3) or there
        raise GateError(
            f"gate on {rule.metric} ({rule.pool} pool, cohort {rule.cohort}): round {number} does not measure it; "
            f"expected one of that pool's metrics, for example {', '.join(nearest) or 'none'}; change gates.rules"
        )
    before = None if rule.against == "level" else _find(rule, measurements, 0)
    upward, given = rule.above is not None, rule.above if rule.above is not None else rule.below
    limit = float(given or 0.0)
    factor = {"level": 0.0, "initial": 1.0, "initial_ratio": limit}[rule.against]
    threshold = 0.0 if rule.against == "initial_ratio" else limit
    side = upward if rule.proof == "harm" else not upward
    known = _difference(now, before, factor, lower=side)
    if known is None:
        rows = "the measurement" if rule.against == "level" else "this round's or round 0's measurement"
        return GateVerdict(number, rule, False, now.value, None, threshold, level, now.n, f"{rows} has no interval")
    value, half = known
    if rule.proof == "harm":
        freedom = max(1, min(row.n for row in (now, before) if row is not None) - 1)
        half *= widening(level, freedom)
    bound = value - half if side else value + half
    beyond = bound > threshold if upward else bound < threshold
    if rule.proof == "health":
        beyond = bound >= threshold if upward else bound < threshold
    return GateVerdict(number, rule, beyond, value, bound, threshold, level, now.n)


def _difference(
    now: Measurement, before: Measurement | None, factor: float, *, lower: bool
) -> tuple[float, float] | None:
    """now - factor · before, and the distance to its 95 % bound on one side; None without intervals."""
    half = _half(now, lower=lower)
    if now.value is None or half is None:
        return None
    if factor == 0.0:
        return now.value, half
    other = _half(before, lower=not lower) if before is not None else None
    if before is None or before.value is None or other is None:
        return None
    return now.value - factor * before.value, math.hypot(half, factor * other)


def _half(row: Measurement, *, lower: bool) -> float | None:
    end = row.low if lower else row.high
    return None if row.value is None or end is None else abs(row.value - end)
