"""The judges' bench as one HTML file: for each pool a plot of quality against cost, and the tables."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from selfreward.measuring.stats.clustered import Estimate
from selfreward.report.charts import Chart
from selfreward.report.figures import COLOURS, COLOURS_ON_DARK, Point, Series, legend_mark, scatter_chart
from selfreward.report.tables import Table, number_text


class Priced(NamedTuple):
    """A judge on a pool: what a judgment costs in tokens, and its accuracy."""

    judge: str
    pool: str
    tokens: float
    accuracy: Estimate


def cost_charts(found: Sequence[Priced]) -> list[Chart]:
    """One plot for each pool, in their order; a judge keeps its colour and marker in all of them."""
    colours = colours_of(found)
    charts = []
    for pool in dict.fromkeys(one.pool for one in found):
        series = [
            Series(one.judge, [_point(one, one.accuracy.value)], colours[one.judge])
            for one in found
            if one.pool == pool and one.accuracy.value is not None
        ]
        svg = scatter_chart(series, "tokens for each answer judged", f"{pool}: pairwise accuracy against cost")
        if svg:
            charts.append(Chart(pool, "pairwise accuracy; .5 is chance", svg))
    return charts


def _point(one: Priced, value: float) -> Point:
    text = number_text(value, one.accuracy.low, one.accuracy.high)
    label = f"{one.judge}: {text} at {one.tokens:,.0f} tokens, n {one.accuracy.n}"
    return Point(one.tokens, value, one.accuracy.low, one.accuracy.high, label=label)


def colours_of(found: Sequence[Priced]) -> Mapping[str, int]:
    return {name: index for index, name in enumerate(dict.fromkeys(one.judge for one in found))}


def as_html(found: Sequence[Priced], tables: Sequence[Table], notes: Sequence[str]) -> str:
    """What a user named is escaped; only our own SVG is marked as safe."""
    environment = Environment(
        loader=PackageLoader("selfreward.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("judge_bench.html.jinja").render(
        notes=notes,
        colours=COLOURS,
        colours_on_dark=COLOURS_ON_DARK,
        marks=[(Markup(legend_mark(index, name)), name) for name, index in colours_of(found).items()],
        charts=cost_charts(found),
        tables=tables,
    )
