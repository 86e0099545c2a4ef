"""Arms × seeds of the loop: every cell is a run of its own, made by the ordinary command in a process of its own.

A grid file names a base recipe, arms (overrides), seed models and run seeds, and the contrasts to be read off:

    base: ../sandbox.yaml
    arms: {self_judged: [], shuffled: [judge.control=shuffled]}
    models: [sandbox:seed-0, sandbox:seed-1]
    seeds: [0, 1, 2]
    contrasts: [[self_judged, shuffled]]

A contrast may go on with the metrics that it is tested on, `[self_judged, shuffled, true_accuracy]`: what is not
tested costs the others nothing when the p-values are corrected.

`recovered: [[student, weak, ceiling]]` asks what share of the gap between a weak teacher and the ceiling a student that
learnt from the teacher closes (report/recovered.py). `against_kl: [true_accuracy]` tells metrics by round beside the KL
to round 0, for each nat of it, and when each gate, alarm and the held-out judge speaks (report/against_kl.py).

`{model}` in an override is the cell's model, so an arm may start from a relative of it:
`model.path={model}+length_bias=0.8`. Sandbox models that neither ship nor were trained before are trained first.

Arms share what is really equal (the start policy's measurements, the first round's answers) through the store. Cells
are started arm by arm, so that processes beside one another have different seeds and do not wait for the same work.
"""

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from selfreward.commands.grid.asked import check_asked
from selfreward.commands.grid.running import Running
from selfreward.errors import RecipeError, SelfRewardError
from selfreward.progress import Progress
from selfreward.recipe import walk
from selfreward.recipe.read import load_recipe
from selfreward.recipe.sentences import refuse_marks
from selfreward.recipe.text import read_yaml
from selfreward.report.compared import COMPARED
from selfreward.tasks.sandbox.seeds.cache import known_directory
from selfreward.tasks.sandbox.seeds.names import SeedName, is_seed_name, parse_seed_name

MODEL = "{model}"
OPTIONAL = {"contrasts", "overrides", "recovered", "against_kl"}
KEYS = {"base", "arms", "models", "seeds"} | OPTIONAL


@dataclass(frozen=True)
class Cell:
    """One run of the grid. `name` is its directory under the results root."""

    arm: str
    model: str
    seed: int
    name: str
    overrides: tuple[str, ...]
    start: str
    """The model that the run starts from: `model`, unless the arm names a relative of it."""


