"""Arguments that several commands take, and the store that they name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfreward.commands.shipped import recipe_names

if TYPE_CHECKING:
    from selfreward.store.results import Store

RESULTS = Path("results")
"""Where runs are, unless --results says otherwise."""


def run_names(incomplete: str) -> list[str]:
    """For the shell: the runs of `results` whose names begin so."""
    return sorted(path.parent.name for path in RESULTS.glob(f"{incomplete}*/recipe.yaml"))


RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run's name in --results, or its directory.", autocompletion=run_names),
]

Results = Annotated[Path, typer.Option("--results", help="The directory that holds the runs.")]

RecipeFile = Annotated[
    Path,
    typer.Argument(
        metavar="RECIPE",
        help="A YAML file, or the name of a recipe that ships, such as smoke.",
        autocompletion=recipe_names,
    ),
]

Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Recipe keys to set.")]


def store_in(results: Path) -> "Store":
    """The store in `results`."""
    from selfreward.store.results import Store

    return Store(results)
