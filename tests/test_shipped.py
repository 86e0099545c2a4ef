"""Recipes that ship are found by name, from a checkout and from a wheel; the wheel holds what a run needs."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import selfreward
from selfreward.commands.ablate import load_grid
from selfreward.commands.shipped import recipe_file, shipped
from selfreward.errors import RecipeError
from selfreward.recipe.read import load_recipe

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "recipes"


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_every_recipe_is_found_by_its_name(name: str) -> None:
    assert load_recipe(recipe_file(Path(name))) == load_recipe(RECIPES / f"{name}.yaml")


def test_a_grid_is_found_by_its_name_with_its_base() -> None:
    assert load_grid(recipe_file(Path("controls"), "grids")).base.exists()


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smoke").write_text("rounds: 1\n", encoding="utf-8")
    assert recipe_file(Path("smoke")) == Path("smoke")


@pytest.mark.parametrize("named", ["missing.yaml", "recipes/missing", "./smoke.yml"])
def test_a_path_is_never_taken_for_a_name(named: str) -> None:
    assert recipe_file(Path(named)) == Path(named)


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(RecipeError, match=r"'smok'.*did you mean 'smoke'"):
        recipe_file(Path("smok"))
    assert "smoke" in shipped()


def test_from_python_too_a_name_that_is_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="did you mean 'smoke'"):
        selfreward.run("smok", results=tmp_path)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network by the setuptools that is here, where it is new enough."""
    if int(pytest.importorskip("setuptools").__version__.partition(".")[0]) < 77:
        pytest.skip("setuptools is older than pyproject.toml asks for")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("selfreward", "recipes"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(out)]
    subprocess.run([*command, str(source)], check=True)
    return next(out.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_recipes_templates_and_seeds_and_finds_them(wheel: Path, tmp_path: Path) -> None:
    assert wheel.name.startswith("selfreward_loop-")
    with zipfile.ZipFile(wheel) as packed:
        inside = set(packed.namelist())
        packed.extractall(tmp_path / "site")
    for path in [
        *RECIPES.rglob("*.yaml"),
        *(ROOT / "selfreward").rglob("*.txt"),
        *(ROOT / "selfreward").rglob("*.safetensors"),
    ]:
        relative = path.relative_to(ROOT)
        packed_as = relative.as_posix() if relative.parts[0] == "selfreward" else f"selfreward/{relative.as_posix()}"
        assert packed_as in inside
    code = "from pathlib import Path; from selfreward.commands.shipped import recipe_file as f; print(f(Path('smoke')))"
    environment = {"PYTHONPATH": str(tmp_path / "site"), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()) == tmp_path / "site" / "selfreward" / "recipes" / "smoke.yaml"
