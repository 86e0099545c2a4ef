"""Does the judge say the same twice, and the same as earlier judges? No truth is needed.

    judge_retest_agreement   share of pairs of readable verdicts about one answer that are equal
    judge_retest_deviation   points: root of the mean variance of the readable verdicts within an answer
    judge_tau_{previous,initial}   Kendall's tau-b between this judge's mean scores of the frozen answers and those of
                                   the judge of the round before, and of round 0 (what CREAM, 2410.12735, regularises
                                   with within prompts, here over all pairs of frozen answers)

The first two are on every pool and on the frozen answers. Answers with fewer than two readable verdicts are excluded;
for tau those that one of the judges left without a readable verdict. Interval of tau: bootstrap over prompts, no value
where one judge gives everything one score. Frozen answers are the same in every round, so that a falling tau is the
judge's; test-retest says how much of it is noise of a single round.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from math import sqrt
from statistics import variance

import numpy as np

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, down
from selfreward.measuring.metrics.answers import evaluated, mean_score, row
from selfreward.measuring.metrics.families import JUDGE_AGREEMENT
from selfreward.measuring.stats.clustered import NOTHING, Estimate, clustered_mean, clustered_share
from selfreward.measuring.stats.resampling import clustered_kendall
from selfreward.records import Judgment, Measurement

ABOUT = About(
    "judge_stability",
    pools=(
        "frozen",
        "gate",
    ),
    metrics=(
        Metric("judge_retest_agreement", "judge asked again, same verdict", JUDGE_AGREEMENT),
        Metric("judge_retest_deviation", "judge asked again, spread", JUDGE_AGREEMENT),
        Metric("judge_tau_previous", "judge τ to the previous judge", JUDGE_AGREEMENT, guessed=0.0, pools=("frozen",)),
        Metric(
            "judge_tau_initial",
            "judge τ to the initial judge",
            JUDGE_AGREEMENT,
            guessed=0.0,
            planted=(down("stale judge", "frozen"),),
            pools=("frozen",),
        ),
    ),
)


def measure(evidence: Evidence) -> list[Measurement]:
    rows = []
    if evidence.pools.judgments:
        for pool, answers in evaluated(evidence):
            asked = {judgment.id: judgment for answer in answers for judgment in answer.judgments}
            rows += _retest(evidence, pool, list(asked.values()))
    if evidence.frozen_judgments:
        rows += _retest(evidence, "frozen", evidence.frozen_judgments)
    earlier = {"previous": evidence.frozen_judgments_previous, "initial": evidence.frozen_judgments_initial}
    for name, before in earlier.items():
        if evidence.frozen_judgments and before and evidence.round > 0:
            rows.append(_tau(evidence, f"judge_tau_{name}", before))
    return rows


def _by_response(judgments: Sequence[Judgment]) -> dict[str, list[Judgment]]:
    found: dict[str, list[Judgment]] = defaultdict(list)
    for judgment in sorted(judgments, key=lambda item: (item.prompt_id, item.response_id, item.sample, item.id)):
        found[judgment.response_id].append(judgment)
    return found


def _retest(evidence: Evidence, pool: str, judgments: Sequence[Judgment]) -> list[Measurement]:
    answers = _by_response(judgments)
    readable = {name: [item.score for item in asked if item.score is not None] for name, asked in answers.items()}
    twice = {name: scores for name, scores in readable.items() if len(scores) > 1}
    prompt_of = {name: asked[0].prompt_id for name, asked in answers.items()}
    equal = [
        (float(one == other), prompt_of[name])
        for name, scores in twice.items()
        for one, other in combinations(scores, 2)
    ]
    agreement = clustered_share([same for same, _ in equal], [prompt for _, prompt in equal])
    spread = clustered_mean([variance(scores) for scores in twice.values()], [prompt_of[name] for name in twice])
    excluded = len(answers) - len(twice)
    return [
        row(evidence, "judge_retest_agreement", agreement, pool=pool, excluded=excluded, better="higher"),
        row(evidence, "judge_retest_deviation", _root(spread), pool=pool, excluded=excluded, better="lower"),
    ]


def _root(estimate: Estimate) -> Estimate:
    """The root of a variance and of its interval's ends; an end below 0 is 0."""
    if estimate.value is None:
        return NOTHING
    low, high = (None if end is None else sqrt(max(0.0, end)) for end in (estimate.low, estimate.high))
    return Estimate(sqrt(estimate.value), low, high, estimate.n)


def _tau(evidence: Evidence, metric: str, before: Sequence[Judgment]) -> Measurement:
    now, then = _by_response(evidence.frozen_judgments), _by_response(before)
    scores = {name: (mean_score(asked), mean_score(then.get(name, ()))) for name, asked in now.items()}
    both = [(name, one, other) for name, (one, other) in scores.items() if one is not None and other is not None]
    tau = clustered_kendall(
        np.asarray([one for _, one, _ in both]),
        np.asarray([other for _, _, other in both]),
        [now[name][0].prompt_id for name, _, _ in both],
    )
    return row(evidence, metric, tau, pool="frozen", excluded=len(now.keys() | then.keys()) - len(both))
