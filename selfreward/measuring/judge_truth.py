"""A judge's scores held against what the answers deserve, over pairs of answers to one prompt.

    pairwise accuracy   share of the pairs with different truth that the scores order as the truth does, equal scores
                        half; .5 is chance. Where truth is right or wrong this is the AUC within prompts
    tau within prompts  Kendall's tau-b of scores and truth, averaged over prompts where both vary
    longer wins         of the same pairs, those of different length: how often the judge prefers the longer one, how
                        often the truth does, and the first less the second, which is the judge's own taste for length

Answers without a readable verdict (`score` None) are in no pair; who reports these numbers counts them beside. Both
orders of two answers are one pair: a judge that compares was asked in both before its scores were made. Intervals are
clustered by prompt.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from selfreward.measuring.stats.clustered import Estimate, clustered_mean, clustered_share, tau_b


@dataclass(frozen=True, slots=True)
class Rated:
    """One answer: the judge's score, or None where it could not be read, and what the answer deserves."""

    prompt: str
    score: float | None
    truth: float
    characters: int = 0


class Duel(NamedTuple):
    """Two answers of different truth. `win`: the better one by truth has the higher score (1, 1/2 for equal, 0).

    `longer` and `truly_longer`: the longer one wins by the judge, by the truth; None where both are equally long.
    """

    prompt: str
    win: float
    longer: float | None
    truly_longer: float | None


def duels(rows: Iterable[Rated]) -> list[Duel]:
    """Every pair of read answers to one prompt that the truth tells apart."""
    found: list[Duel] = []
    for prompt, members in _by_prompt(rows).items():
        for one, other in combinations(members, 2):
            if one.truth != other.truth:
                better, worse = (one, other) if one.truth > other.truth else (other, one)
                win = _win(better.score or 0.0, worse.score or 0.0)
                growth = better.characters - worse.characters
                longer = None if growth == 0 else win if growth > 0 else 1.0 - win
                found.append(Duel(prompt, win, longer, None if growth == 0 else float(growth > 0)))
    return found


def pairwise_accuracy(fought: Sequence[Duel]) -> Estimate:
    return clustered_share([duel.win for duel in fought], [duel.prompt for duel in fought])


def within_tau(rows: Iterable[Rated]) -> Estimate:
    """No value where no prompt has scores and truths that both vary."""
    known: dict[str, float] = {}
    for prompt, members in _by_prompt(rows).items():
        tau = tau_b([one.score or 0.0 for one in members], [one.truth for one in members])
        if tau is not None:
            known[prompt] = tau
    return clustered_mean(list(known.values()), list(known))


class LongerWins(NamedTuple):
    judge: Estimate
    truth: Estimate
    excess: Estimate


def longer_wins(fought: Sequence[Duel]) -> LongerWins:
    sides = [(one.longer, one.truly_longer, one.prompt) for one in fought if one.longer is not None]
    prompts = [prompt for _, _, prompt in sides]
    judge, truth = ([float(side[index] or 0.0) for side in sides] for index in (0, 1))
    excess = [one - other for one, other in zip(judge, truth, strict=True)]
    return LongerWins(clustered_share(judge, prompts), clustered_share(truth, prompts), clustered_mean(excess, prompts))


def tied_prompts(rows: Iterable[Rated]) -> Estimate:
    """Share of the prompts with two read answers or more whose scores are all one: nothing can be paired there."""
    groups = {name: members for name, members in _by_prompt(rows).items() if len(members) > 1}
    ties = [float(len({one.score for one in members}) == 1) for members in groups.values()]
    return clustered_share(ties, list(groups))


def _by_prompt(rows: Iterable[Rated]) -> dict[str, list[Rated]]:
    groups: defaultdict[str, list[Rated]] = defaultdict(list)
    for row in rows:
        if row.score is not None:
            groups[row.prompt].append(row)
    return groups


def _win(better: float, worse: float) -> float:
    return 1.0 if better > worse else 0.5 if better == worse else 0.0
