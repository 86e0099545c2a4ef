"""Does the judge drift away from what holds still, and how fast?

    judge_minus_truth_trend        points per round: slope of score minus true quality over the rounds (oracle)
    judge_minus_held_out           mean score by the loop's own judge minus the held-out judge's, on the same answers
    judge_minus_held_out_change    the same minus round 0's, paired by prompt
    judge_minus_held_out_trend     its slope over the rounds
    judge_held_out_spearman        rho of the two judges' mean scores on the same answers: does the loop's own judge
                                   know what another one knows? Equal texts of a prompt count once
    judge_minus_label              mean score of the frozen answers minus their labels (oracle, unless people gave them)
    judge_generosity_change        mean score by this round's judge minus by round 0's, of the very same answers: the
                                   frozen ones, and (pool report) some of round 0's. No truth is needed: what this is
                                   above 0 is no merit of the policy

A slope is each prompt's own least-squares slope over the policies from the start to this one (rounds that a gate rolled
back are not among them), averaged over the prompts that every round has, with a t-interval over prompts; it needs three
rounds, two being the change. The levels and slopes take each round's own judge, as the loop does. Answers without a
readable verdict by either side are excluded; the others' counts are of answers, for changes and slopes of prompts.
"""

from collections.abc import Mapping, Sequence

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics.about import About, Metric, up
from selfreward.measuring.metrics.answers import POOLS, by_pool, evaluated, mean_score, row
from selfreward.measuring.metrics.duels import Asked, asked_answers
from selfreward.measuring.metrics.families import JUDGE, JUDGE_DRIFT
from selfreward.measuring.metrics.judge.belief import scores
from selfreward.measuring.metrics.judge.self_preference import rejudged
from selfreward.measuring.metrics.worries import OTHER_JUDGE, Beyond
from selfreward.measuring.stats.clustered import cluster_means, clustered_mean, paired_difference, trend
from selfreward.measuring.stats.resampling import clustered_spearman
from selfreward.records import Judgment, Measurement
from selfreward.tasks.verifiers.protocol import Verifier

ABOUT = About(
    "judge_anchor",
    (
        Metric("judge_held_out_spearman", "judge with held-out judge, ρ", JUDGE, needs="measure.held_out"),
        Metric("judge_minus_truth_trend", "judge minus truth, per round", JUDGE_DRIFT, truth="oracle"),
        Metric(
            "judge_minus_label", "judge minus label, frozen answers", JUDGE_DRIFT, truth="labels", pools=("frozen",)
        ),
        Metric(
            "judge_generosity_change",
            "same answers, this judge minus first",
            JUDGE_DRIFT,
            planted=(up("saturated judge", "frozen"), up("generous judge", "frozen")),
            worries=(
                Beyond("report", 0.25, True, "the very same answers get more than by round 0's judge", (OTHER_JUDGE,)),
            ),
            pools=("frozen",),
        ),
        Metric(
            "judge_minus_held_out",
            "judge minus held-out judge",
            JUDGE_DRIFT,
            still=0.0,
            planted=(up("saturated judge"), up("generous judge")),
            needs="measure.held_out",
        ),
        Metric("judge_minus_held_out_change", "judge minus held-out, change", JUDGE_DRIFT, needs="measure.held_out"),
        Metric("judge_minus_held_out_trend", "judge minus held-out, per round", JUDGE_DRIFT, needs="measure.held_out"),
    ),
)

FEWEST_ROUNDS = 3
ByPrompt = Mapping[str, float]


def measure(evidence: Evidence) -> list[Measurement]:
    rows = []
    if evidence.verifier is not None and evidence.pools.judgments:
        rows += _truth_trend(evidence, evidence.verifier)
    if evidence.held_out is not None and evidence.held_out.judgments:
        where, rounds = "the pools of the rounds", (*evidence.history, evidence.pools)
        sides = [asked_answers(side, evidence.held_out, where) for side in rounds]
        for pool in POOLS:
            rows += _held_out(evidence, pool, sides)
    return [*rows, *_labels(evidence), *_generosity(evidence)]


def _truth_trend(evidence: Evidence, verifier: Verifier) -> list[Measurement]:
    if len(evidence.history) + 1 < FEWEST_ROUNDS:
        return []
    earlier = [dict(by_pool(rows, "an earlier round's pools")) for rows in evidence.history]
    found = []
    for pool, answers in evaluated(evidence):
        rounds = [cluster_means(*scores(one, verifier)) for one in [*(e.get(pool, []) for e in earlier), answers]]
        found += _slope(evidence, "judge_minus_truth_trend", pool, rounds)
    return found