@dataclass(frozen=True)
class Grid:
    name: str
    base: Path
    arms: Mapping[str, tuple[str, ...]]
    """Each with the grid's own overrides first, so that an arm has the last word."""
    models: tuple[str, ...]
    seeds: tuple[int, ...]
    contrasts: tuple[tuple[str, ...], ...]
    """Arm, control, and the metrics to test, if not the usual ones."""
    recovered: tuple[tuple[str, ...], ...] = ()
    """Student, weak teacher and ceiling: arms, of whose judges the gap that is recovered is told."""
    against_kl: tuple[str, ...] = ()
    """Metrics of the report pool that are told against the KL to round 0, with who speaks first."""

    def cells(self) -> list[Cell]:
        """Every arm × model × seed, arm by arm."""
        return [
            _cell(self.name, arm, overrides, model, seed)
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


def _cell(grid: str, arm: str, overrides: Sequence[str], model: str, seed: int) -> Cell:
    filled = [override.replace(MODEL, model) for override in overrides]
    starts = [override.partition("=")[2] for override in filled if override.startswith("model.path=")]
    if not starts:
        starts, filled = [model], [*filled, f"model.path={model}"]
    name = f"{grid}.{arm}.{Path(model.replace(':', '/')).name}.{seed}"
    return Cell(arm, model, seed, name, (*filled, f"seed={seed}"), starts[-1])


def load_grid(path: Path) -> Grid:
    """Read a grid and check every cell's recipe. Raises RecipeError naming the key or the arm."""
    raw = read_yaml(path, "grid")
    refuse_marks(raw, "", f"grid {path}")
    if not isinstance(raw, dict) or not KEYS - OPTIONAL <= set(raw) <= KEYS:
        found = ", ".join(sorted(raw)) if isinstance(raw, dict) else type(raw).__name__
        raise RecipeError(f"grid {path}: found {found}; expected the keys {', '.join(sorted(KEYS))}")
    shared = tuple(map(str, raw.get("overrides") or ()))
    grid = Grid(
        name=path.stem,
        base=(path.parent / str(raw["base"])).resolve(),
        arms={str(arm): (*shared, *map(str, overrides or ())) for arm, overrides in raw["arms"].items()},
        models=tuple(map(str, raw["models"])),
        seeds=tuple(map(int, raw["seeds"])),
        contrasts=tuple(tuple(map(str, contrast)) for contrast in raw.get("contrasts") or ()),
        recovered=tuple(tuple(map(str, three)) for three in raw.get("recovered") or ()),
        against_kl=tuple(map(str, raw.get("against_kl") or ())),
    )
    check_grid(grid)
    return grid


def check_grid(grid: Grid) -> None:
    """Its contrasts, and every cell's recipe. Raises RecipeError naming the key or the arm."""
    check_asked(grid.name, grid.arms, grid.recovered, grid.against_kl)
    where = f"grid {grid.name}: contrast"
    for contrast in grid.contrasts:
        if len(contrast) < 2:
            raise RecipeError(
                f"grid {grid.name}: contrast {list(contrast)}; expected an arm, its control and any metrics"
            )
        for arm in contrast[:2]:
            if arm not in grid.arms:
                raise RecipeError(
                    f"grid {grid.name}: contrast names arm {arm!r}; expected one of {', '.join(grid.arms)}"
                )
        for metric in contrast[2:]:
            if metric not in COMPARED:
                raise RecipeError(f"{where} names {metric!r}; expected one of {', '.join(COMPARED)}")
    # Cells of one arm differ in model and seed only, so the first of each arm stands for all.
    for cell in {cell.arm: cell for cell in reversed(grid.cells())}.values():
        load_recipe(grid.base, cell.overrides)
    for cell in grid.cells():
        if is_seed_name(cell.start):
            parse_seed_name(cell.start)


def factors_of(grid: Grid) -> dict[str, dict[str, str]]:
    """Arm -> the keys in which the grid's arms differ, with its values; what is derived from the cell is left out."""
    recipes = {}
    for cell in reversed(grid.cells()):
        recipes[cell.arm] = {key: str(value) for key, value, _ in walk(load_recipe(grid.base, cell.overrides))}
    found = {arm: recipes[arm] for arm in grid.arms}
    keys = dict.fromkeys(key for values in found.values() for key in values if key not in ("seed", "model.path"))
    differing = [key for key in keys if len({values.get(key) for values in found.values()}) > 1]
    return {arm: {key: values.get(key, "") for key in differing} for arm, values in found.items()}


def ablate(
    grid: Grid, results: Path, jobs: int, progress: Progress, cells: Sequence[Cell] | None = None
) -> dict[str, str]:
    """Train the sandbox models that are missing, then run every cell (or those of `cells`), `jobs` at a time; return
    the cells that failed, by name, with the last line they wrote.

    Cells that are done cost nothing, so the same command goes on where it was interrupted. An interrupt ends the runs
    that are under way, which keep what they have sealed, and starts no other.
    """
    cells = grid.cells() if cells is None else cells
    failed: dict[str, str] = {}
    running = Running()
    train_missing_models(cells, jobs, running, progress)
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


def train_missing_models(cells: Sequence[Cell], jobs: int, running: Running, progress: Progress) -> None:
    """Plain seeds first, then those that go on from them. A model that fails is told again by each of its cells."""
    names = dict.fromkeys(parse_seed_name(cell.start) for cell in cells if is_seed_name(cell.start))
    missing = [name for name in names if known_directory(name) is None]
    plain = dict.fromkeys(SeedName(name.seed) for name in missing if name.stopped is None)
    for wanted in ([name for name in plain if known_directory(name) is None], [name for name in missing if name.dials]):
        if not wanted:
            continue
        with progress.stage("sandbox models to train", len(wanted)) as stage, ThreadPoolExecutor(jobs) as pool:
            try:
                outcomes = pool.map(lambda name: running.finish(_training(name)), wanted)
                for name, problem in zip(wanted, outcomes, strict=True):
                    stage.advance(1, str(name))
                    if problem:
                        progress.say(f"training {name} failed: {problem}")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                running.end()
                raise


def _training(name: SeedName) -> list[str]:
    """One model into the cache, as the ordinary command."""
    dials = [part for dial, value in name.dials for part in ("--dial", f"{dial}={value!r}")]
    return [sys.executable, "-m", "selfreward", "sandbox", "train", "--seed", str(name.seed), *dials]


def _command(grid: Grid, cell: Cell, results: Path) -> list[str]:
    """One cell as the ordinary command."""
    command = [sys.executable, "-m", "selfreward", "run", str(grid.base), *cell.overrides]
    return [*command, "--name", cell.name, "--results", str(results)]


def require_all(failed: Mapping[str, str]) -> None:
    """Raise SelfRewardError when a cell failed: a table with holes is not a result."""
    if failed:
        first, problem = next(iter(failed.items()))
        raise SelfRewardError(f"{len(failed)} cells failed, the first is {first}: {problem}; fix it and run again")
