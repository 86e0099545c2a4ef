"""What labelled sheets say of each round, for the report of their run."""

from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console

from selfreward.commands.anchors.key import key_path, read_key
from selfreward.commands.anchors.labels import settle
from selfreward.commands.anchors.page.desk import Desk
from selfreward.commands.anchors.scoring import means
from selfreward.commands.anchors.sheet import read_sheet
from selfreward.errors import DataError, RecipeError
from selfreward.report.people import PeopleRow, people_table
from selfreward.report.terminal import print_table


def people_rows(sheets: Sequence[Path], runs: Collection[str]) -> list[PeopleRow]:
    """By run and round. `sheets` are named as `sample --out` and `label --sheet` name them.

    Raises RecipeError for a sheet of another run, DataError for one that nobody has labelled.
    """
    found = []
    for sheet in sheets:
        key = read_key(key_path(sheet))
        if key.run not in runs:
            raise RecipeError(f"--labels {sheet}: of run {key.run!r}; expected one of {', '.join(sorted(runs))}")
        desk = Desk(sheet, key)
        by_hand = (sheet, sheet.with_name(f"{sheet.stem}-second{sheet.suffix}"))
        labelled = desk.sheets() or [read_sheet(path, key) for path in by_hand if path.exists()]
        if not labelled:
            raise DataError(f"--labels {sheet}: only its key is there; expected sheets that were labelled beside it")
        third = read_sheet(desk.adjudicated, key) if desk.adjudicated.exists() else None
        for name, powered in means(key, settle(key, labelled, third)).items():
            found.append(
                PeopleRow(
                    run=key.run,
                    round=key.round,
                    against=key.against,
                    pool=key.pool,
                    name=name,
                    people=powered.human_only,
                    judge=powered.judge_only,
                    both=powered.estimate,
                    labelled=powered.labelled,
                    rows=powered.rows,
                )
            )
    return sorted(found, key=lambda row: (row.run, row.name, row.pool, row.round))


def print_people(rows: Sequence[PeopleRow], out: Console) -> None:
    """The table, where there is one."""
    if rows:
        print_table(people_table(rows), out)
