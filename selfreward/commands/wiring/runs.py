"""`run` and `fork`: what makes a run."""

from pathlib import Path
from typing import Annotated

import typer

from selfreward.commands.shipped import recipe_file
from selfreward.commands.wiring.arguments import RESULTS, Overrides, RecipeFile, Results, store_in
from selfreward.errors import RecipeError, StoreError
from selfreward.progress.words import visible


def run(
    recipe: RecipeFile,
    overrides: Overrides = None,
    name: Annotated[str | None, typer.Option(help="The run's name; the recipe's file name unless given.")] = None,
    track: Annotated[
        str | None, typer.Option(metavar="NAME", help="Tell a tracker: trackio, wandb, or jsonl (a file).")
    ] = None,
    results: Results = RESULTS,
) -> None:
    """Run a recipe to its last round. The same command goes on where a stopped run left off."""
    from selfreward.commands.plan.clock import run_clock
    from selfreward.progress import Progress
    from selfreward.recipe.read import load_recipe
    from selfreward.report.trackers import require_tracker
    from selfreward.store.temporary import need_temporary_directory

    file = recipe_file(recipe)
    loaded = load_recipe(file, overrides or [])
    require_tracker(track)
    need_temporary_directory()
    # After the recipe is read: this import takes seconds, and a wrong key should be told at once.
    from selfreward.commands.run import run as run_loop

    directory = run_loop(loaded, store_in(results), name or file.stem, Progress(), track, run_clock(loaded))
    _tell_end(directory, f"selfreward report {directory}")


def fork(
    source: Annotated[str, typer.Argument(metavar="RUN@ROUND", help="The run, and the last round to take over.")],
    name: Annotated[str, typer.Option(help="The new run's name.")],
    overrides: Overrides = None,
    results: Results = RESULTS,
) -> None:
    """Begin a new run with the first rounds of another and go on with other keys. Resumed by the same command."""
    from selfreward.progress import Progress
    from selfreward.recipe.former import load_kept
    from selfreward.store.temporary import need_temporary_directory

    origin, _, number = source.rpartition("@")
    if not origin or not number.isdecimal():
        raise RecipeError(f"{source!r}: expected RUN@ROUND, for example sandbox@2")
    store = store_in(results)
    view = store.existing(origin)
    recipe = load_kept(view.path / "recipe.yaml", overrides or [])
    need_temporary_directory()
    from selfreward.commands.environment import environment
    from selfreward.commands.run import run as run_loop

    if not (results / name).exists():
        store.fork(str(view.path), int(number), name, recipe, environment(recipe))
    elif (made := store.existing(name).info().get("forked_from")) is None or made["round"] != int(number):
        raise StoreError(f"run {name!r} exists and is not a fork of {source}; choose another --name")
    from selfreward.commands.plan.clock import run_clock

    directory = run_loop(recipe, store, name, Progress(), clock=run_clock(recipe))
    _tell_end(directory, f"selfreward compare {view.path} {directory}")


def _tell_end(directory: Path, further: str) -> None:
    """The verdict of a run that is over, and where to look further."""
    from selfreward.report.verdict_file import verdict_of
    from selfreward.store.view import RunView

    found = verdict_of(RunView(directory))
    typer.echo(visible("\n".join([f"done: {directory}", found.headline, *found.details, f"see:  {further}"])))
