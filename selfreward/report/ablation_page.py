"""A grid as one HTML file without a network: what is resolved, forest plots, a heat map of two factors, cost, gain."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from selfreward import __version__
from selfreward.report.ablation import Ablation
from selfreward.report.ablation_rows import LEVEL, ArmRow, difference_text, main_metric, metric_scope
from selfreward.report.alike import ALIKE
from selfreward.report.figures import COLOURS, COLOURS_ON_DARK, Point, Series, legend_mark, scatter_chart
from selfreward.report.forest import Forest, ForestRow, Heat, forest, heat
from selfreward.report.tables import DASH, number_text

GAIN_HEADER = ("arm", "gain from round 0 to the last", "", "smallest effect")
CONTRAST_HEADER = ("contrast", "difference at the last round", "", "smallest effect", "p (Holm)", "")


def ablation_page(name: str, outcome: Ablation, factors: Mapping[str, Mapping[str, str]]) -> str:
    """The whole page. `factors`: arm → key → value, for the keys in which the arms differ.

    What a user named is escaped; only our own SVG is marked as safe.
    """
    environment = Environment(
        loader=PackageLoader("selfreward.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    arms = list(dict.fromkeys(row.arm for row in outcome.arms))
    return environment.get_template("ablation.html.jinja").render(
        title=name,
        version=__version__,
        colours=COLOURS,
        colours_on_dark=COLOURS_ON_DARK,
        resolved=resolved(outcome),
        notes=outcome.notes,
        contrasts=contrast_forests(outcome),
        gains=gain_forests(outcome.arms),
        heats=heat_maps(outcome.arms, factors),
        cost=cost_chart(outcome, arms),
        marks=[(Markup(legend_mark(index, arm)), arm) for index, arm in enumerate(arms)],
        factors=factors,
        tables=outcome.tables,
    )


def resolved(outcome: Ablation) -> list[str]:
    """What stands after Holm's correction, in a sentence each."""
    return [
        f"{row.arm} is {row.verdict} than {row.control} in {metric_scope(row.metric)}: "
        f"{difference_text(row.difference, signed=True)}, p {row.adjusted:.2g} after Holm."
        for row in outcome.contrasts
        if row.adjusted is not None and row.verdict in ("higher", "lower")
    ]


def contrast_forests(outcome: Ablation) -> list[Forest]:
    """One for each metric that is tested; what is the same by construction stands in the tables."""
    found = defaultdict(list)
    for row in outcome.contrasts:
        if row.difference.unit == ALIKE:
            continue
        estimate, effect = row.difference.estimate, row.difference.smallest_effect
        adjusted = DASH if row.adjusted is None else f"{row.adjusted:.2g}"
        found[row.metric].append(
            ForestRow(
                f"{row.arm} − {row.control}",
                estimate.value,
                estimate.low,
                estimate.high,
                effect,
                difference_text(row.difference, signed=True),
                (number_text(effect), adjusted, row.verdict),
                solid=row.adjusted is not None and row.adjusted < LEVEL,
            )
        )
    made = [forest(metric_scope(metric), CONTRAST_HEADER, rows) for metric, rows in found.items()]
    return [one for one in made if one]


def gain_forests(arms: Sequence[ArmRow]) -> list[Forest]:
    """One for each metric. A gain is not corrected: filled where its own interval is beside 0."""
    found = defaultdict(list)
    for row in arms:
        if row.gain.unit == ALIKE:
            continue
        estimate, effect = row.gain.estimate, row.gain.smallest_effect
        text = difference_text(row.gain, signed=True)
        ends = estimate.value, estimate.low, estimate.high
        notes = (number_text(effect),)
        found[row.metric].append(ForestRow(row.arm, *ends, effect, text, notes, solid=row.gain.resolved))
    made = [forest(metric_scope(metric), GAIN_HEADER, rows) for metric, rows in found.items()]
    return [one for one in made if one]


def heat_maps(arms: Sequence[ArmRow], factors: Mapping[str, Mapping[str, str]]) -> list[Heat]:
    """The gain by two factors, for the truth (or the judge's belief) and for their gap; none with one or three."""
    keys = list(next(iter(factors.values()), {}))
    if len(keys) != 2:
        return []
    down, across = keys
    made = []
    for metric in dict.fromkeys([main_metric(arms), "judge_minus_truth"]):
        cells = [
            (
                factors[row.arm][down],
                factors[row.arm][across],
                row.gain.estimate.value,
                difference_text(row.gain, signed=True),
            )
            for row in arms
            if row.metric == metric
        ]
        made.append(heat(f"Gain in {metric_scope(metric)}", down, across, cells))
    return [one for one in made if one]


def cost_chart(outcome: Ablation, arms: Sequence[str]) -> Markup | None:
    """Gain over minutes a run; None where no gain is known."""
    main = main_metric(outcome.arms)
    costs = {one.arm: one for one in outcome.costs}
    series = []
    for row in outcome.arms:
        value = row.gain.estimate.value
        if row.metric != main or value is None:
            continue
        minutes = costs[row.arm].seconds / 60
        label = f"{row.arm}: {difference_text(row.gain, signed=True)} for {minutes:.1f} min a run"
        estimate = row.gain.estimate
        point = Point(minutes, value, estimate.low, estimate.high, label=label)
        series.append(Series(row.arm, [point], arms.index(row.arm)))
    svg = scatter_chart(series, "minutes a run", f"Gain in {metric_scope(main)} over cost")
    return Markup(svg) if svg else None
