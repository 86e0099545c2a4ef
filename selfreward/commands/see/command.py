"""`ls`, `status`, `watch` and `view`: what runs, how far it is and what it found, from the runs' files alone.

Nothing is written and no lock is waited for, so they may be asked at any time, of any run, by anybody who may read it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfreward.commands.wiring.arguments import RESULTS, Results, RunName, store_in
from selfreward.errors import StoreError
from selfreward.progress.words import visible

if TYPE_CHECKING:
    from selfreward.store.view import RunView

EVERY = 2.0

Directory = Annotated[
    Path | None, typer.Argument(metavar="[DIR]", help="The directory that holds the runs, or one run; else --results.")
]


def ls(directory: Directory = None, results: Results = RESULTS) -> None:
    """The runs: round, state, verdict, last change."""
    from selfreward.commands.see.listing import print_listing
    from selfreward.report.terminal import console

    print_listing(existing_runs(directory or results), console())


def status(run_name: RunName, results: Results = RESULTS) -> None:
    """Where a run is: stage, speed, time left, key metrics so far, gates. Also of one that was killed."""
    from selfreward.commands.see.listing import print_status
    from selfreward.report.terminal import console

    print_status(store_in(results).existing(run_name), console())


def watch(
    run_name: RunName,
    every: Annotated[float, typer.Option(min=0.2, metavar="SECONDS", help="Between two looks.")] = EVERY,
    results: Results = RESULTS,
) -> None:
    """The same, looked at again and again until the run ends."""
    from selfreward.commands.see.listing import watch as look
    from selfreward.report.terminal import console

    look(store_in(results).existing(run_name), every, console())


def view(
    directory: Directory = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
    results: Results = RESULTS,
) -> None:
    """A local page with all of it, refreshed while runs go: runs, reports, every prompt. For this machine only."""
    place = directory or results
    existing_runs(place)
    from selfreward.commands.see.server import serve

    serve(place, port, lambda line: typer.echo(visible(line)))


def existing_runs(directory: Path) -> "list[RunView]":
    """The runs in `directory`. Raises StoreError where there is none."""
    from selfreward.report.state import runs_in

    views = runs_in(directory)
    if not views:
        what = "no such directory" if not directory.is_dir() else "no run in it"
        raise StoreError(
            f"{directory}: {what}; expected a directory of runs, as `selfreward run smoke` makes one named results"
        )
    return views


COMMANDS: tuple[Callable[..., None], ...] = (ls, status, watch, view)
