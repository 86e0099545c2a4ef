"""`gc`, `doctor` and `validate`: the store, the machine and the ruler."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from selfreward.commands.wiring.arguments import RESULTS, Results, store_in


def gc(results: Results = RESULTS) -> None:
    """Remove shared artifacts that no run uses any more."""
    done = store_in(results).gc()
    typer.echo(f"removed {done.removed} shared artifacts ({done.freed_bytes / 2**20:.1f} MiB freed), kept {done.kept}")


def doctor(
    model: Annotated[str | None, typer.Option(help="Also load this model directory.")] = None,
    results: Results = RESULTS,
) -> None:
    """Versions, device, memory, disk and file system: what is there and what to do about it."""
    from selfreward.commands.doctor import examine

    for finding in examine(results, Path(model) if model else None):
        mark, color = ("ok", typer.colors.GREEN) if finding.ok else ("warning", typer.colors.YELLOW)
        typer.echo(f"{typer.style(f'{mark:8}', fg=color)} {finding.what:13} {finding.found}")
        if finding.todo:
            typer.echo(f"{'':22} -> {finding.todo}")


def validate(
    out: Annotated[Path, typer.Option(help="Where the tables go.")] = RESULTS / "tables",
    only: Annotated[
        Literal["all", "coverage", "power", "conversations"],
        typer.Option(help="Intervals, metrics and gates, or conversation probes."),
    ] = "all",
    quick: Annotated[bool, typer.Option(help="A few repeats, to see that it works: no numbers to believe.")] = False,
) -> None:
    """Prove the ruler: do intervals cover, metrics stay silent on nulls and find planted effects, gates keep 5 %."""
    from selfreward.commands.validate.run import QUICK, Repeats
    from selfreward.commands.validate.run import validate as prove
    from selfreward.progress import Progress

    for path in prove(out, only, QUICK if quick else Repeats(), Progress().say):
        typer.echo(str(path))
