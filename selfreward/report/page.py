"""The page of a report: what it says of each run, and the HTML around it. What models wrote is escaped.

In the order in which one decides: the three tiles with the alarms and the chosen round (of several runs one table and
the keys that differ), the prompts that changed, then everything else, collapsed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from selfreward import __version__
from selfreward.recipe import to_yaml
from selfreward.report.alarms import alarms, keys_against
from selfreward.report.alike import differing_keys
from selfreward.report.browser import MOST_PROMPTS, PACK_ABOVE, embedded_prompts, packed, script_safe
from selfreward.report.changed import MOST, MOST_OF_SEVERAL, Group, changed_prompts
from selfreward.report.charts import FamilyView, family_views, main_charts
from selfreward.report.compare import Comparison
from selfreward.report.cost import cost_tables
from selfreward.report.figures import COLOURS, COLOURS_ON_DARK, legend_mark
from selfreward.report.forces_table import Panel, panel
from selfreward.report.gate_verdicts import GateReport, gate_report
from selfreward.report.glance import Glance, glance
from selfreward.report.glossary import Term, term
from selfreward.report.judge_skill import Alarm
from selfreward.report.lineage import lineage_table
from selfreward.report.people import PeopleRow, people_charts, people_table
from selfreward.report.reading import Reading
from selfreward.report.sparkline import sparkline
from selfreward.report.tables import Table, pairs_table, summary_table
from selfreward.report.verdict import judge_run
from selfreward.report.verdict_file import Verdict

SECTIONS = {
    "glance": "Verdict",
    "changed": "Prompts that changed",
    "comparison": "Runs compared",
    "main-plots": "Truth and belief",
    "rounds": "Round by round",
    "metrics": "Every metric",
    "gates": "Gates",
    "made": "Pairs, lineage, cost",
    "browser": "Look up a prompt",
    "recipe": "Recipe",
    "glossary": "Glossary",
}


@dataclass(frozen=True)
class RunPart:
    """What the report says of one run."""

    name: str
    verdict: Verdict
    glance: Glance
    forces: Panel
    alarms: Sequence[Alarm]
    summary: Table
    gates: GateReport
    pairs: Table
    lineage: Table
    cost: Sequence[Table]
    recipe: str
    environment: str


def run_part(reading: Reading) -> RunPart:
    gates = gate_report(reading)
    return RunPart(
        name=reading.name,
        verdict=judge_run(reading),
        glance=glance(reading),
        forces=panel(reading),
        alarms=alarms(reading),
        summary=summary_table(reading),
        gates=gates,
        pairs=pairs_table(reading),
        lineage=lineage_table(reading, gates),
        cost=cost_tables(reading),
        recipe=to_yaml(reading.recipe),
        environment=json.dumps(reading.view.info(), indent=2, sort_keys=True),
    )


def render(
    readings: Sequence[Reading],
    parts: Sequence[RunPart],
    comparison: Comparison | None,
    people: Sequence[PeopleRow] = (),
) -> str:
    """The whole HTML file. Only our own SVG and JSON is marked as safe."""
    environment = Environment(
        loader=PackageLoader("selfreward.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    families = family_views(readings)
    terms = glossary_of(readings)
    environment.filters["term"] = lambda text: term_of(text, terms)
    several = len(readings) > 1
    changed = [changed_prompts(reading, MOST_OF_SEVERAL if several else MOST) for reading in readings]
    keys = differing_keys(readings) if several else None
    return environment.get_template("report.html.jinja").render(
        title=" · ".join(part.name for part in parts),
        version=__version__,
        colours=COLOURS,
        colours_on_dark=COLOURS_ON_DARK,
        marks=[Markup(legend_mark(index, part.name)) for index, part in enumerate(parts)],
        sections=[(name, title) for name, title in SECTIONS.items() if name != "comparison" or comparison],
        runs=parts,
        keys=keys,
        remedies=[[keys_against(run, one) for one in part.alarms] for run, part in zip(readings, parts, strict=True)],
        sparks=[[Markup(sparkline(tile.levels, tile.name)) for tile in part.glance.tiles] for part in parts],
        changed=changed,
        comparison=comparison,
        main_charts=main_charts(readings),
        people=people_table(people) if people else None,
        people_charts=people_charts(people),
        families=families,
        plots=plot_counts(families),
        terms=terms,
        **_browser(readings, changed),
    )


def _browser(readings: Sequence[Reading], changed: Sequence[Sequence[Group]]) -> dict[str, Any]:
    """The prompts that travel with the page, and how to find the others."""
    wanted = {
        (run.name, case.prompt_id)
        for run, groups in zip(readings, changed, strict=True)
        for group in groups
        for case in group.cases
    }
    prompts = embedded_prompts(readings, wanted)
    total = sum(len(run.pools) + sum(len(run.prompts_of(number)) for number in run.rounds[1:]) for run in readings)
    text = script_safe(prompts)
    large = len(text) > PACK_ABOVE
    return {
        "browser_note": f"{len(prompts)} of {total} prompts (at most {MOST_PROMPTS}): those that changed, the others "
        "spread over runs, rounds and cohorts; long texts are cut. “selfreward show RUN PROMPT_ID” prints any of them "
        "whole, and “selfreward view” has all of them.",
        "prompts_packed": large,
        "prompts_text": Markup(packed(prompts) if large else text),
    }


def glossary_of(readings: Sequence[Reading]) -> Sequence[Term]:
    """The metrics that are measured here, by name."""
    metrics = {key.metric for run in readings for key in run.by_key}
    return sorted(map(term, metrics), key=lambda one: (one.name.casefold(), one.metric))


def term_of(text: str, terms: Sequence[Term]) -> Term | None:
    """The metric that a table's cell begins with: its words, then the pool, the cohort or a mark."""
    named: Mapping[str, Term] = {one.name: one for one in terms}
    text = text.removesuffix(" *")
    while text not in named and (shorter := re.sub(r", [^,]*$", "", text)) != text:
        text = shorter
    return named.get(text)


def plot_counts(families: Sequence[FamilyView]) -> str:
    """How much of it moved."""
    drawn, flat = (sum(len(getattr(family, name)) for family in families) for name in ("charts", "flat"))
    return f"{drawn} moved and are drawn; {flat} did not and are told in a line each."
