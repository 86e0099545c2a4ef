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
import threading
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

    Cells that are done cost nothing, so the same command goes on where it was interrupted. An interrupt ends the runs
    that are under way, which keep what they have sealed, and starts no other.
    """
    cells = grid.cells()
    failed: dict[str, str] = {}
    running = Running()
    with progress.stage(f"grid {grid.name}", len(cells)) as stage, ThreadPoolExecutor(jobs) as pool:
        try:
            outcomes = pool.map(lambda cell: running.finish(_command(grid, cell, results)), cells)
            for cell, problem in zip(cells, outcomes, strict=True):
                stage.advance(1, cell.name)
                if problem:
                    failed[cell.name] = problem
                    progress.say(f"{cell.name} failed: {problem}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            running.end()
            raise
    return failed


class Running:
    """The processes of a grid that are under way, so that an interrupt can end them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._ended = False

    def finish(self, command: Sequence[str]) -> str:
        """Run `command` to its end; an empty string, or its exit code and last line where it failed."""
        with self._lock:
            if self._ended:
                return "not started"
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            self._processes.add(process)
        _, said = process.communicate()
        with self._lock:
            self._processes.discard(process)
        if process.returncode == 0:
            return ""
        lines = said.strip().splitlines() or ["no message"]
        return f"exit {process.returncode}: {lines[-1]}"

    def end(self) -> None:
        """Ask every process to stop as SIGTERM does: what is whole stays, and nothing new begins."""
        with self._lock:
            self._ended = True
            for process in self._processes:
                process.terminate()


def _command(grid: Grid, cell: Cell, results: Path) -> list[str]:
    """One cell as the ordinary command."""
    command = [sys.executable, "-m", "selfreward", "run", str(grid.base), *cell.overrides]
    return [*command, "--name", cell.name, "--results", str(results)]


def require_all(failed: Mapping[str, str]) -> None:
    """Raise SelfRewardError when a cell failed: a table with holes is not a result."""
    if failed:
        first, problem = next(iter(failed.items()))
        raise SelfRewardError(f"{len(failed)} cells failed, the first is {first}: {problem}; fix it and run again")
