"""`selfreward ablate`: which grid, which of its cells, and where its runs are."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfreward.commands.shipped import grid_names, recipe_file
from selfreward.errors import RecipeError

if TYPE_CHECKING:
    from selfreward.commands.ablate import Grid
    from selfreward.commands.grid.slices import Places

RESULTS = Path("results")


def ablate(
    grid: Annotated[
        Path,
        typer.Argument(
            metavar="GRID",
            help="A YAML file with arms and seeds, or the name of a grid that ships; with --vary, a recipe.",
            autocompletion=grid_names,
        ),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Recipe keys to set in every arm.")
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=V,V", help="Arms from here: every value, combined with every other --vary."),
    ] = None,
    models: Annotated[str | None, typer.Option(metavar="A,B", help="Seed models, instead of the grid's.")] = None,
    seeds: Annotated[str | None, typer.Option(metavar="0,1,2", help="Run seeds, instead of the grid's.")] = None,
    name: Annotated[str | None, typer.Option(help="With --vary: what the grid and its runs are called.")] = None,
    part: Annotated[
        str | None, typer.Option("--slice", metavar="K/N", help="Run every N-th cell only, from the K-th.")
    ] = None,
    also: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="More results of this grid, from other slices.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost, and start nothing.")] = False,
    device: Annotated[str | None, typer.Option(help="Of the dry run, as in `plan`.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at the same time, each in a process of its own.")] = 1,
    results: Annotated[Path, typer.Option("--results", help="The directory that holds the runs.")] = RESULTS,
) -> None:
    """Run every arm of a grid with every seed, then set the arms side by side. The same command goes on."""
    from selfreward.commands.ablate import ablate as run_cells
    from selfreward.commands.ablate import require_all
    from selfreward.commands.grid.slices import Places, slice_of, still_missing
    from selfreward.progress import Progress

    wanted = _grid(grid, overrides or [], vary or [], models, seeds, name)
    places = Places(wanted, results, also or [])
    cells = slice_of(wanted.cells(), part)
    if dry_run:
        from selfreward.commands.grid.cost import cost_lines

        typer.echo("\n".join(cost_lines(places, cells, device, jobs)))
        return
    if device is not None:
        raise RecipeError("--device is of the plan; add --dry-run, or remove it")
    owed = [cell for cell in cells if not (also and places.elsewhere(cell))]
    require_all(run_cells(wanted, results, jobs, Progress(), owed))
    if part is not None and (missing := places.missing()):
        typer.echo(f"slice {part} is done. {still_missing(missing)}")
        return
    _tell(wanted, places)


def _grid(
    named: Path, overrides: list[str], varies: list[str], models: str | None, seeds: str | None, name: str | None
) -> "Grid":
    from selfreward.commands.ablate import load_grid
    from selfreward.commands.grid.vary import narrowed, vary

    if name is not None and not varies:
        raise RecipeError("--name is for --vary; a grid file is called by its own name")
    if varies:
        return narrowed(vary(recipe_file(named), name, varies, overrides), models, seeds, overrides)
    return narrowed(load_grid(recipe_file(named, "grids")), models, seeds, overrides)


def _tell(grid: "Grid", places: "Places") -> None:
    """Files first, then the tables: whoever reads only the head of what is printed has them all the same."""
    from selfreward.commands.ablate import factors_of
    from selfreward.report.ablation import ablation_table
    from selfreward.report.ablation_page import ablation_page
    from selfreward.report.terminal import console, print_table
    from selfreward.store.files import on_disk, write_durably

    outcome = ablation_table(places, grid.runs(), grid.contrasts, grid.recovered, grid.against_kl)
    texts = {"md": outcome.markdown(), "json": outcome.as_json()}
    texts["html"] = ablation_page(grid.name, outcome, factors_of(grid))
    tables = places.results / "tables"
    with on_disk(tables):
        tables.mkdir(parents=True, exist_ok=True)
        for ending, text in texts.items():
            write_durably(tables / f"{grid.name}.{ending}", text.encode())
    for table in outcome.tables:
        print_table(table, console())
    typer.echo("\n".join(outcome.notes))
    typer.echo(f"tables: {tables / grid.name}.html, .md and .json")
