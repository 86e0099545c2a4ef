"""The comparison report: one HTML file without a network, and the same numbers as JSON, CSV and Markdown beside it."""

import csv
import dataclasses
import io
import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfreward import __version__
from selfreward.errors import DataError
from selfreward.progress.words import visible
from selfreward.records import Measurement
from selfreward.report.compare import Comparison, compare_with_first
from selfreward.report.glance import glance_table
from selfreward.report.judge_skill import Alarm
from selfreward.report.page import RunPart, render, run_part
from selfreward.report.people import PeopleRow, people_table
from selfreward.report.reading import Reading
from selfreward.report.tables import Table
from selfreward.store.files import on_disk, write_durably
from selfreward.store.view import RunView

FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet's formula begins with."""


def write_report(runs: Sequence[RunView], out: Path, people: Sequence[PeopleRow] = ()) -> list[Path]:
    """Write `out` (HTML) with the same name as .json, .md and .csv; return the paths.

    The .csv holds all measurements; that of report.html is called measurements.csv.

    Raises DataError where two runs have one name, or different pools (naming what differs).
    """
    readings = [Reading(view) for view in runs]
    names = [reading.name for reading in readings]
    if len(set(names)) < len(names):
        raise DataError(f"runs {', '.join(names)}: two have the same name; expected different ones in one report")
    comparison = compare_with_first(readings)
    parts = [run_part(reading) for reading in readings]
    files = {
        out: render(readings, parts, comparison, people),
        out.with_suffix(".json"): as_json(readings, parts, comparison, people),
        out.with_suffix(".md"): as_markdown(parts, comparison, people),
        out.with_name("measurements.csv" if out.stem == "report" else f"{out.stem}.csv"): as_csv(readings),
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


def as_json(
    readings: Sequence[Reading],
    parts: Sequence[RunPart],
    comparison: Comparison | None,
    people: Sequence[PeopleRow] = (),
) -> str:
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
    told = {"version": __version__, "runs": runs, "comparison": compared}
    if people:
        told["people"] = [dataclasses.asdict(row) for row in people]
    return json.dumps(told, indent=1, ensure_ascii=False)


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
    """A name (of a run, a cohort) that a spreadsheet would take for a formula is quoted; numbers stay numbers.

    Spreadsheets pass over what is blank before it, and take the wide forms of the four signs for the signs. A control
    character is written out: a lone carriage return would end the row for some readers.
    """
    if not isinstance(value, str):
        return value
    shown = visible(value)
    first = unicodedata.normalize("NFKC", shown.lstrip()[:1])
    return f"'{shown}" if first in FORMULA or shown[:1] in ("\t", "\n") else shown


def as_markdown(parts: Sequence[RunPart], comparison: Comparison | None, people: Sequence[PeopleRow] = ()) -> str:
    """Verdict, alarms and tables, for a pull request or a log."""
    lines = []
    for part in parts:
        lines += [f"# {part.name}", "", f"**{part.verdict.headline}**", "", " ".join(part.verdict.details), ""]
        lines += [*markdown_table(glance_table(part.glance)), ""]
        lines += [f"- {_told(alarm)}" for alarm in part.alarms] or ["No alarm fired."]
        if part.forces.sentence:
            lines += ["", part.forces.sentence]
        for table in (part.summary, part.forces.table, part.gates.table, part.pairs, part.lineage, *part.cost):
            if table.rows:
                lines += ["", *markdown_table(table)]
            if table is part.gates.table:
                lines += ["", f"{part.gates.error_level} {part.gates.problem}".strip()]
        lines.append("")
    if people:
        lines += [*markdown_table(people_table(people)), ""]
    if comparison:
        lines += ["# Runs compared", "", comparison.note, ""]
        for table in comparison.tables:
            lines += [*markdown_table(table), ""]
    return "\n".join(lines) + "\n"


def _told(alarm: Alarm) -> str:
    keys = ", ".join(f"`{remedy.key}`" for remedy in alarm.remedies)
    return f"{alarm.name} {alarm.evidence}" + (f" Against it: {keys}." if keys else "")


def markdown_table(table: Table) -> list[str]:
    """The lines of a table; a pipe inside a cell is escaped."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in (table.header, *table.rows)]
    rule = ["---", *("---:" for _ in table.header[1:])]
    return [f"**{table.caption}**", "", *(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))]
