"""`selfreward anchors`: wiring only, like cli.py."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from selfreward.commands.anchors.page.command import label_rows
from selfreward.commands.wiring.arguments import RESULTS, Results
from selfreward.errors import RecipeError
from selfreward.progress.words import visible

app = typer.Typer(help="Human labels: a blinded sheet of a run's answers, and what the labels say about its judge.")


@app.command("sample")
def sample_sheet(
    source: Annotated[str, typer.Argument(metavar="RUN[@ROUND]", help="The run; its last measured round otherwise.")],
    out: Annotated[Path, typer.Option(help="The CSV sheet; its key and a second sheet are written beside it.")],
    rows: Annotated[int, typer.Option("--n", min=1, help="Answers on the sheet; all, where there are fewer.")] = 200,
    pool: Annotated[
        Literal["gate", "selection", "report"], typer.Option(help="Only labels on the gate pool may steer.")
    ] = "gate",
    against: Annotated[
        int | None, typer.Option(min=0, metavar="K", help="Pairs with round K's answers instead: a win rate.")
    ] = None,
    locked: Annotated[float, typer.Option(min=0.1, max=0.2, help="Share that never steers.")] = 0.15,
    double: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share for a second annotator.")] = 0.2,
    audit: Annotated[bool, typer.Option("--audit", help="Also a share of every round's training answers.")] = False,
    audit_share: Annotated[float | None, typer.Option(min=0.02, max=0.05, help="That share; .03 otherwise.")] = None,
    results: Results = RESULTS,
) -> None:
    """Write a blinded sheet for people to label, and its sealed key."""
    if audit_share is not None and not audit:
        raise RecipeError("--audit-share is read only with --audit; add it or leave both out")
    if audit and against is not None:
        raise RecipeError("--audit is about single answers and --against about pairs; make two sheets")
    from selfreward.commands.anchors.source import measured_round

    view, number = measured_round(source, against, results)
    from selfreward.commands.anchors.sample import Wanted, sample

    share = (audit_share or 0.03) if audit else None
    done = sample(view, number, out, Wanted(rows, pool, against, locked, double, share))
    typer.echo(visible("\n".join(done.lines())))


app.command("label")(label_rows)


@app.command("score")
def score_sheets(
    sheets: Annotated[list[Path], typer.Argument(metavar="SHEET...", help="Labelled sheets, one per annotator.")],
    key: Annotated[Path | None, typer.Option(help="The key; beside the first sheet otherwise.")] = None,
    adjudicated: Annotated[Path | None, typer.Option(help="The labelled sheet of disagreements.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the labels as a file for measure.anchors.")] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Also write the numbers to this file.")] = None,
) -> None:
    """Read labelled sheets: agreement of people and judge, the gate's word, and means of the whole pool."""
    from selfreward.commands.anchors.key import key_path, read_key
    from selfreward.commands.anchors.labels import settle
    from selfreward.commands.anchors.scoring import anchors_of, score
    from selfreward.commands.anchors.sheet import read_sheet, write_sheet
    from selfreward.commands.anchors.words import as_json, lines
    from selfreward.store.files import on_disk
    from selfreward.tasks.anchors_file import anchor_lines

    sealed = read_key(key or key_path(sheets[0]))
    if out and sealed.kind != "score":
        raise RecipeError("--out: labels of pairs are no scores, which measure.anchors needs; leave it out")
    if len({path.resolve() for path in sheets}) < len(sheets):
        raise RecipeError("a sheet is named twice; expected one per annotator")
    last = read_sheet(adjudicated, sealed) if adjudicated else None
    settled = settle(sealed, [read_sheet(path, sealed) for path in sheets], last)
    scored = score(sealed, settled)
    typer.echo(visible("\n".join(lines(scored))))
    third = sheets[0].with_name(f"{sheets[0].stem}-adjudicate{sheets[0].suffix}")
    if settled.waiting and adjudicated is None and not third.exists():
        write_sheet(third, sealed.kind, [row for row in sealed.rows if row.id in settled.waiting])
        typer.echo(f"\nto adjudicate: {third}, then again with --adjudicated {third}")
    elif settled.waiting:
        typer.echo(f"\nto adjudicate: fill in {adjudicated or third}, and name it with --adjudicated")
    if out:
        written = anchors_of(scored)
        with on_disk(out):
            out.write_text(anchor_lines(written), encoding="utf-8")
        typer.echo(f"{len(written)} anchors: {out}; use them with measure.anchors={out}")
    if json_out:
        with on_disk(json_out):
            json_out.write_text(as_json(scored), encoding="utf-8")
