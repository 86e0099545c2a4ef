"""What a probe found, for people and for programs: a table for each family, Markdown, and JSON with everything."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfreward.commands.probe.models import Subject
from selfreward.commands.probe.session import Probed
from selfreward.errors import RecipeError
from selfreward.recipe import as_dict
from selfreward.records import Measurement
from selfreward.report.catalogue import words
from selfreward.report.tables import Table, number_text

ENDINGS = (".json", ".md")
BY_COHORT = ("true_accuracy", "behaviour_rate")
"""Metrics of which the table shows each cohort; the JSON has all of all."""


def tables(found: Probed, against: Probed | None, changes: Sequence[Measurement]) -> list[Table]:
    """One table for each family: the model, and where there is another, that one and the paired difference."""
    change_of = {(row.metric, row.pool): row for row in changes}
    made = []
    for family, rows in found.families.items():
        theirs = {_key(row): row for row in against.families.get(family, [])} if against else {}
        body = []
        for row in rows:
            if row.cohort != "all" and row.metric not in BY_COHORT:
                continue
            name = f"{words(row.metric)}{'' if row.cohort == 'all' else f', {row.cohort}'}{' *' if row.oracle else ''}"
            cells = [name, row.pool, _text(row)]
            if against:
                change = change_of.get((row.metric, row.pool)) if row.cohort == "all" else None
                cells += [_text(theirs.get(_key(row))), _text(change, signed=True)]
            body.append([*cells, str(row.n), str(row.excluded)])
        middle = [short(found.name), short(against.name), "difference"] if against else [short(found.name)]
        made.append(Table(family, ["metric", "set", *middle, "n", "left out"], body))
    return made


def short(name: str) -> str:
    """The last part of a directory's name."""
    return Path(name).name if Path(name).is_dir() else name


def as_markdown(made: Sequence[Table], notes: Sequence[str]) -> str:
    parts = [f"# {notes[0]}", *notes[1:]]
    for table in made:
        head = f"| {' | '.join(table.header)} |\n|{'---|' * len(table.header)}"
        lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in table.rows]
        parts.append("\n".join([f"## {table.caption}\n", head, *lines]))
    return "\n\n".join(parts) + "\n"


def as_json(model: Subject, found: Probed, against: Probed | None, changes: Sequence[Measurement]) -> str:
    def rows(one: Probed) -> dict[str, Any]:
        families = {family: [asdict(row) for row in rows] for family, rows in one.families.items()}
        return {"model": one.name, "policy": one.policy, "families": families}

    told = {
        **rows(found),
        "against": rows(against) if against else None,
        "differences": [asdict(row) for row in changes],
        "recipe": as_dict(model.recipe),
    }
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def require_ending(out: Path | None) -> None:
    if out is not None and out.suffix not in ENDINGS:
        raise RecipeError(f"--out {out}: the ending is {out.suffix!r}; expected .json or .md")


def _key(row: Measurement) -> tuple[str, str, str]:
    return row.metric, row.pool, row.cohort


def _text(row: Measurement | None, *, signed: bool = False) -> str:
    return number_text(None) if row is None else number_text(row.value, row.low, row.high, signed=signed)
