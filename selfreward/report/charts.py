"""Which plots the HTML report shows: one per metric and pool that moved, a line per run."""

from collections.abc import Sequence
from dataclasses import dataclass

from selfreward.measuring.metrics.about import Family
from selfreward.records import Measurement
from selfreward.report.catalogue import STEERING_POOLS, in_families, is_plotted, place, words
from selfreward.report.figures import Point, Series, phase_chart, rounds_chart
from selfreward.report.flat import flat_text, is_flat
from selfreward.report.reading import Key, Reading
from selfreward.report.reliability_plot import reliability_plot
from selfreward.report.tables import Table, metric_table, number_text


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    note: str
    svg: str
    metric: str = ""


@dataclass(frozen=True, slots=True)
class Flat:
    """A metric that did not move, in a line."""

    metric: str
    title: str
    note: str
    said: str


@dataclass(frozen=True, slots=True)
class FamilyView:
    """A family of metrics: plots of what moved, a line for each that did not, and the numbers per run."""

    name: str
    question: str
    charts: Sequence[Chart]
    flat: Sequence[Flat]
    tables: Sequence[Table]


def points(rows: dict[int, Measurement]) -> list[Point]:
    """The rounds that have a value."""
    return [
        Point(number, row.value, row.low, row.high) for number, row in sorted(rows.items()) if row.value is not None
    ]


def metric_chart(readings: Sequence[Reading], key: Key) -> Chart | None:
    """One metric over rounds, or None where no run has a value."""
    lines = [Series(run.name, points(run.by_key.get(key, {})), index) for index, run in enumerate(readings)]
    title = words(key.metric) if key.cohort == "all" else key.cohort
    svg = rounds_chart(lines, f"{title}, {place(key.pool)}")
    return Chart(title, _note(readings, key), svg, key.metric) if svg else None


def _note(readings: Sequence[Reading], key: Key) -> str:
    oracle = any(row.oracle for run in readings for row in run.by_key.get(key, {}).values())
    return ", ".join(part for part in (place(key.pool), "needs truth" if oracle else "") if part)


def _shown(readings: Sequence[Reading], keys: Sequence[Key]) -> tuple[list[Chart], list[Flat]]:
    """The plots of what moved, and the rest in lines."""
    flat = [key for key in keys if is_flat(readings, key)]
    charts = [chart for key in keys if key not in flat and (chart := metric_chart(readings, key))]
    lines = []
    for key in flat:
        if said := flat_text(readings, key):
            title = words(key.metric) if key.cohort == "all" else f"{words(key.metric)}, {key.cohort}"
            lines.append(Flat(key.metric, title, _note(readings, key), said))
    return charts, lines


def main_charts(readings: Sequence[Reading]) -> list[Chart]:
    """Quality against self-reward; where truth is unknown, self-reward alone and length against it."""
    charts = [phase(readings)] if any(Key("true_quality", "report") in run.by_key for run in readings) else []
    if len(readings) == 1:
        both = [
            Series(words(metric), points(readings[0].by_key.get(Key(metric, "report"), {})), index)
            for index, metric in enumerate(("true_quality", "judge_mean"))
        ]
        if all(line.points for line in both):
            charts.append(Chart("Truth (●) and the judge's belief (■)", "report pool", rounds_chart(both, "Scores")))
    for run in readings:
        if plot := reliability_plot(run):
            named = "" if len(readings) == 1 else f", {run.name}"
            charts.append(Chart(f"Soft labels against the truth, round {plot[0]}{named}", "needs truth", plot[1]))
    wanted = ["true_accuracy", "judge_minus_truth"] if charts else ["judge_mean", "length_tokens"]
    charts += [chart for metric in wanted if (chart := metric_chart(readings, Key(metric, "report")))]
    return charts


def phase(readings: Sequence[Reading]) -> Chart:
    """True quality over the judge's belief, a path through the rounds."""
    lines = []
    for index, run in enumerate(readings):
        truth, belief = (run.by_key.get(Key(metric, "report"), {}) for metric in ("true_quality", "judge_mean"))
        path = []
        for number in sorted(truth.keys() & belief.keys()):
            y, x = truth[number], belief[number]
            if y.value is not None and x.value is not None:
                said = (number_text(row.value, row.low, row.high) for row in (x, y))
                label = "{}, round {}: judge {}, truth {}".format(run.name, number, *said)
                path.append(Point(x.value, y.value, y.low, y.high, x.low, x.high, label, str(number)))
        lines.append(Series(run.name, path, index))
    svg = phase_chart(lines, "judge's mean score", "True quality against the judge's mean score")
    return Chart("Truth (up), belief (right)", "by round; dashed: both agree", svg)


def family_views(readings: Sequence[Reading]) -> list[FamilyView]:
    """Every family that a run has measured, with all its plots and numbers."""
    keys = list(dict.fromkeys(key for run in readings for key in run.by_key))
    views = []
    for family, metrics in in_families(key.metric for key in keys):
        inside = sorted(
            (key for key in keys if key.metric in metrics), key=lambda key: (metrics.index(key.metric), key.pool)
        )
        wanted = [
            key
            for key in inside
            if (key.cohort == "all" or key.metric.startswith("cohort_"))
            and key.pool not in STEERING_POOLS
            and is_plotted(key.metric)
        ]
        tables = [metric_table(run, inside, run.name) for run in readings]
        views.append(FamilyView(family.name, family.question, *_shown(readings, wanted), tables))
    return views + _cohorts(readings, keys)


def _cohorts(readings: Sequence[Reading], keys: Sequence[Key]) -> list[FamilyView]:
    """True accuracy of each cohort, where there are cohorts and a truth."""
    inside = [key for key in keys if (key.metric, key.pool) == ("true_accuracy", "report") and key.cohort != "all"]
    if not inside:
        return []
    inside.sort(key=lambda key: key.cohort)
    family = Family("Cohorts", "True accuracy of each family of prompts, report pool: a mean can hide a regression.")
    tables = [metric_table(run, inside, run.name) for run in readings]
    return [FamilyView(family.name, family.question, *_shown(readings, inside), tables)]
