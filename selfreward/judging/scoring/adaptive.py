"""Adaptive N: judgments go to the answers that may still become chosen or rejected (top-two racing, after LUCB).

Every answer gets `first` judgments. Then, for the best side and for the worst side of a prompt, the leader and its
strongest challenger are judged once more, until their intervals separate or an answer has been asked `cap` times:

    noise of answer i       v_i = (noise + sum of squares about mean_i) / n_i     (`own_noise`; else v_i = noise)
    posterior of answer i   precision = 1/prior + n_i/v_i,   mean = (centre/prior + n_i * mean_i/v_i) / precision
    interval                mean -+ z * precision^(-1/2);   centre = mean over the prompt's answers of mean_i
    leader                  the largest posterior mean;   challenger: the largest upper end among the others
    separate                lower end of the leader + tolerance >= upper end of the challenger

`noise` (variance of one judgment) and `prior` (variance of true scores within a prompt) are pooled over the whole first
pass and frozen before any second question, so the next question of a prompt is a pure function of that prompt's own
verdicts: the order in which prompts are served never matters. Assumption: judgments of one answer are independent.
`tolerance` and `own_noise` are ours: several right answers tie at the top of the scale, and without a tolerance their
race goes to the cap with nothing to win; and a judge is sure of many answers and torn about few, which one pooled
variance hides (in the sandbox 44 % of answers never get two different scores). A stopped winner's mean is too high,
because luck helped it to stop: the posterior mean, pulled towards the prompt's centre, is its score.

Edge cases. One answer (K < 2): nothing to compare, no further question. An answer without a readable verdict stands at
the centre with the prior's width, so it is asked on, up to the cap. Noise of 0 (a judge that always repeats itself):
intervals have no width, and only exact ties are asked on, in vain, so they are not: noise 0 stops every prompt.
A prior of 0 (all answers alike): the posterior is the centre for all; such a prompt is a tie and stops too.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfreward.judging.scoring.score import Score
from selfreward.recipe import AdaptiveRecipe
from selfreward.records import Judgment


@dataclass(frozen=True, slots=True)
class Constants:
    """Frozen before the second question. `noise` and `prior` are variances, in squared score units."""

    noise: float
    prior: float

    @property
    def sigma(self) -> float:
        """Standard deviation of one judgment about the answer's mean."""
        return math.sqrt(self.noise)


@dataclass(frozen=True, slots=True)
class Posterior:
    mean: float
    error: float


def estimate(first_pass: Sequence[Judgment]) -> Constants:
    """Pooled one-way analysis of variance of the first pass.

    noise = sum of squares within answers / sum (n_i - 1). prior = mean over prompts of the variance of the answers'
    means, less the part that noise explains (mean of noise / n_i), at least 0.
    """
    by_answer: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for judgment in first_pass:
        if judgment.score is not None:
            by_answer[judgment.prompt_id, judgment.response_id].append(judgment.score)
    within, freedom = 0.0, 0
    means: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for (prompt_id, _), values in sorted(by_answer.items()):
        if len(values) > 1:
            within += statistics.variance(values) * (len(values) - 1)
            freedom += len(values) - 1
        means[prompt_id].append((math.fsum(values) / len(values), len(values)))
    noise = within / freedom if freedom else 0.0
    between = weight = 0.0
    for rows in means.values():
        if len(rows) > 1:
            explained = math.fsum(noise / count for _, count in rows) / len(rows)
            between += (len(rows) - 1) * (statistics.variance([mean for mean, _ in rows]) - explained)
            weight += len(rows) - 1
    return Constants(noise, max(0.0, between / weight) if weight else 0.0)


def posteriors(
    scores: Mapping[str, Sequence[float]], constants: Constants, recipe: AdaptiveRecipe
) -> dict[str, Posterior]:
    """By answer of one prompt, from its readable scores; empty where no answer has any."""
    means = {name: math.fsum(values) / len(values) for name, values in scores.items() if values}
    if not means:
        return {}
    centre = math.fsum(means.values()) / len(means)
    found = {}
    for name, values in scores.items():
        if constants.noise == 0.0 and values:
            found[name] = Posterior(means[name], 0.0)
        elif constants.prior == 0.0:
            found[name] = Posterior(centre, 0.0)
        else:
            evidence = len(values) / _noise(values, constants, recipe) if values else 0.0
            precision = 1.0 / constants.prior + evidence
            mean = (centre / constants.prior + evidence * means.get(name, centre)) / precision
            found[name] = Posterior(mean, precision**-0.5)
    return found


def _noise(values: Sequence[float], constants: Constants, recipe: AdaptiveRecipe) -> float:
    """The variance of one judgment of this answer: the pooled one counts as one judgment beside its own."""
    if not recipe.own_noise:
        return constants.noise
    mean = math.fsum(values) / len(values)
    return (constants.noise + math.fsum((value - mean) ** 2 for value in values)) / len(values)


def next_questions(
    scores: Mapping[str, Sequence[float]], asked: Mapping[str, int], constants: Constants, recipe: AdaptiveRecipe
) -> list[str]:
    """The answers of one prompt to be judged once more now, sorted by id; empty when the prompt is settled.

    `scores` are the readable verdicts of each answer, `asked` the number of questions, unreadable replies included.
    """
    believed = posteriors(scores, constants, recipe)
    if len(believed) < 2 or constants.noise == 0.0 or constants.prior == 0.0:
        return []
    wanted: set[str] = set()
    for sign in (1.0, -1.0):
        # Equal values are decided by id, so that nothing depends on the order of rows.
        upper = {name: sign * one.mean + recipe.z * one.error for name, one in believed.items()}
        leader = min(believed, key=lambda name: (-sign * believed[name].mean, name))
        challenger = min((name for name in believed if name != leader), key=lambda name: (-upper[name], name))
        lower = sign * believed[leader].mean - recipe.z * believed[leader].error
        if lower + recipe.tolerance < upper[challenger]:
            wanted |= {leader, challenger}
    return sorted(name for name in wanted if asked[name] < recipe.cap)


def shrunken(judgments: Sequence[Judgment], recipe: AdaptiveRecipe) -> dict[str, Score]:
    """The score of every answer with a readable verdict: its posterior mean under the first pass's constants.

    `readable` says how many judgments it took.
    """
    constants = estimate([judgment for judgment in judgments if judgment.sample < recipe.first])
    readable: defaultdict[str, dict[str, list[float]]] = defaultdict(dict)
    unreadable: defaultdict[str, int] = defaultdict(int)
    for judgment in judgments:
        values = readable[judgment.prompt_id].setdefault(judgment.response_id, [])
        if judgment.score is None:
            unreadable[judgment.response_id] += 1
        else:
            values.append(judgment.score)
    found = {}
    for answers in readable.values():
        for name, one in posteriors(answers, constants, recipe).items():
            if answers[name]:
                spread = float(statistics.variance(answers[name])) if len(answers[name]) > 1 else None
                found[name] = Score(one.mean, len(answers[name]), unreadable[name], spread)
    return found
