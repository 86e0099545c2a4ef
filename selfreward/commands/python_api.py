"""The command's main verbs as functions, for notebooks and scripts: `selfreward.run`, `selfreward.open_run`.

    import selfreward

    done = selfreward.run("recipes/smoke.yaml", "rounds=1", name="tried", results="results")
    done.measurements.query("metric == 'true_accuracy' and pool == 'report'")
    done.rows("pairs", round=1)

A run that exists goes on, as it does with the command. Errors are the package's own (`selfreward.errors`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfreward.commands.shipped import recipe_file
from selfreward.errors import StoreError
from selfreward.recipe import Recipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Measurement
from selfreward.store.results import Store
from selfreward.store.view import RunView

if TYPE_CHECKING:
    import pandas
    from datasets import Dataset


class OpenedRun:
    """A run directory as tables. Everything is read from sealed artifacts, anew at each call."""

    def __init__(self, view: RunView) -> None:
        self._view = view

    def __repr__(self) -> str:
        return f"<run {self._view.name!r}, rounds {self.rounds}>"

    @property
    def path(self) -> Path:
        return self._view.path

    @property
    def recipe(self) -> Recipe:
        return self._view.recipe()

    @property
    def rounds(self) -> list[int]:
        """The rounds whose measurements are sealed."""
        return [number for number in self._view.rounds() if self._view.seal(number, "measurements")]

    @property
    def measurements(self) -> "pandas.DataFrame":
        """One row per (round, metric, pool, cohort), with `value`, `low`, `high` (95 %), `n` and `oracle`."""
        import pandas

        rows = [row for number in self.rounds for row in self._view.read(number, "measurements", Measurement)]
        names = Measurement.__dataclass_fields__
        return pandas.DataFrame({name: [getattr(row, name) for row in rows] for name in names})

    def rows(self, artifact: str, round: int) -> "Dataset":
        """The rows of a sealed artifact (prompts, responses, judgments, pairs, dropped ...) as they stand on disk.

        Raises StoreError for one that is not finished, naming those that are.
        """
        from datasets import Dataset

        if self._view.seal(round, artifact) is None:
            known = sorted(path.name.removesuffix(".jsonl") for path in self._view.directory(round).glob("*.jsonl"))
            raise StoreError(
                f"run {self._view.name!r}, round {round}: no finished artifact {artifact!r}; there are: "
                f"{', '.join(known) or 'none'}"
            )
        return Dataset.from_list(self._view.plain(round, artifact))


def run(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    *overrides: str,
    name: str | None = None,
    results: str | Path = "results",
    quiet: bool = False,
) -> OpenedRun:
    """Run a recipe (a file or one that ships, by name; a mapping of keys; one that was read) to its last round.

    `overrides` are `key=value` strings, as on the command line; `name` is the file's name unless given.
    """
    if isinstance(recipe, Recipe):
        if overrides:
            raise StoreError("overrides go with a file or a mapping; this recipe was read already: read it with them")
        built = recipe
    elif isinstance(recipe, Mapping):
        built = build_recipe([dict(recipe)], overrides)
    else:
        recipe = recipe_file(Path(recipe))
        built = load_recipe(recipe, overrides)
    called = name or (recipe.stem if isinstance(recipe, Path) else None)
    if called is None:
        raise StoreError("a recipe that is no file has no name; give the run one: run(recipe, name=...)")
    from selfreward.commands.run import run as run_recipe
    from selfreward.progress import Progress

    store = Store(Path(results))
    return OpenedRun(RunView(run_recipe(built, store, called, Progress(style="silent" if quiet else "auto"))))


def open_run(name_or_path: str | Path, results: str | Path = "results") -> OpenedRun:
    """A run by its name under `results` or by its directory. Raises StoreError where there is none."""
    return OpenedRun(Store(Path(results)).existing(name_or_path))
