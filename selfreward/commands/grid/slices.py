"""Which cells of a grid are run here, and where the others are: a grid may be run in slices, on several occasions.

A slice K/N is every N-th cell, beginning with the K-th; N machines run one each. Wherever their results are brought
together, the same command with `--also` their directories runs what is still missing and makes the one table. A run
counts as a cell of the grid if it has come to its end and its recipe is the cell's in every identity key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfreward.commands.ablate import Cell, Grid
from selfreward.errors import DataError, RecipeError, StoreError
from selfreward.recipe import identity
from selfreward.recipe.read import load_recipe
from selfreward.report.state import run_state
from selfreward.store.results import Store
from selfreward.store.view import RunView

SHOWN = 4


def slice_of(cells: Sequence[Cell], text: str | None) -> list[Cell]:
    """The cells of slice K/N; all without one. Raises RecipeError for a slice that is none."""
    if text is None:
        return list(cells)
    first, slash, of = text.partition("/")
    if not (slash and first.isdecimal() and of.isdecimal() and 1 <= int(first) <= int(of)):
        raise RecipeError(f"--slice {text!r}: expected K/N with K from 1 to N, such as 1/3")
    return list(cells[int(first) - 1 :: int(of)])


@dataclass(frozen=True)
class Places:
    """Where the grid's runs may be: its own results first, then the others."""

    grid: Grid
    results: Path
    also: Sequence[Path] = ()

    def existing(self, name: str) -> RunView:
        """The run of that name, for the tables. Raises StoreError where it is in none of them."""
        for place in (self.results, *self.also):
            if (place / name / "recipe.yaml").is_file():
                return Store(place).existing(name)
        raise StoreError(f"no run {name!r} in {', '.join(map(str, (self.results, *self.also)))}")

    def finished(self, cell: Cell) -> RunView | None:
        """The cell's run, where it came to its end. Raises DataError where it was made by another recipe."""
        for place in (self.results, *self.also):
            if not (place / cell.name / "recipe.yaml").is_file():
                continue
            view = RunView(place / cell.name)
            if run_state(view).word in ("finished", "stopped"):
                refuse_other_recipe(view, self.grid, cell)
                return view
        return None

    def elsewhere(self, cell: Cell) -> bool:
        """Whether the cell is done, but not in the grid's own results."""
        view = self.finished(cell)
        return view is not None and view.path.parent.resolve() != self.results.resolve()

    def missing(self) -> list[str]:
        """The names of the cells that are done nowhere."""
        return [cell.name for cell in self.grid.cells() if self.finished(cell) is None]


def refuse_other_recipe(view: RunView, grid: Grid, cell: Cell) -> None:
    made, wanted = identity(view.recipe()), identity(load_recipe(grid.base, cell.overrides))
    for key in sorted(made.keys() | wanted.keys()):
        if made.get(key) != wanted.get(key):
            raise DataError(
                f"{view.path}: was made with {key}={made.get(key)!r}, this grid's cell has {wanted.get(key)!r}; rows "
                "of different recipes do not belong into one table: move that run away, or give the grid another name"
            )


def still_missing(names: Sequence[str]) -> str:
    """One sentence about the cells that another slice has to run."""
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return (
        f"{len(names)} cells are not done yet ({shown}). When they are, the same command without --slice makes the "
        "table; --also DIR, which may be repeated, looks for them in other results directories"
    )
