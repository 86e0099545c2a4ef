"""The tree is the architecture: imports point downwards only, and heavy ones wait until their part is used."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import selfreward

ROOT = Path(selfreward.__file__).parent

# From the bottom up: layer -> part -> its modules. A module may import from its own part and from lower layers.
LAYERS: list[dict[str, list[str]]] = [
    {"errors": ["errors"]},
    {
        "records": ["records"],
        "config": ["recipe", "measure_checks", "judge_checks", "unread_keys", "recipe_checks", "config"],
        "progress": ["progress"],
    },
    {"engine protocol": ["engines.protocol"]},
    {
        "store": ["files", "seals", "chunks", "directories", "sharing", "run_view", "runs", "store"],
        "recomputation": ["recomputation"],
        "stats": ["stats", "resampling", "prediction_powered"],
        "roles": ["roles"],
        "prompt files": ["pools_file", "pairs_file", "anchors_file", "probes"],
        "sandbox world": [
            f"sandbox.{name}"
            for name in (
                *("words", "tasks", "draws", "oracle", "annotator", "demonstrator", "prompts", "pools", "claims"),
                "world",
            )
        ],
    },
    {"metrics": ["metrics"], "pairing": ["pairing"], "trackers": ["trackers"]},
    {"verifiers": ["verifiers"], "scoring": ["scoring"], "sources": ["sources"], "judge probes": ["judge_probes"]},
    {"checkpoints": ["checkpoints"], "sandbox model": ["sandbox"]},
    {"engines": ["engines"], "hand-off": ["handoff"]},
    {"trainers": ["trainers"]},
    {"cast": ["cast"], "gates": ["gates"], "further questions": ["probe_questions", "cohorts"]},
    {"stages": ["stages"], "preflight": ["preflight"], "environment": ["environment"]},
    {"loop": ["judging", "preferences", "measuring", "scrutiny", "side_steps", "steps", "loop"]},
    {
        "report": ["report"],
        "ablate": ["ablate"],
        "export": ["export"],
        "judge diff": ["judge_diff"],
        "anchors": ["anchors"],
        "doctor": ["doctor"],
        "validation": ["validation"],
        "plan": ["shapes", "roofline", "workload", "plan", "plan_text"],
    },
    {"probing": ["probing"]},
    {"command": ["cli", "exits", "__main__"]},
]
PARTS = {prefix: (height, part) for height, layer in enumerate(LAYERS) for part in layer for prefix in layer[part]}

HEAVY = {"torch", "transformers", "trl", "datasets", "accelerate", "peft", "plotly", "sklearn", "scipy", "numpy"}


def modules() -> dict[str, Path]:
    """Dotted name below the package -> file. Packages are named like their folder."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def place(name: str) -> tuple[int, str]:
    """Height and part of a module: those of its longest prefix."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if found := PARTS.get(".".join(parts[:length])):
            return found
    raise AssertionError(f"selfreward.{name} has no place in LAYERS: say which part it belongs to")


def imported(path: Path) -> Iterator[str]:
    """Every selfreward module that a file imports anywhere, functions included."""
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
                yield short


def test_the_walk_sees_imports_at_the_top_and_inside_functions() -> None:
    assert {"errors", "store", "config", "doctor"} <= set(imported(MODULES["cli"]))


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name))
def test_imports_point_downwards(name: str) -> None:
    height, part = place(name)
    wrong = [other for other in imported(MODULES[name]) if place(other)[1] != part and place(other)[0] >= height]
    assert not wrong, f"selfreward.{name} ({part}) imports {wrong}, which are not below it"


def loaded_by(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after `statement`."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["cli", "config", "records", "store", "doctor", "pools_file", "progress", "ablate"])
def test_light_modules_load_nothing_heavy(module: str) -> None:
    assert not loaded_by(f"import selfreward.{module}") & HEAVY


@pytest.mark.parametrize("module", [name for name in MODULES if name.split(".")[0] in ("roles", "pairing", "metrics")])
def test_pure_parts_need_no_model_library(module: str) -> None:
    assert not loaded_by(f"import selfreward.{module}") & {"torch", "transformers", "trl", "datasets"}


def test_the_tree_in_the_readme_names_every_file_and_no_other() -> None:
    text = (ROOT.parent / "README.md").read_text(encoding="utf-8")
    tree = text.split("\nselfreward/\n")[1].split("```")[0]
    named, folder = set(), ""
    for line in tree.splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        folder = name if depth == 1 and name.endswith("/") else folder if depth == 2 else ""
        if name.endswith(".py"):
            named.add(f"{folder}{name}")
    files = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if path.name != "__init__.py"}
    assert sorted(files - named) == [], "these are missing in README's tree"
    assert sorted(named - files) == [], "README's tree names these, but they do not exist"
