"""How often does a run in which nothing happens name one of three forces (report/forces.py)? At most 5 % is promised.

Round 0 and every later round are drawn from one policy and one judge, who also is the held-out one; a cohort, frozen
answers and round 0's own ones are judged anew in each. What is planted is planted in every later round.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from selfreward.commands.validate.alarms import measured
from selfreward.commands.validate.gates_null import PROMPTS, RunRate
from selfreward.commands.validate.population import Population, pool_rows
from selfreward.commands.validate.worlds import (
    NOTHING_PLANTED,
    Planted,
    again,
    another_judge,
    frozen_rejudged,
    likelihoods,
    nothing,
)
from selfreward.measuring.evidence import CohortRows
from selfreward.measuring.stats.clustered import wilson
from selfreward.recipe import Recipe
from selfreward.records import Measurement, seed_for
from selfreward.report.forces import ERROR, Name, moving, signs
from selfreward.report.reading import Key
from selfreward.tasks.verifiers.sandbox import SandboxVerifier

FAMILIES = ("belief", "drift", "cohorts", "judge_anchor", "held_out")


@dataclass(frozen=True)
class Drawn:
    """What the report reads of a run, without a run: `forces.signs` asks for no more."""

    recipe: Recipe
    rounds: Sequence[int]
    measurements: Sequence[Measurement]

    @cached_property
    def by_key(self) -> dict[Key, dict[int, Measurement]]:
        found: dict[Key, dict[int, Measurement]] = {}
        for row in self.measurements:
            found.setdefault(Key(row.metric, row.pool, row.cohort), {})[row.round] = row
        return found


def drawn_run(
    population: Population,
    recipe: Recipe,
    prompts: int,
    generator: random.Random,
    planted: Planted = NOTHING_PLANTED,
) -> Drawn:
    """The measurements of a run of `recipe.rounds` rounds."""
    asked, frozen = population.some_prompts(prompts, generator), population.some_frozen(prompts, generator)
    before = population.draw(0, asked, generator)
    initial, first = pool_rows(before, generator, "0"), frozen_rejudged(population, frozen, generator, None)
    found: list[Measurement] = []
    for number in range(1, recipe.rounds + 1):
        fair = population.draw(0, asked, generator)
        after = fair if planted.edit is None else planted.edit(list(fair), generator)
        if [one.text for one in after] != [one.text for one in fair]:
            fair = after
        now = pool_rows(after, generator, str(number))
        evidence = replace(
            nothing(now, number),
            initial=initial,
            history=(initial,),
            frozen=frozen,
            frozen_judgments=frozen_rejudged(population, frozen, generator, planted.rescore),
            frozen_judgments_initial=first,
            initial_rejudged=again(initial, before, generator),
            held_out=another_judge((now, initial), (fair, before), generator),
            likelihoods=likelihoods(now, after),
            cohorts=(CohortRows("letters", now, initial, SandboxVerifier(), True),),
        )
        found += [row for family in measured(evidence, FAMILIES).values() for row in family]
    return Drawn(recipe, range(recipe.rounds + 1), found)


def named(run: Drawn) -> set[Name]:
    """The forces that the report would call moving."""
    return set(moving(signs(run)))


def force_rate(
    population: Population, rounds: int, repeats: int, say: Callable[[str], None], prompts: int = PROMPTS
) -> RunRate:
    """The share of null runs in which any force is named."""
    recipe, alarms = Recipe(rounds=rounds), 0
    for number in range(repeats):
        alarms += bool(named(drawn_run(population, recipe, prompts, random.Random(seed_for("forces", number)))))
        if (number + 1) % 100 == 0:
            say(f"three forces: {number + 1} of {repeats} null runs")
    low, high = wilson(alarms, repeats)
    return RunRate(
        rules="three forces",
        count=len(signs(drawn_run(population, recipe, prompts, random.Random(0)))),
        rounds=rounds,
        prompts=prompts,
        repeats=repeats,
        alarms=alarms,
        rate=alarms / repeats,
        low=low,
        high=high,
        gates_error=ERROR,
    )
