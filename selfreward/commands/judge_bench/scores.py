"""What one judge is worth on one pool. Intervals are 95 % ones, clustered by prompt; a number that cannot be is None.

    accuracy         pairs of one prompt with different labels that the judge's scores order as the labels do, ties half
    auc              chance that a good answer (label above the middle) gets a higher score than a bad one, ties half
    spearman, kappa  with the labels, where they are scores (kappa: whole points, quadratic weights)
    brier, ece       probabilities of a judge that compares, against the labels of those pairs (calibration.py). ECE has
                     no interval: `ece_noise` is what a perfectly calibrated judge stays below in 95 % of the cases
    first_slot       a judge that compares: preference for the first slot, over both orders; .5 is fair
    order_flips      likewise: comparisons whose verdict changes with the order
    longer           pairs of different length in which it prefers the longer answer, less those in which the labels do
    retest_flips     of a second, independent reading: pairs that both readings order, and order differently
    retest_alpha     Krippendorff's alpha (interval) of both readings' scores of an answer: 1 is no noise, 0 only noise
    retest_fleiss    Fleiss' kappa of their whole points: how often both are the same one, beyond chance
    best_of_n_gain   label of the answer that it picks of a prompt's, less that of a random one

Answers without a readable verdict are in none of these but the last, where they rank below all, and are counted apart.
A judge that reads probabilities and samples nothing has no second reading.
"""

import math
from collections.abc import Mapping, Sequence

from selfreward.commands.anchors.agreement import agreement
from selfreward.commands.judge_bench.pools import LabelledPool
from selfreward.commands.judge_diff import difference
from selfreward.judging.scoring.score import Score
from selfreward.judging.scoring.soft_labels import soft_labels
from selfreward.measuring.judge_truth import Rated, duels, longer_wins, pairwise_accuracy
from selfreward.measuring.metrics.duels import flip_share
from selfreward.measuring.metrics.judge.agreement import MIDDLE, POINTS, auc_estimate
from selfreward.measuring.metrics.judge.best_of_n import UNREAD, Sample, estimates
from selfreward.measuring.stats.calibration import calibration
from selfreward.measuring.stats.clustered import NOTHING, Estimate, clustered_share
from selfreward.measuring.stats.reliability import alpha_estimate, fleiss_estimate
from selfreward.recipe import JudgeRecipe
from selfreward.records import Comparison, Labelled

Scores = Mapping[str, Score]
Outcomes = Mapping[tuple[str, str, str], float]


def estimates_of(
    pool: LabelledPool, judge: JudgeRecipe, scores: Scores, comparisons: Sequence[Comparison], again: Scores | None
) -> dict[str, Estimate]:
    """Everything by name, in the order of the tables."""
    known = [(scores[row.id].value, row) for row in pool.rows if row.id in scores]
    fought = duels(Rated(row.prompt.id, value, row.label, len(row.response.text)) for value, row in known)
    decided = [(value, row) for value, row in known if row.label != MIDDLE]
    graded = agreement(
        [value for value, _ in known if pool.graded],
        [row.label for _, row in known if pool.graded],
        [row.prompt.id for _, row in known if pool.graded],
        POINTS,
    )
    return {
        "accuracy": pairwise_accuracy(fought),
        "auc": auc_estimate(
            [value for value, _ in decided],
            [int(row.label > MIDDLE) for _, row in decided],
            [row.prompt.id for _, row in decided],
        ),
        "spearman": graded.spearman,
        "kappa": graded.quadratic,
        **_calibration(pool, judge, comparisons),
        "first_slot": _first_slot(comparisons),
        "order_flips": flip_share(comparisons)[0],
        "longer": longer_wins(fought).excess,
        "retest_flips": NOTHING if again is None else difference(plain(scores), plain(again), pool.rows).flip_share,
        **_retest(pool, scores, again),
        "best_of_n_gain": _gain(pool, scores),
    }


def _retest(pool: LabelledPool, first: Scores, second: Scores | None) -> dict[str, Estimate]:
    if second is None:
        return dict.fromkeys(("retest_alpha", "retest_fleiss"), NOTHING)
    units = [[side[row.id].value if row.id in side else None for side in (first, second)] for row in pool.rows]
    points = [[None if value is None else math.floor(value + 0.5) for value in unit] for unit in units]
    prompts = [row.prompt.id for row in pool.rows]
    return {
        "retest_alpha": alpha_estimate(units, prompts, "interval"),
        "retest_fleiss": fleiss_estimate(points, prompts),
    }


def outcomes(pool: LabelledPool, scores: Scores) -> Outcomes:
    """Of every two answers to one prompt with different labels: 1 where the better one has the higher score, ties half.

    By prompt and the two answers, the better one first.
    """
    known = [(scores[row.id].value, row) for row in pool.rows if row.id in scores]
    return {
        (better.prompt.id, better.id, worse.id): float(high > low) + (high == low) / 2
        for high, better in known
        for low, worse in known
        if better.prompt.id == worse.prompt.id and better.label > worse.label
    }


def _calibration(pool: LabelledPool, judge: JudgeRecipe, comparisons: Sequence[Comparison]) -> dict[str, Estimate]:
    """Each two answers of different label once, told from one of them, whichever it is."""
    labels = {row.id: row for row in pool.rows}
    known: list[tuple[float, float, str]] = []
    if judge.comparing is not None and judge.reading.kind != "verdict":
        for (one, other), chance in soft_labels(comparisons, judge.comparing.clamp).items():
            first, second = labels[one], labels[other]
            if one < other and first.label != second.label:
                known.append((chance, float(first.label > second.label), first.prompt.id))
    if not known:
        return dict.fromkeys(("brier", "ece", "ece_noise"), NOTHING)
    chances, right, prompts = zip(*known, strict=True)
    found = calibration(chances, right, prompts)
    plain = {"ece": found.ece, "ece_noise": found.noise_95}
    return {"brier": found.brier, **{name: Estimate(value, None, None, found.brier.n) for name, value in plain.items()}}


def _first_slot(comparisons: Sequence[Comparison]) -> Estimate:
    read = [(row.preference, row.prompt_id) for row in comparisons if row.preference is not None]
    return clustered_share([value for value, _ in read], [prompt for _, prompt in read])


def _gain(pool: LabelledPool, scores: Scores) -> Estimate:
    samples: dict[str, list[Sample]] = {}
    for row in pool.rows:
        score = scores[row.id].value if row.id in scores else UNREAD
        samples.setdefault(row.prompt.id, []).append(Sample(score, row.label, float(row.label > MIDDLE)))
    several = {prompt: members for prompt, members in samples.items() if len(members) > 1}
    return estimates(several).get("judge_best_of_n_gain", NOTHING) if several else NOTHING


def plain(scores: Scores) -> dict[str, float]:
    return {name: score.value for name, score in scores.items()}


def distinct_answers(rows: Sequence[Labelled]) -> list[Labelled]:
    """One row for each text of a prompt: equal answers are asked about, and counted, once."""
    return list({(row.prompt.id, row.response.text): row for row in reversed(rows)}.values())[::-1]
