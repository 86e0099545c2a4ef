"""Coverage cases in which hardly any prompt moves: most runs of a small pool show few moves, many show none.

What no prompt shows has to be in the interval all the same (`stats.unseen_variance`).
"""

import numpy as np

from selfreward.commands.validate.clustered_draws import Layout
from selfreward.commands.validate.coverage_means import Draw
from selfreward.measuring.stats.clustered import Estimate, trend
from selfreward.measuring.stats.nested_difference import nested_paired_difference

ROUNDS = 4
RUNS = 2


def nested_few_moves(layout: Layout, _: float, chance: float) -> tuple[Draw, float]:
    """3 seed models × 2 run seeds: a prompt can move with twice the chance; in each run it does so at even odds."""
    return _nested(layout, chance, 3, RUNS), chance


def one_run_few_moves(layout: Layout, _: float, chance: float) -> tuple[Draw, float]:
    """One run against another, as `compare` has it."""
    return _nested(layout, chance, 1, 1), chance


def _nested(layout: Layout, chance: float, models: int, seeds: int) -> Draw:
    runs = [(str(model), f"{model}/{seed}") for model in range(models) for seed in range(seeds)]

    def draw(generator: np.random.Generator) -> Estimate:
        movable = generator.random(layout.clusters) < 2 * chance
        moves = movable & (generator.random((len(runs), layout.clusters)) < 0.5)
        table = {
            (*run, str(prompt)): float(move)
            for run, row in zip(runs, moves.tolist(), strict=True)
            for prompt, move in enumerate(row)
        }
        return nested_paired_difference(table, (-1.0, 1.0)).estimate

    return draw


def trend_few_moves(layout: Layout, _: float, chance: float) -> tuple[Draw, float]:
    """Four rounds of right or wrong: a prompt turns right with this chance, in any round after the first, for good."""
    centred = np.arange(ROUNDS) - (ROUNDS - 1) / 2
    slopes = [float(centred[first:].sum() / (centred**2).sum()) for first in range(1, ROUNDS)]

    def draw(generator: np.random.Generator) -> Estimate:
        turns = np.where(
            generator.random(layout.clusters) < chance, generator.integers(1, ROUNDS, layout.clusters), ROUNDS
        )
        return trend(
            {
                number: {str(prompt): float(number >= turn) for prompt, turn in enumerate(turns.tolist())}
                for number in range(ROUNDS)
            }
        )

    return draw, chance * float(np.mean(slopes))