def _slope(evidence: Evidence, metric: str, pool: str, rounds: Sequence[ByPrompt]) -> list[Measurement]:
    if len(rounds) < FEWEST_ROUNDS:
        return []
    slope = trend(dict(enumerate(rounds)))
    excluded = len(set().union(*rounds)) - slope.n
    return [row(evidence, metric, slope, pool=pool, excluded=excluded, better="lower")]


def _held_out(evidence: Evidence, pool: str, sides: Sequence[Sequence[Asked]]) -> list[Measurement]:
    rounds = [[one for one in side if one.answer.prompt.pool == pool] for side in sides]
    now = _gaps(rounds[-1])
    if not rounds[-1]:
        return []
    level = clustered_mean([gap for gap, _ in now], [prompt for _, prompt in now])
    metric, excluded = "judge_minus_held_out", len(rounds[-1]) - len(now)
    rows = [row(evidence, metric, level, pool=pool, excluded=excluded)]
    rows.append(_ranks(evidence, pool, rounds[-1]))
    known = [_means(_gaps(members)) for members in rounds]
    if len(known) > 1 and known[0]:
        change = paired_difference(known[-1], known[0])
        left_out = len(known[-1].keys() | known[0].keys()) - change.n
        rows.append(row(evidence, f"{metric}_change", change, pool=pool, excluded=left_out, better="lower"))
    # Every round has scores only where one and the same judge was held out.
    return [*rows, *(_slope(evidence, f"{metric}_trend", pool, known) if all(known) else [])]


def _ranks(evidence: Evidence, pool: str, answers: Sequence[Asked]) -> Measurement:
    distinct = {(one.answer.prompt.id, one.answer.response.text): one for one in reversed(answers)}
    both = [(distinct[key].answer.score, distinct[key].held_out, key[0]) for key in sorted(distinct)]
    pairs = [(own, other, prompt) for own, other, prompt in both if own is not None and other is not None]
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    ranks = clustered_spearman(sides[0], sides[1], [prompt for *_, prompt in pairs])
    excluded = len(both) - len(pairs)
    return row(evidence, "judge_held_out_spearman", ranks, pool=pool, excluded=excluded, better="higher")


def _gaps(answers: Sequence[Asked]) -> list[tuple[float, str]]:
    return [
        (one.answer.score - one.held_out, one.answer.prompt.id)
        for one in answers
        if one.answer.score is not None and one.held_out is not None
    ]


def _means(gaps: Sequence[tuple[float, str]]) -> dict[str, float]:
    return cluster_means([gap for gap, _ in gaps], [prompt for _, prompt in gaps])


def _labels(evidence: Evidence) -> list[Measurement]:
    if not (evidence.frozen and evidence.frozen_judgments):
        return []
    said = _mean_scores(evidence.frozen_judgments)
    frozen = sorted(evidence.frozen, key=lambda item: (item.prompt.id, item.response.sample, item.id))
    known = [(score - one.label, one.prompt.id) for one in frozen if (score := said.get(one.id)) is not None]
    gap = clustered_mean([value for value, _ in known], [prompt for _, prompt in known])
    return [row(evidence, "judge_minus_label", gap, pool="frozen", excluded=len(frozen) - len(known))]


def _generosity(evidence: Evidence) -> list[Measurement]:
    if evidence.round == 0:
        return []
    again = rejudged(evidence) if evidence.initial_rejudged else []
    names = {answer.response.id for answer in again}
    first = [one for one in dict(by_pool(evidence.initial, "round 0")).get("report", []) if one.response.id in names]
    before = {one.response.id: one.score for one in first}
    pools = {
        "frozen": (_mean_scores(evidence.frozen_judgments), _mean_scores(evidence.frozen_judgments_initial)),
        "report": ({one.response.id: one.score for one in again}, before),
    }
    prompts = {one.response_id: one.prompt_id for one in (*evidence.frozen_judgments, *evidence.initial_rejudged)}
    rows = []
    for pool, (now, then) in pools.items():
        if not now or not then:
            continue
        known = [
            (one - other, prompts[name])
            for name in sorted(now, key=lambda name: (prompts.get(name, ""), name))
            if (one := now[name]) is not None and (other := then.get(name)) is not None
        ]
        change = clustered_mean([value for value, _ in known], [prompt for _, prompt in known])
        excluded = len(now.keys() | then.keys()) - len(known)
        rows.append(row(evidence, "judge_generosity_change", change, pool=pool, excluded=excluded, better="lower"))
    return rows


def _mean_scores(judgments: Sequence[Judgment]) -> dict[str, float | None]:
    said: dict[str, list[Judgment]] = {}
    for judgment in sorted(judgments, key=lambda item: (item.response_id, item.sample, item.id)):
        said.setdefault(judgment.response_id, []).append(judgment)
    return {name: mean_score(asked) for name, asked in said.items()}
