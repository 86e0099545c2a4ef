"""Do two judges of the bench err alike? CAPA (stats/reliability.py) of every two, on the answers that both could read.

A question is two answers to one prompt with different labels, the options are which of them is better; a judge's score
says it surely, or half and half where it ties. Near 1 a second judge is no second opinion, however good both are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from selfreward.commands.judge_bench.scores import Outcomes
from selfreward.measuring.stats.clustered import NOTHING, Estimate
from selfreward.measuring.stats.reliability import capa_estimate


@dataclass(frozen=True, slots=True)
class Alike:
    pool: str
    one: str
    other: str
    capa: Estimate


def alike(pool: str, judges: Sequence[tuple[str, Outcomes]]) -> list[Alike]:
    """Every two judges on one pool."""
    return [Alike(pool, one, other, _capa(mine, theirs)) for (one, mine), (other, theirs) in combinations(judges, 2)]


def _capa(mine: Outcomes, theirs: Outcomes) -> Estimate:
    common = sorted(mine.keys() & theirs.keys())
    if not common:
        return NOTHING
    sides = [[(side[key], 1 - side[key]) for key in common] for side in (mine, theirs)]
    return capa_estimate(sides[0], sides[1], [0] * len(common), [prompt for prompt, _, _ in common])
