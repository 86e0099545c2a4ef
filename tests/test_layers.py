"""The tree is the architecture: imports point downwards only, and heavy ones wait until their part is used."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "selfreward"

# From the bottom up. A folder may import from itself and from what stands before it.
FLOORS = (
    *("errors", "records", "progress", "recipe", "engines", "store", "tasks", "roles"),
    *("judging", "pairing", "training", "measuring", "report", "loop", "commands"),
)
"""Folders and the few modules beside them; nothing else stands at the top."""

HEAVY = {"torch", "transformers", "trl", "datasets", "accelerate", "peft", "plotly", "sklearn", "scipy", "numpy"}


def modules() -> dict[str, Path]:
    """Dotted name below the package -> file. Packages are named like their folder."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def floor(name: str) -> int:
    """The height of a module's folder."""
    top = name.partition(".")[0]
    assert top in FLOORS or top == "__main__", f"selfreward.{name} has no floor: put it into one of the folders"
    return FLOORS.index(top) if top in FLOORS else len(FLOORS)


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Every selfreward module that a file imports anywhere, functions included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; name the module in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            short = name.removeprefix("selfreward.")
            while short not in MODULES and "." in short:
                short = short.rpartition(".")[0]
            if name.startswith("selfreward.") and short in MODULES:
                found.append(short)
    return tuple(found)


def test_the_walk_sees_imports_at_the_top_and_inside_functions() -> None:
    assert {"errors", "recipe.read", "commands.run"} <= set(imported(MODULES["commands.wiring.runs"]))


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name))
def test_imports_point_downwards(name: str) -> None:
    height, own = floor(name), name.partition(".")[0]
    wrong = [other for other in imported(MODULES[name]) if other.partition(".")[0] != own and floor(other) >= height]
    assert not wrong, f"selfreward.{name} imports {wrong}, which are not below it"


def test_the_house_has_eleven_floors() -> None:
    heights: dict[str, int] = {}
    for top in FLOORS:
        own = [path for name, path in MODULES.items() if name.partition(".")[0] == top]
        below = {other.partition(".")[0] for path in own for other in imported(path)} - {top}
        heights[top] = 1 + max((heights[other] for other in below), default=0)
    assert max(heights.values()) <= 11, heights


def test_a_newcomer_reads_the_top_of_the_tree_at_a_glance() -> None:
    entries = {path.name for path in ROOT.iterdir() if not path.name.startswith("__")}
    assert len(entries) <= 16, sorted(entries)


def loads(modules: Iterable[str], heavy: set[str]) -> dict[str, list[str]]:
    """Which of `heavy` a fresh interpreter that imports these modules in turn gets at which of them."""
    code = """import importlib, json, sys
found, before = {}, set()
for name in sys.argv[1:]:
    importlib.import_module(name)
    after = {name.partition(".")[0] for name in sys.modules}
    found[name], before = sorted(after - before), after
print(json.dumps(found))"""
    names = [f"selfreward.{name}" for name in modules]
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    found = {name: sorted(heavy & set(packages)) for name, packages in json.loads(done.stdout).items()}
    return {name: packages for name, packages in found.items() if packages}


LIGHT = [
    *("commands.cli", "commands.doctor", "commands.ablate", "recipe.read", "records", "store.results"),
    *("tasks.prompts_file", "progress"),
]
PURE = [name for name in MODULES if name.startswith(("roles.", "judging.prompts", "judging.scoring", "pairing"))]
PURE += [name for name in MODULES if name.startswith("measuring.metrics")]
PURE += ["training.weighing.advantages", "training.weighing.rewards"]


def test_light_modules_load_nothing_heavy() -> None:
    assert not loads(LIGHT, HEAVY)
    assert loads(["judging.scoring.tournament"], HEAVY), "what is heavy is seen"


def test_pure_parts_and_a_run_before_it_is_checked_need_no_model_library() -> None:
    assert not loads([*PURE, "loop", "commands.run"], {"torch", "transformers", "trl", "datasets"})
