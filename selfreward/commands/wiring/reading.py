"""`report`, `compare`, `show` and `schema`: what is read from runs that are there."""

from pathlib import Path
from typing import Annotated

import typer

from selfreward.commands.wiring.arguments import RESULTS, Results, RunName, store_in
from selfreward.errors import RecipeError


def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs, by name in --results or directory.")],
    out: Annotated[Path | None, typer.Option(help="The HTML file; in the run's own directory otherwise.")] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option(metavar="SHEET", help="A sheet of `anchors` that people labelled; again for more."),
    ] = None,
    results: Results = RESULTS,
) -> None:
    """Rounds and runs side by side: tables here, and one self-contained HTML file with plots."""
    views = [store_in(results).existing(name) for name in runs]
    from selfreward.report.html import write_report
    from selfreward.report.terminal import console, print_report

    together = results / "reports" / "+".join(view.name for view in views)
    page = out or (views[0].path if len(views) == 1 else together) / "report.html"
    from selfreward.commands.anchors.by_round import people_rows, print_people

    people = people_rows(labels or [], {view.name for view in views})
    written = write_report(views, page, people)
    # Files first: whoever reads only the head of what is printed has them all the same.
    print_report(views, console())
    print_people(people, console())
    typer.echo(f"report: {page}\n  with {', '.join(path.name for path in written if path != page)} beside it")


def compare(before: RunName, after: RunName, results: Results = RESULTS) -> None:
    """What differs between two runs, what they share, and the second minus the first, paired by prompt."""
    views = [store_in(results).existing(name) for name in (before, after)]
    from selfreward.report.terminal import console, print_comparison

    print_comparison(views[0], views[1], console())


def show(
    run_name: RunName,
    prompt_id: Annotated[str, typer.Argument(help="The prompt's id, or the first characters of it.")],
    results: Results = RESULTS,
) -> None:
    """One prompt's answers, scores, truth and fate, round by round."""
    view = store_in(results).existing(run_name)
    from selfreward.report.show import print_prompt
    from selfreward.report.terminal import console

    print_prompt(view, prompt_id, console())


def schema(
    record: Annotated[str | None, typer.Argument(metavar="[RECORD]", help="One record, such as Response; all.")] = None,
) -> None:
    """What stands in each file of a run, as versioned JSON Schema."""
    import json

    from selfreward.commands.schema import document

    found = document()
    if record is not None and record not in found["records"]:
        raise RecipeError(f"record {record!r} does not exist; expected one of {', '.join(found['records'])}")
    typer.echo(json.dumps(found if record is None else found["records"][record], indent=1, ensure_ascii=False))
