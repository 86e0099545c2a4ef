"""What a round should take by what its recipe asks, for the time that is left of a run."""

from collections import defaultdict

from selfreward.commands.plan.devices import devices_of
from selfreward.commands.plan.revising import revising
from selfreward.commands.plan.workload import comparing, generating, judging, recipe_lengths
from selfreward.commands.plan.workload_measuring import measuring
from selfreward.commands.plan.workload_training import taught_in, teaching, teaching_training, training
from selfreward.recipe import (
    REWARD_MODEL,
    Recipe,
    measured_rounds,
)
from selfreward.store.run_clock import RunClock

READ, WRITTEN, TRAINED = 1.0, 6.0, 6.0
"""What a token costs that is read, sampled or trained on, relative to one another: measured at 135 M on a CPU."""

_SAID = 0.6
"""Replies end before their limit: the share of it that they take."""


def run_clock(recipe: Recipe) -> RunClock:
    """A clock that expects of every round what the recipe asks of this device in it."""
    lengths = recipe_lengths(recipe)
    made = [*generating(recipe, lengths), *judging(recipe, lengths, 1.0), *comparing(recipe, lengths)]
    made += revising(recipe, lengths)
    measured, trained = measuring(recipe, lengths), training(recipe, lengths)
    at = set(measured_rounds(recipe))
    costs: defaultdict[tuple[int, str], float] = defaultdict(float)
    devices = devices_of(recipe)
    read, written, steps = READ / devices.sampling, WRITTEN / devices.sampling, TRAINED / devices.processes
    for number in range(recipe.rounds + 1):
        for asked in [*(made if number else []), *(measured if number in at else [])]:
            # The first policy is compared with none, and what a server answers is not this device's work.
            if not asked.server:
                cost = read * min(asked.unique, asked.prefill) + written * _SAID * asked.decoded
                costs[number, asked.artifact] += cost
        if number in taught_in(recipe):
            for asked in teaching(recipe, lengths):
                if not asked.server:
                    costs[number, asked.artifact] += read * asked.unique + written * _SAID * asked.decoded
            learnt = teaching_training(recipe, lengths)
            costs[number, REWARD_MODEL] = steps * learnt.tokens * learnt.epochs
        if number:
            costs[number, "checkpoint"] = steps * trained.tokens * trained.epochs + read * trained.reference
    return RunClock(costs)
