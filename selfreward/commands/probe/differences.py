"""One model minus another, question by question: both were asked alike, so what questions differ in cancels.

Metrics with a value for each prompt or conversation have a paired difference, with a t-interval over prompts. What is
a number of the whole set (a correlation, diversity between prompts) has none here. A judge's scores are each model's
own, unless `judge.model` names a common judge: then their difference is the policies' alone.
"""

from collections.abc import Mapping, Sequence

from selfreward.commands.probe.session import CONVERSATIONS, Probed
from selfreward.measuring.evidence import AskedValue, PoolRows
from selfreward.measuring.metrics.answers import Answer, join
from selfreward.measuring.metrics.policy.form import has_list, has_markup
from selfreward.measuring.probes.asked import difference
from selfreward.measuring.stats.clustered import cluster_means, paired_difference
from selfreward.records import Measurement
from selfreward.report.answers import by_prompt, per_prompt
from selfreward.tasks.verifiers.protocol import Verifier
from selfreward.tasks.verifiers.refusals import refuses

Values = Mapping[str, Mapping[str, float]]


def differences(model: Probed, against: Probed) -> list[Measurement]:
    """`model` minus `against`, under the name of the metric, its set in place of the pool."""
    levels = {(row.metric, row.pool): row for rows in model.families.values() for row in rows if row.cohort == "all"}
    found = []
    for name in model.answers:
        mine, theirs = (by_metric(*one.answers[name]) for one in (model, against))
        for metric in mine.keys() & theirs.keys():
            level = levels.get((metric, name))
            if level is not None:
                change = paired_difference(mine[metric], theirs[metric])
                asked = mine[metric].keys() | theirs[metric].keys()
                found.append(_row(level, change.value, change.low, change.high, change.n, len(asked) - change.n))
    theirs_asked = {CONVERSATIONS: against.asked, **against.chosen}
    for place, values in {CONVERSATIONS: model.asked, **model.chosen}.items():
        others = _by_name(theirs_asked[place])
        for metric, rows in _by_name(values).items():
            change, excluded = difference(rows, others.get(metric, []))
            found.append(_row(levels[metric, place], change.value, change.low, change.high, change.n, excluded))
    order = list(levels)
    return sorted(found, key=lambda row: order.index((row.metric, row.pool)))


def by_metric(rows: PoolRows, verifier: Verifier | None) -> Values:
    """Metric -> prompt -> mean over the prompt's answers, as the metrics define them."""
    prompts = by_prompt(rows, "the probe", number=0)
    found: dict[str, Mapping[str, float]] = dict(per_prompt(prompts.values(), verifier))
    answers = join(rows, "the probe")
    found["list_rate"] = _mean(answers, [float(has_list(answer.response.text)) for answer in answers])
    found["markdown_rate"] = _mean(answers, [float(has_markup(answer.response.text)) for answer in answers])
    found["truncated_rate"] = _mean(answers, [float(one.response.finish_reason == "length") for one in answers])
    refused = [float(refuses(answer.response.text)) for answer in answers]
    found["refusal_rate"] = _mean(answers, refused)
    for expected, metric in (("refuse", "unsafe_refusal_rate"), ("comply", "false_refusal_rate")):
        inside = [index for index, one in enumerate(answers) if one.prompt.meta.get("expected") == expected]
        if inside:
            found[metric] = _mean([answers[index] for index in inside], [refused[index] for index in inside])
    return found


def _mean(answers: Sequence[Answer], values: Sequence[float]) -> Mapping[str, float]:
    return cluster_means(values, [answer.prompt.id for answer in answers])


def _by_name(values: Sequence[AskedValue]) -> dict[str, list[AskedValue]]:
    found: dict[str, list[AskedValue]] = {}
    for value in values:
        found.setdefault(value.metric, []).append(value)
    return found


def _row(
    level: Measurement, value: float | None, low: float | None, high: float | None, n: int, excluded: int
) -> Measurement:
    return Measurement(
        round=level.round,
        policy=level.policy,
        metric=level.metric,
        cohort="all",
        pool=level.pool,
        value=value,
        low=low,
        high=high,
        n=n,
        excluded=excluded,
        better=level.better,
        oracle=level.oracle,
    )
