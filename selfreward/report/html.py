"""The comparison report: one HTML file without a network, and the same numbers as JSON, CSV and Markdown beside it."""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from selfreward import __version__
from selfreward.errors import DataError
from selfreward.recipe import to_yaml
from selfreward.records import Measurement
from selfreward.report.alarms import alarms
from selfreward.report.browser import MOST_PROMPTS, embedded_prompts, script_safe
from selfreward.report.charts import family_views, main_charts
from selfreward.report.compare import Comparison, compare_with_first
from selfreward.report.cost import cost_tables
from selfreward.report.figures import COLOURS, COLOURS_ON_DARK, legend_mark
from selfreward.report.gate_verdicts import GateReport, gate_report
from selfreward.report.judge_skill import Alarm
from selfreward.report.lineage import lineage_table
from selfreward.report.reading import Reading
from selfreward.report.tables import Table, pairs_table, summary_table
from selfreward.report.verdict import judge_run
from selfreward.report.verdict_file import Verdict
from selfreward.store.files import on_disk, write_durably
from selfreward.store.view import RunView

SECTIONS = {
    "main-plots": "Quality against self-reward",
    "comparison": "Runs compared",
    "rounds": "Round by round",
    "gates": "Gates",
    "metrics": "Every metric",
    "pairs": "Pairs",
    "lineage": "Lineage",
    "cost": "Cost",
    "browser": "Prompts",
    "recipe": "Recipe",
}


@dataclass(frozen=True)
class RunPart:
    """What the report says of one run."""

    name: str
    verdict: Verdict
    alarms: Sequence[Alarm]
    summary: Table
    gates: GateReport
    pairs: Table
    lineage: Table
    cost: Sequence[Table]
    recipe: str
    environment: str


def write_report(runs: Sequence[RunView], out: Path) -> list[Path]:
    """Write `out` (HTML) with the same name as .json and .md, and measurements.csv beside it; return the paths.

    Raises DataError where two runs have one name, or different pools (naming what differs).
    """
    readings = [Reading(view) for view in runs]
    names = [reading.name for reading in readings]
    if len(set(names)) < len(names):
        raise DataError(f"runs {', '.join(names)}: two have the same name; expected different ones in one report")
    comparison = compare_with_first(readings)
    parts = [run_part(reading) for reading in readings]
    files = {
        out: render(readings, parts, comparison),
        out.with_suffix(".json"): as_json(readings, parts, comparison),
        out.with_suffix(".md"): as_markdown(parts, comparison),
        out.with_name("measurements.csv"): as_csv(readings),
    }
    for path, text in files.items():
        with on_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, text.encode())
    return list(files)


def report_page(run: RunView) -> str:
    """The page that `write_report` would write of one run, for whoever only looks: nothing is written."""
    reading = Reading(run)
    return render([reading], [run_part(reading)], None)


def run_part(reading: Reading) -> RunPart:
    gates = gate_report(reading)
    return RunPart(
        name=reading.name,
        verdict=judge_run(reading),
        alarms=alarms(reading),
        summary=summary_table(reading),
        gates=gates,
        pairs=pairs_table(reading),
        lineage=lineage_table(reading, gates),
        cost=cost_tables(reading),
        recipe=to_yaml(reading.recipe),
        environment=json.dumps(reading.view.info(), indent=2, sort_keys=True),
    )


def render(readings: Sequence[Reading], parts: Sequence[RunPart], comparison: Comparison | None) -> str:
    """The whole HTML file. What models wrote is escaped; only our own SVG and JSON is marked as safe."""
    environment = Environment(
        loader=PackageLoader("selfreward.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    prompts = embedded_prompts(readings)
    total = sum(
        len(reading.pools) + sum(len(reading.prompts_of(n)) for n in reading.rounds[1:]) for reading in readings
    )
    note = (
        f"{len(prompts)} of {total} prompts (at most {MOST_PROMPTS}), spread over runs, rounds and cohorts; "
        "long texts are cut. “selfreward show RUN PROMPT_ID” prints any of them whole."
    )
    sections = [(name, title) for name, title in SECTIONS.items() if name != "comparison" or comparison]
    return environment.get_template("report.html.jinja").render(
        title=" · ".join(part.name for part in parts),
        version=__version__,
        colours=COLOURS,
        colours_on_dark=COLOURS_ON_DARK,
        marks=[Markup(legend_mark(index, part.name)) for index, part in enumerate(parts)],
        sections=sections,
        runs=parts,
        comparison=comparison,
        main_charts=main_charts(readings),
        families=family_views(readings),
        browser_note=note,
        prompts_json=Markup(script_safe(prompts)),
    )


def as_json(readings: Sequence[Reading], parts: Sequence[RunPart], comparison: Comparison | None) -> str:
    """Verdicts, alarms, tables and all measurements, for programs."""
    runs: list[dict[str, Any]] = [
        {
            **dataclasses.asdict(part),
            "lineage": [dict(seal.facts) for n in run.rounds if (seal := run.view.seal(n, "checkpoint"))],
            "environment": run.view.info(),
            "measurements": [dataclasses.asdict(row) for row in run.measurements],
        }
        for run, part in zip(readings, parts, strict=True)
    ]
    compared = dataclasses.asdict(comparison) if comparison else None
    return json.dumps({"version": __version__, "runs": runs, "comparison": compared}, indent=1, ensure_ascii=False)


def as_csv(readings: Sequence[Reading]) -> str:
    """One row per run and measurement."""
    stream = io.StringIO()
    fields = [item.name for item in dataclasses.fields(Measurement)]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["run", *fields])
    for reading in readings:
        writer.writerows(map(_cell, [reading.name, *dataclasses.astuple(row)]) for row in reading.measurements)
    return stream.getvalue()


def _cell(value: Any) -> Any:
    """A name (of a run, a cohort) that a spreadsheet would take for a formula is quoted; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def as_markdown(parts: Sequence[RunPart], comparison: Comparison | None) -> str:
    """Verdict, alarms and tables, for a pull request or a log."""
    lines = []
    for part in parts:
        lines += [f"# {part.name}", "", f"**{part.verdict.headline}**", "", " ".join(part.verdict.details), ""]
        lines += [f"- {alarm.name} {alarm.evidence}" for alarm in part.alarms] or ["No alarm fired."]
        for table in (part.summary, part.gates.table, part.pairs, part.lineage, *part.cost):
            if table.rows:
                lines += ["", *markdown_table(table)]
            if table is part.gates.table:
                lines += ["", f"{part.gates.error_level} {part.gates.problem}".strip()]
        lines.append("")
    if comparison:
        lines += ["# Runs compared", "", comparison.note, ""]
        for table in comparison.tables:
            lines += [*markdown_table(table), ""]
    return "\n".join(lines) + "\n"


def markdown_table(table: Table) -> list[str]:
    """The lines of a table; a pipe inside a cell is escaped."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in (table.header, *table.rows)]
    rule = ["---", *("---:" for _ in table.header[1:])]
    return [f"**{table.caption}**", "", *(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))]
