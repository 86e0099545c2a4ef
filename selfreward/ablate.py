"""Arms × seeds of the loop: every cell is a run of its own, made by the ordinary command in a process of its own.

A grid file names a base recipe, arms (overrides), seed models and run seeds, and the contrasts to be read off:

    base: ../sandbox.yaml
    arms: {self_judged: [], shuffled: [judge.control=shuffled]}
    models: [sandbox:seed-0, sandbox:seed-1]
    seeds: [0, 1, 2]
    contrasts: [[self_judged, shuffled]]

Arms share what is really equal (the start policy's measurements, the first round's answers) through the store. Cells
are started arm by arm, so that processes beside one another have different seeds and do not wait for the same work.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from selfreward.config import load_recipe
from selfreward.errors import RecipeError, SelfRewardError
from selfreward.progress import Progress

KEYS = {"base", "arms", "models", "seeds", "contrasts"}


@dataclass(frozen=True)
class Cell:
    """One run of the grid. `name` is its directory under the results root."""

    arm: str
    model: str
    seed: int
    name: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    name: str
    base: Path
    arms: Mapping[str, tuple[str, ...]]
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    contrasts: tuple[tuple[str, str], ...]

    def cells(self) -> list[Cell]:
        """Every arm × model × seed, arm by arm."""
        return [
            Cell(
                arm=arm,
                model=model,
                seed=seed,
                name=f"{self.name}.{arm}.{Path(model.replace(':', '/')).name}.{seed}",
                overrides=(*overrides, f"model.path={model}", f"seed={seed}"),
            )
            for arm, overrides in self.arms.items()
            for model in self.models
            for seed in self.seeds
        ]

    def runs(self) -> dict[str, dict[tuple[str, int], str]]:
        """Arm -> (model, seed) -> run name."""
        table: dict[str, dict[tuple[str, int], str]] = {arm: {} for arm in self.arms}
        for cell in self.cells():
            table[cell.arm][cell.model, cell.seed] = cell.name
        return table


def load_grid(path: Path) -> Grid:
    """Read a grid and check every cell's recipe. Raises RecipeError naming the key or the arm."""
    try:
        raw: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except OSError as problem:
        raise RecipeError(f"grid {path}: cannot be read ({problem.strerror})") from problem
    except (YAMLError, OmegaConfBaseException) as problem:
        raise RecipeError(f"grid {path}: not valid YAML: {problem}") from problem
    if not isinstance(raw, dict) or not KEYS - {"contrasts"} <= set(raw) <= KEYS:
        found = ", ".join(sorted(raw)) if isinstance(raw, dict) else type(raw).__name__
        raise RecipeError(f"grid {path}: found {found}; expected the keys {', '.join(sorted(KEYS))}")
    grid = Grid(
        name=path.stem,
        base=(path.parent / str(raw["base"])).resolve(),
        arms={str(arm): tuple(map(str, overrides or ())) for arm, overrides in raw["arms"].items()},
        models=tuple(map(str, raw["models"])),
        seeds=tuple(map(int, raw["seeds"])),
        contrasts=tuple((str(one), str(other)) for one, other in raw.get("contrasts") or ()),
    )
    for contrast in grid.contrasts:
        for arm in contrast:
            if arm not in grid.arms:
                raise RecipeError(f"grid {path}: contrast names arm {arm!r}; expected one of {', '.join(grid.arms)}")
    # Cells of one arm differ in model and seed only, so the first of each arm stands for all.
    for cell in {cell.arm: cell for cell in reversed(grid.cells())}.values():
        load_recipe(grid.base, cell.overrides)
    return grid


def ablate(grid: Grid, results: Path, jobs: int, progress: Progress) -> dict[str, str]:
    """Run every cell, `jobs` at a time; return the cells that failed, by name, with the last line they wrote.

    Cells that are done cost nothing, so the same command goes on where it was interrupted.
    """
    cells = grid.cells()
    failed: dict[str, str] = {}
    with progress.stage(f"grid {grid.name}", len(cells)) as stage, ThreadPoolExecutor(jobs) as pool:
        for cell, problem in zip(cells, pool.map(lambda cell: _run(grid, cell, results), cells), strict=True):
            stage.advance(1, cell.name)
            if problem:
                failed[cell.name] = problem
                progress.say(f"{cell.name} failed: {problem}")
    return failed


def _run(grid: Grid, cell: Cell, results: Path) -> str:
    """Run one cell in its own process; an empty string, or the last line of what it said when it failed."""
    command = [sys.executable, "-m", "selfreward", "run", str(grid.base), *cell.overrides]
    command += ["--name", cell.name, "--results", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    said: Sequence[str] = done.stderr.strip().splitlines() or ["no message"]
    return f"exit {done.returncode}: {said[-1]}"


def require_all(failed: Mapping[str, str]) -> None:
    """Raise SelfRewardError when a cell failed: a table with holes is not a result."""
    if failed:
        first, problem = next(iter(failed.items()))
        raise SelfRewardError(f"{len(failed)} cells failed, the first is {first}: {problem}; fix it and run again")
