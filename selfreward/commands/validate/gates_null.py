"""How often does a run in which nothing happens see any of its gates fire? At most `gates.error` is promised.

A null run is `rounds` rounds and round 0, all drawn from one policy and one judge; every round is judged by the real
`gates.judge_round`. Three lists of rules:

    shipped     the rules of recipes/gated.yaml, as they are: most of their limits lie far from where nothing happens
    at limit    the same rules with every limit moved to where nothing happens lies (differences 0, ratios 1, levels at
                their mean over null runs): the least favourable run for which the promise still holds
    at limit +  these and three more at their limits, on the judge's mean score, the win rate and the tie rate
"""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from selfreward.commands.validate.alarms import measured
from selfreward.commands.validate.population import Population, pool_rows
from selfreward.commands.validate.worlds import another_judge, nothing
from selfreward.measuring.evidence import HeldOut, PoolRows
from selfreward.measuring.gates import judge_round
from selfreward.measuring.stats.clustered import wilson
from selfreward.recipe import GateRule, GatesRecipe
from selfreward.records import Measurement, seed_for

ROUNDS = (3, 5)
REPEATS = 1000
PROMPTS = 50
FAMILIES = ("judge_health", "length", "form", "diversity", "belief", "win_rate", "held_out")
SHIPPED = (
    GateRule("unreadable_rate", above=0.3, action="stop"),
    GateRule("score_entropy", below=0.3, action="stop"),
    GateRule("length_tokens", above=1.5, against="initial_ratio", action="rollback"),
    GateRule("distinct_answers", below=-0.3, against="initial", action="rollback"),
    GateRule("refusal_rate", above=0.1, against="initial", action="warn"),
    GateRule("held_out_win_rate_previous", below=0.5, action="rollback"),
)
"""The rules of recipes/gated.yaml."""
MORE = (
    GateRule("judge_mean_change", below=0.0),
    GateRule("self_judged_win_rate_initial", below=0.5),
    GateRule("tie_rate", above=0.0, against="initial"),
)


@dataclass(frozen=True, slots=True)
class RunRate:
    """`alarms` of `repeats` runs had a rule fire in some round; `gates_error` is what the recipe promises."""

    rules: str
    count: int
    rounds: int
    prompts: int
    repeats: int
    alarms: int
    rate: float
    low: float
    high: float
    gates_error: float


def run_rates(
    population: Population, repeats: int, say: Callable[[str], None], prompts: int = PROMPTS
) -> list[RunRate]:
    """The share of null runs with an alarm, for each list of rules and number of rounds."""
    longest = max(ROUNDS)
    runs = []
    for number in range(repeats):
        runs.append(null_run(population, longest, prompts, random.Random(seed_for("null run", number))))
        if (number + 1) % 100 == 0:
            say(f"null runs: {number + 1} of {repeats}")
    at_limit = [_at_limit(rule, runs) for rule in SHIPPED]
    lists = {"shipped": list(SHIPPED), "at limit": at_limit, "at limit +": [*at_limit, *MORE]}
    rates = []
    for name, rules in lists.items():
        for rounds in ROUNDS:
            recipe = GatesRecipe(rules=rules)
            alarms = sum(fires(recipe, rounds, run) for run in runs)
            low, high = wilson(alarms, repeats)
            rates.append(
                RunRate(
                    rules=name,
                    count=len(rules),
                    rounds=rounds,
                    prompts=prompts,
                    repeats=repeats,
                    alarms=alarms,
                    rate=alarms / repeats,
                    low=low,
                    high=high,
                    gates_error=recipe.error,
                )
            )
    return rates


def null_run(population: Population, rounds: int, prompts: int, generator: random.Random) -> list[Measurement]:
    """Measurements of the gate pool over a run in which nothing happens."""
    asked = population.some_prompts(prompts, generator, "gate")
    history: list[PoolRows] = []
    held_out = HeldOut(trains=False, asked=())
    found: list[Measurement] = []
    for number in range(rounds + 1):
        said = population.draw(0, asked, generator)
        rows = pool_rows(said, generator, str(number))
        more = another_judge([rows], [said], generator)
        held_out = HeldOut(False, [*held_out.asked, *more.asked], [*held_out.judgments, *more.judgments])
        evidence = replace(
            nothing(rows, number),
            initial=history[0] if history else rows,
            previous=history[-1] if history else None,
            history=tuple(history),
            held_out=held_out,
            verifier=None,
        )
        history.append(rows)
        found += [row for family in measured(evidence, FAMILIES).values() for row in family]
    return found


def _at_limit(rule: GateRule, runs: Sequence[Sequence[Measurement]]) -> GateRule:
    neutral = {"initial": 0.0, "initial_ratio": 1.0}.get(rule.against)
    if neutral is None:
        seen = [
            row.value
            for run in runs
            for row in run
            if (row.metric, row.cohort) == (rule.metric, "all") and row.value is not None
        ]
        neutral = sum(seen) / len(seen)
    return replace(rule, above=None if rule.above is None else neutral, below=None if rule.below is None else neutral)


def fires(recipe: GatesRecipe, rounds: int, run: Sequence[Measurement]) -> bool:
    by_round: dict[int, list[Measurement]] = defaultdict(list)
    for row in run:
        by_round[row.round].append(row)
    return any(
        verdict.fired
        for number in range(1, rounds + 1)
        for verdict in judge_round(recipe, rounds, [*by_round[0], *by_round[number]], number)
    )
