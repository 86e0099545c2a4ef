"""Rows joined by id: an answer with its prompt and with what the judge said about it. What the metrics start from."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from selfreward.errors import DataError
from selfreward.measuring.evidence import Evidence, PoolRows
from selfreward.measuring.metrics import numbers
from selfreward.measuring.stats.clustered import Estimate, cluster_means, clustered_share, paired_difference
from selfreward.records import Judgment, Measurement, Prompt, Response

POOLS = ("gate", "selection", "report")
OWN = "train"
"""The pool name of the rows that made the round's policy."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`score` is the mean of the readable verdicts, None where there is none: an unread verdict is never a number."""

    prompt: Prompt
    response: Response
    judgments: tuple[Judgment, ...]
    score: float | None


def mean_score(judgments: Iterable[Judgment]) -> float | None:
    """Mean over the readable verdicts, or None. A score that is no finite number is as good as unread."""
    scores = [judgment.score for judgment in judgments if judgment.score is not None and math.isfinite(judgment.score)]
    return math.fsum(scores) / len(scores) if scores else None


def join(rows: PoolRows, where: str) -> list[Answer]:
    """Answers sorted by prompt id and sample, whatever the order of the rows.

    Equal texts of one prompt are judged once, so an answer without judgments of its own takes those of its twin.
    Raises DataError naming a response whose prompt, or a judgment whose response, is missing.
    """
    prompts = {prompt.id: prompt for prompt in rows.prompts}
    judged: dict[str, list[Judgment]] = {response.id: [] for response in rows.responses}
    for judgment in sorted(rows.judgments, key=lambda row: (row.response_id, row.sample, row.id)):
        if judgment.response_id not in judged:
            raise DataError(
                f"judgment {judgment.id} of {where}: its response {judgment.response_id} is not among the "
                f"{len(judged)} responses; the files are not of one run"
            )
        judged[judgment.response_id].append(judgment)
    ordered = sorted(rows.responses, key=lambda row: (row.prompt_id, row.sample, row.id))
    twins: dict[tuple[str, str], list[Judgment]] = {}
    for response in ordered:
        if response.prompt_id not in prompts:
            raise DataError(
                f"response {response.id} of {where}: its prompt {response.prompt_id} is not among the "
                f"{len(prompts)} prompts; the files are not of one run"
            )
        if judged[response.id]:
            twins.setdefault((response.prompt_id, response.text), judged[response.id])
    answers = []
    for response in ordered:
        judgments = tuple(judged[response.id] or twins.get((response.prompt_id, response.text), ()))
        answers.append(Answer(prompts[response.prompt_id], response, judgments, mean_score(judgments)))
    return answers


def by_pool(rows: PoolRows, where: str) -> list[tuple[str, list[Answer]]]:
    """The evaluation pools that have answers, each with them."""
    answers = join(rows, where)
    pools = [(pool, [answer for answer in answers if answer.prompt.pool == pool]) for pool in POOLS]
    return [(pool, inside) for pool, inside in pools if inside]


def evaluated(evidence: Evidence) -> list[tuple[str, list[Answer]]]:
    """The policy's answers on the frozen prompt pools."""
    return by_pool(evidence.pools, f"the pools of round {evidence.round}")


def own_rows(evidence: Evidence) -> PoolRows:
    """The rows that made the round's policy."""
    return PoolRows(evidence.round_prompts, evidence.round_responses, evidence.round_judgments)


def by_cohort(answers: Sequence[Answer]) -> list[tuple[str, list[Answer]]]:
    """All answers, then those of each cohort in alphabetical order."""
    names = sorted({answer.prompt.cohort for answer in answers} - {""})
    cohorts = [(name, [answer for answer in answers if answer.prompt.cohort == name]) for name in names]
    return [("all", list(answers)), *cohorts]


def clusters(answers: Iterable[Answer]) -> list[str]:
    """The prompt id of each answer."""
    return [answer.prompt.id for answer in answers]


def row(
    evidence: Evidence,
    metric: str,
    estimate: Estimate,
    *,
    pool: str,
    cohort: str = "all",
    excluded: int = 0,
    better: Literal["higher", "lower", ""] = "",
    oracle: bool = False,
) -> Measurement:
    """One measurement of the policy. Whether it is oracle knowledge is the metric's own `truth`, or `oracle`."""
    truth = numbers()[metric].truth if metric in numbers() else ""
    labelled = pool == "frozen" and evidence.frozen_by_people
    return Measurement(
        round=evidence.round,
        policy=evidence.policy,
        metric=metric,
        cohort=cohort,
        pool=pool,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        excluded=excluded,
        better=better,
        oracle=oracle or truth == "oracle" or (truth == "labels" and not labelled),
    )


def flagged(evidence: Evidence, name: str, flags: Callable[[Sequence[Answer]], list[float]]) -> list[Measurement]:
    """`<name>_rate`, the share of answers with a flag, of all prompts and each cohort; `<name>_change` against round 0.

    `flags` is 1.0 or 0.0 for each answer. Prompts that round 0 was not asked are excluded from the change.
    """
    before = dict(by_pool(evidence.initial, "the pools of round 0"))
    rows = []
    for pool, answers in evaluated(evidence):
        for cohort, members in by_cohort(answers):
            share = clustered_share(flags(members), clusters(members))
            rows.append(row(evidence, f"{name}_rate", share, pool=pool, cohort=cohort, better="lower"))
        if evidence.round and pool in before:
            now, first = ((flags(side), clusters(side)) for side in (answers, before[pool]))
            change = paired_difference(cluster_means(*now), cluster_means(*first))
            excluded = len({*now[1]} - {*first[1]})
            rows.append(row(evidence, f"{name}_change", change, pool=pool, excluded=excluded, better="lower"))
    return rows
