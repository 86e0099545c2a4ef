"""Explored rules of selection, for selection.py: one judge for all rounds, more prompts, later rounds preferred."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selfreward.cast import Cast, Policy
from selfreward.gates import CHANGE_METRIC, SELECTION_METRIC, SELECTION_POOL, best_round
from selfreward.judging import Judging
from selfreward.records import Judgment, Measurement, Response, Rows
from selfreward.report.reading import Reading
from selfreward.runs import Work
from selfreward.scoring.pointwise import distinct
from selfreward.stages.measure import pool_judging
from selfreward.stats import Estimate, cluster_means, clustered_mean, paired_difference, t_quantile


def anchored_round(reading: Reading, cache: Path) -> int:
    """The round that `best_round` takes when round 0's judge scored them all, once and greedily.

    A user has this judge: it costs one more reading of the selection pool per round. Scores are kept in `cache`.
    """
    path = cache / f"{reading.name}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(prompt_scores(reading)), encoding="utf-8")
    scores: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))
    return round_by_scores({int(number): mine for number, mine in scores.items()})


def latest_within_error(measurements: Sequence[Measurement]) -> int:
    """Of the stated rule's candidates the latest whose mean score is within one standard error of the highest.

    The standard error is that of the highest one's paired change against round 0. (Breiman et al. 1984 take the
    simplest model within one standard error; here training tends upwards, and 100 prompts cannot tell neighbours.)
    """
    rows = [row for row in measurements if (row.pool, row.cohort) == (SELECTION_POOL, "all")]
    means = {row.round: row.value for row in rows if row.metric == SELECTION_METRIC and row.value is not None}
    best = best_round(rows)
    changes = {row.round: row for row in rows if row.metric == CHANGE_METRIC and row.low is not None and row.low > 0}
    if best not in changes:
        return best
    chosen = changes[best]
    assert chosen.low is not None and chosen.high is not None
    error = (chosen.high - chosen.low) / 2 / t_quantile(0.975, chosen.n - 1)
    return max(number for number in changes if number in means and means[number] >= means[best] - error)


def round_by_scores(scores: Mapping[int, Mapping[str, float]]) -> int:
    """The stated rule on other scores: round → prompt → mean score."""
    rows = []
    for number, mine in scores.items():
        found = {SELECTION_METRIC: clustered_mean(list(mine.values()), list(mine))}
        if number:
            found[CHANGE_METRIC] = paired_difference(mine, scores[0])
        rows += [_row(number, metric, estimate) for metric, estimate in found.items()]
    return best_round(rows)


def _row(number: int, metric: str, found: Estimate) -> Measurement:
    bounds = (found.value, found.low, found.high, found.n)
    return Measurement(number, "", metric, "all", SELECTION_POOL, *bounds, 0, "")


def prompt_scores(reading: Reading) -> dict[str, dict[str, float]]:
    """Round → prompt of the selection pool → mean score of its answers by round 0's judge."""
    recipe = reading.recipe
    greedy = dataclasses.replace(recipe.judge.sampling, temperature=0.0)
    asking = dataclasses.replace(pool_judging(recipe), model="initial", samples=1, sampling=greedy)
    cast = Cast(recipe, lambda policy, report: None)
    seal = reading.view.seal(0, "checkpoint")
    directory = reading.view.directory(0) / "checkpoint"
    cast.policies.append(Policy(0, str(seal.facts["digest"]) if seal else "", directory))

    def compute(work: Work[Any, Any]) -> Rows[Any]:
        return Rows([row for index, chunk in enumerate(work.chunks) for row in work.compute(chunk, index)])

    pool = {name: prompt for name, prompt in reading.pools.items() if prompt.pool == SELECTION_POOL}
    found = {}
    try:
        for number in reading.rounds:
            answers = [row for row in reading.rows(number, "eval_responses", Response) if row.prompt_id in pool]
            asked = distinct(answers)
            judgments: Rows[Judgment] = Judging(asking, cast, compute, number, 0).judge(pool, asked, {}, "anchored")
            by_response = {row.response_id: row.score for row in judgments}
            by_text = {(row.prompt_id, row.text): by_response.get(row.id) for row in asked}
            scored = [(by_text[row.prompt_id, row.text], row.prompt_id) for row in answers]
            known = [(score, prompt) for score, prompt in scored if score is not None]
            found[str(number)] = cluster_means([score for score, _ in known], [prompt for _, prompt in known])
    finally:
        cast.close()
    return found
