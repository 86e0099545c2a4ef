"""One command, every table: results/tables/coverage, power and conversations, each as .md and .json."""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from selfreward.commands.run import run
from selfreward.commands.validate import (
    conversations,
    coverage,
    forces_null,
    gates_null,
    nulls,
    planted,
    real_drift,
    tables,
)
from selfreward.commands.validate.population import read_population
from selfreward.progress import Progress
from selfreward.recipe import PREVIOUS, DpoRecipe, MeasureRecipe, ModelRecipe, ModelReference, PromptsRecipe, Recipe
from selfreward.store.files import write_durably
from selfreward.store.results import Store

Part = Literal["all", "coverage", "power", "conversations"]
POPULATION = Recipe(
    rounds=1,
    model=ModelRecipe(path=ModelReference("sandbox:seed-0"), device="cpu"),
    prompts=PromptsRecipe(per_round=600),
    train=DpoRecipe(reference=PREVIOUS, beta=0.3, nll=0.2),
    measure=MeasureRecipe(gate=2, selection=2, report=360, frozen=240, samples=12, judge_samples=4),
)
"""The real run that everything is drawn from: twice the answers that a round has, on more prompts."""


@dataclasses.dataclass(frozen=True)
class Repeats:
    """How often everything is drawn. `quick` is for seeing that it works, not for numbers."""

    coverage: int = coverage.REPEATS
    nulls: int = nulls.REPEATS
    planted: int = planted.REPEATS
    runs: int = gates_null.REPEATS
    real: int = real_drift.REPEATS
    talks: int = conversations.REPEATS
    silent_runs: int = conversations.RUNS


QUICK = Repeats(coverage=40, nulls=10, planted=4, runs=10, real=2, talks=2, silent_runs=2)


def validate(out: Path, part: Part, repeats: Repeats, say: Callable[[str], None]) -> list[Path]:
    """Write the tables into `out`; return their paths."""
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    if part in ("all", "coverage"):
        cells = coverage.measure_grid(repeats.coverage, say)
        written += _write(out, "coverage", tables.coverage_markdown(cells), {"cells": cells})
    if part in ("all", "power"):
        with tempfile.TemporaryDirectory() as scratch:
            written += _power(out, make_run(Path(scratch), POPULATION), repeats, say)
    if part in ("all", "conversations"):
        powers = conversations.conversation_powers(repeats.talks, say)
        silent = conversations.conversation_nulls(repeats.silent_runs, say)
        text = conversations.conversations_markdown(powers, silent)
        written += _write(out, "conversations", text, {"powers": powers, "nulls": silent})
    return written


def make_run(directory: Path, recipe: Recipe) -> Path:
    """The run that the population is read from."""
    return run(recipe, Store(directory, share=False), "population", Progress())


def _power(out: Path, run_directory: Path, repeats: Repeats, say: Callable[[str], None]) -> list[Path]:
    population = read_population(run_directory)
    real = real_drift.real_drift(population, run_directory, repeats.real, say)
    rates = nulls.null_rates(population, repeats.nulls, say)
    curves = planted.power_curves(population, repeats.planted, say)
    runs = gates_null.run_rates(population, repeats.runs, say)
    runs += [forces_null.force_rate(population, rounds, repeats.runs, say) for rounds in gates_null.ROUNDS]
    text = tables.power_markdown(rates, curves, runs, real)
    return _write(out, "power", text, {"nulls": rates, "planted": curves, "runs": runs, "real": real})


def _write(out: Path, name: str, text: str, numbers: dict[str, Sequence[Any]]) -> list[Path]:
    rows = {key: [dataclasses.asdict(row) for row in found] for key, found in numbers.items()}
    paths = [out / f"{name}.md", out / f"{name}.json"]
    for path, content in zip(paths, (text, json.dumps(rows, indent=1) + "\n"), strict=True):
        write_durably(path, content.encode())
    return paths
