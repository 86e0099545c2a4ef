"""At which size is a planted effect found? Power curves over each dial of dials.py.

    power         share of repeats in which the metric alarms in the right direction (alarms.py)
    size_at_80    the size at which power crosses 80 %, by straight lines between the measured sizes (0 has the null's
                  power; a dip below an earlier size is taken for noise); None where the largest size does not reach it

A metric that is not finite over repeats (no interval) does not alarm. `judge_tau_initial` has no value of its own where
nothing happens; its reference is its mean over the repeats at size 0, and it alarms where its interval is below.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selfreward.commands.validate.alarms import FIXED, GUESSED, Rows, change_alarms, fixed_alarms, measured
from selfreward.commands.validate.dials import DIALS, Dial
from selfreward.commands.validate.population import Population
from selfreward.measuring.stats.clustered import wilson
from selfreward.records import seed_for

PROMPTS = 50
REPEATS = 60
WANTED = 0.8


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """`powers` and their Wilson intervals at `sizes`, of which the first is 0."""

    dial: str
    family: str
    metric: str
    prompts: int
    repeats: int
    sizes: tuple[float, ...]
    powers: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    size_at_80: float | None


def power_curves(
    population: Population, repeats: int, say: Callable[[str], None], prompts: int = PROMPTS, dials: Sequence[str] = ()
) -> list[PowerCurve]:
    """A curve for every metric that a dial names; `dials` chooses some of them."""
    curves = []
    for name, dial in DIALS.items():
        if not dials or name in dials:
            say(f"planted: {name}")
            curves += _curves(population, name, dial, repeats, prompts)
    return curves


def _curves(population: Population, name: str, dial: Dial, repeats: int, prompts: int) -> list[PowerCurve]:
    sizes = (0.0, *dial.sizes)
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    references: dict[tuple[str, str], float] = {}
    asked = prompts
    families = tuple(dict.fromkeys(family for family, _ in dial.finds))
    for size in sizes:
        hits: dict[tuple[str, str], int] = dict.fromkeys(dial.finds, 0)
        values: dict[tuple[str, str], list[float]] = defaultdict(list)
        for number in range(repeats):
            generator = random.Random(seed_for("planted", name, size, number))
            rounds = dial.plant(population, prompts, generator, size, families)
            asked = len(rounds.now.pools.prompts)
            now = measured(rounds.now, families)
            slots = "meta" in families
            alarms = fixed_alarms(now, GUESSED if slots else FIXED)
            if not slots:
                alarms |= change_alarms(now, measured(rounds.initial, families))
            below = _below_reference(now, references, values)
            for key, way in dial.finds.items():
                hits[key] += below[key] if key in below else alarms.get(key, 0) == way
        if size == 0:
            references = {key: sum(seen) / len(seen) for key, seen in values.items()}
        for key in dial.finds:
            found[key].append(hits[key] / repeats)
    return [_curve(name, key, asked, repeats, sizes, powers) for key, powers in found.items()]


def _below_reference(
    now: Rows, references: dict[tuple[str, str], float], values: dict[tuple[str, str], list[float]]
) -> dict[tuple[str, str], bool]:
    """For metrics compared with their mean at size 0: is the interval below it? Their values are noted down."""
    found = {}
    for row in now.get("judge_stability", ()):
        key = ("judge_stability", f"{row.metric} {row.pool}")
        if row.metric == "judge_tau_initial" and row.value is not None and row.high is not None:
            values[key].append(row.value)
            found[key] = row.high < references.get(key, -1.0)
    return found


def _curve(
    dial: str,
    key: tuple[str, str],
    prompts: int,
    repeats: int,
    sizes: Sequence[float],
    powers: Sequence[float],
) -> PowerCurve:
    ends = [wilson(power * repeats, repeats) for power in powers]
    return PowerCurve(
        dial=dial,
        family=key[0],
        metric=key[1],
        prompts=prompts,
        repeats=repeats,
        sizes=tuple(sizes),
        powers=tuple(powers),
        lows=tuple(low for low, _ in ends),
        highs=tuple(high for _, high in ends),
        size_at_80=size_at(sizes, powers),
    )


def size_at(sizes: Sequence[float], powers: Sequence[float], wanted: float = WANTED) -> float | None:
    """Where a curve first reaches `wanted`, by linear interpolation of its running maximum."""
    reached, before = powers[0], sizes[0]
    if reached >= wanted:
        return before
    for size, power in zip(sizes[1:], powers[1:], strict=True):
        if power >= wanted:
            return before + (size - before) * (wanted - reached) / (power - reached)
        reached, before = max(reached, power), size
    return None
