"""`selfreward anchors label`: wiring only."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from selfreward.commands.wiring.arguments import RESULTS, Results
from selfreward.errors import RecipeError
from selfreward.progress.words import visible

FOLDER = Path("labels")
"""Where sheets lie that nobody named."""


def label_rows(
    source: Annotated[str, typer.Argument(metavar="RUN[@ROUND]", help="The run; its last measured round otherwise.")],
    sheet: Annotated[
        Path | None, typer.Option(help="The sheets' name; one that `sample` drew from RUN is labelled on.")
    ] = None,
    rows: Annotated[int | None, typer.Option("--n", min=1, help="Rows of a new sheet; 200 otherwise.")] = None,
    pool: Annotated[
        Literal["gate", "selection", "report"], typer.Option(help="Only labels on the gate pool may steer.")
    ] = "gate",
    against: Annotated[
        int | None, typer.Option(min=0, metavar="K", help="Pairs with round K's answers: left, right or tie.")
    ] = None,
    double: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Share of a new sheet for a second annotator; .2 otherwise.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Shuffles the rows of whoever begins.")] = 0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 0,
    results: Results = RESULTS,
) -> None:
    """A local page on which people label, blinded and by keys: two annotators, then what they disagree about."""
    from selfreward.commands.anchors.key import key_path, read_key, write_key
    from selfreward.commands.anchors.page.desk import Desk
    from selfreward.commands.anchors.page.server import serve
    from selfreward.commands.anchors.sample import Wanted, make_key
    from selfreward.commands.anchors.source import measured_round
    from selfreward.store.files import on_disk

    view, number = measured_round(source, against, results)
    name = "-".join([view.name, f"round-{number}", *([pool] if pool != "gate" else [])])
    path = sheet or FOLDER / f"{name}{'' if against is None else f'-against-{against}'}.csv"
    if key_path(path).exists():
        if rows is not None or double is not None:
            raise RecipeError(f"{key_path(path)} is there, and --n and --double are for a new one; leave them out")
        key = read_key(key_path(path))
        found, wanted = (key.run, key.round, key.pool, key.against), (view.name, number, pool, against)
        if found != wanted:
            said = [f"{run}@{at} on the {of} pool, --against {other}" for run, at, of, other in (found, wanted)]
            raise RecipeError(f"{key_path(path)} is of {said[0]}; this asks for {said[1]}; name another --sheet")
    else:
        share = 0.2 if double is None else double
        key, too_long = make_key(view, number, Wanted(rows or 200, pool, against, double=share))
        with on_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_key(key_path(path), key)
        left_out = f"; left out: {too_long} that are longer than a spreadsheet's cell" if too_long else ""
        typer.echo(visible(f"{len(key.rows)} rows; key: {key_path(path)}, not for whoever labels{left_out}"))
    serve(Desk(path, key, seed), path, port, lambda line: typer.echo(visible(line)))
