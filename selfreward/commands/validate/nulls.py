"""How often does a metric alarm where nothing happened? At most 5 % two-sided is promised.

Each repeat draws a round of worlds.py and one of guesses.py, measures every family, and counts alarms. Metrics of one
repeat share their rows, so a repeat has more alarms than one in twenty; rates are per metric.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from selfreward.commands.validate.alarms import FIXED, GUESSED, change_alarms, fixed_alarms, measured
from selfreward.commands.validate.guesses import coin_flips
from selfreward.commands.validate.population import Population
from selfreward.commands.validate.worlds import same_policy
from selfreward.measuring.metrics import abouts
from selfreward.measuring.stats.clustered import wilson
from selfreward.records import seed_for

PROMPTS = 50
REPEATS = 1000
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class NullRate:
    """`kind`: fixed value, change of a level, guessing judge. `repeats` are those in which the metric could alarm."""

    family: str
    metric: str
    kind: str
    repeats: int
    alarms: int
    rate: float
    low: float
    high: float
    up: float

    @property
    def too_often(self) -> bool:
        """Even the lower end of the rate is above the level."""
        return self.low > LEVEL


def null_rates(
    population: Population, repeats: int, say: Callable[[str], None], prompts: int = PROMPTS
) -> list[NullRate]:
    """The alarm rate of every metric that can alarm, by kind and family."""
    seen: dict[tuple[str, str, str], Counter[int]] = defaultdict(Counter)
    for number in range(repeats):
        generator = random.Random(seed_for("null", number))
        same = same_policy(population, prompts, generator)
        now = measured(same.now)
        found = {("fixed", *key): way for key, way in fixed_alarms(now, FIXED).items()}
        found |= {("change", *key): way for key, way in change_alarms(now, measured(same.initial)).items()}
        guessed = measured(coin_flips(population, prompts, generator).now, JUDGED)
        found |= {("guessing", *key): way for key, way in fixed_alarms(guessed, GUESSED).items()}
        for key, way in found.items():
            seen[key][way] += 1
        if (number + 1) % 100 == 0:
            say(f"nulls: {number + 1} of {repeats}")
    return [_rate(family, metric, kind, ways) for (kind, family, metric), ways in sorted(seen.items())]


JUDGED = tuple(about.name for about in abouts().values() if any(one.guessed is not None for one in about.metrics))
"""The families whose value is known where the judge guesses."""


def _rate(family: str, metric: str, kind: str, ways: Counter[int]) -> NullRate:
    repeats, alarms = ways.total(), ways[1] + ways[-1]
    low, high = wilson(alarms, repeats)
    return NullRate(family, metric, kind, repeats, alarms, alarms / repeats, low, high, ways[1] / repeats)
