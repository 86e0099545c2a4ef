"""Sandbox models by name: what is refused at once, what ships, and what is trained once and kept."""

import json
import random
import subprocess
import sys
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path

import pytest
from seed_child import QUICK, TINY, tiny_recipe

from selfreward.commands import ablate
from selfreward.commands.ablate import Running, load_grid, train_missing_models
from selfreward.commands.preflight import preflight
from selfreward.commands.preflight_models import SANDBOX_SEEDS, model_directory, shape_directory
from selfreward.commands.run import run as run_recipe
from selfreward.errors import RecipeError
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.store.cache import cache_directory
from selfreward.store.results import Store
from selfreward.tasks.sandbox.annotator import AnnotatorDials
from selfreward.tasks.sandbox.demonstrator import DemonstratorDials
from selfreward.tasks.sandbox.seeds.cache import known_directory, recipe_of, seed_directory
from selfreward.tasks.sandbox.seeds.lessons import Teacher
from selfreward.tasks.sandbox.seeds.names import LARGEST, SeedName, parse_seed_name, read_dials
from selfreward.tasks.sandbox.seeds.recipe import CLEAN, SEED_VERSION, DialledRecipe, SeedRecipe, with_budget

CHILD = Path(__file__).parent / "seed_child.py"
SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELFREWARD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "seeds"


def test_lessons_of_this_version_are_these() -> None:
    """The cache knows lessons by SEED_VERSION alone: whoever changes them raises it and puts the new digest here."""
    drawn = []
    for annotator in (AnnotatorDials(), AnnotatorDials(noise=0.2, length_bias=0.8, agreement_bias=0.7)):
        teacher = Teacher(random.Random(5), DemonstratorDials(), annotator, rule_share=0.2)
        drawn += teacher.lessons(CLEAN.mix, 20_000)
    digest = sha256(json.dumps(drawn).encode()).hexdigest()
    assert (SEED_VERSION, digest[:16]) == (1, "0e92d39419866e09")


def test_a_name_has_one_spelling_however_it_is_written() -> None:
    name = parse_seed_name("sandbox:seed-12+noise=.10+length_bias=0.80")
    assert name == SeedName(12, (("length_bias", 0.8), ("noise", 0.1)))
    assert str(name) == "sandbox:seed-12+length_bias=0.8+noise=0.1"
    assert parse_seed_name(str(name)) == name
    assert name.annotator == AnnotatorDials(noise=0.1, length_bias=0.8)
    assert parse_seed_name("sandbox:seed-0+length_bias=0").annotator == AnnotatorDials()


def test_every_dial_of_the_annotator_has_a_bound() -> None:
    assert set(LARGEST) == {"bad_word", "questions", "stopped", *(item.name for item in fields(AnnotatorDials))}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("sandbox:x", "expected sandbox:seed-K with a number K"),
        ("sandbox:seed", "expected sandbox:seed-K with a number K"),
        ("sandbox:seed-01", "expected sandbox:seed-K with a number K"),
        ("sandbox:seed--1", "expected sandbox:seed-K with a number K"),
        ("sandbox:../seed-0", "expected sandbox:seed-K with a number K"),
        ("sandbox:seed-0+", "'' is no dial"),
        ("sandbox:seed-0+lenght_bias=1", "'lenght_bias' is no dial of the sandbox; expected length_bias,"),
        ("sandbox:seed-0+length_bias=5.1", "length_bias is '5.1'; expected a number from 0 to 5"),
        ("sandbox:seed-0+agreement_bias=-0.1", "agreement_bias is '-0.1'; expected a number from 0 to 1"),
        ("sandbox:seed-0+agreement_bias=nan", "agreement_bias is 'nan'"),
        ("sandbox:seed-0+agreement_bias", "agreement_bias is ''"),
        ("sandbox:seed-0+noise=0.1+noise=0.2", "noise is there twice"),
    ],
)
def test_a_bad_name_is_refused_before_anything_starts(path: str, message: str, cache: Path) -> None:
    with pytest.raises(RecipeError, match=r"model\.path") as refused:
        preflight(build_recipe([], [f"model.path={path}"]))
    assert message in str(refused.value)
    assert not cache.exists()


def test_shipped_seeds_need_no_cache(cache: Path) -> None:
    for number in range(3):
        assert model_directory(f"sandbox:seed-{number}") == SANDBOX_SEEDS / f"seed-{number}"
    assert known_directory(SeedName(3)) is None
    assert known_directory(SeedName(0, (("length_bias", 0.8),))) is None
    # A plan must not train for an hour to know a shape that all of them have.
    assert (shape_directory("sandbox:seed-3+noise=0.5") / "config.json").is_file()
    assert not cache.exists()


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SELFREWARD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_directory() == tmp_path / "xdg" / "selfreward"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_directory() == tmp_path / "home" / ".cache" / "selfreward"


@pytest.mark.slow
def test_two_processes_that_want_one_model_train_it_once(cache: Path) -> None:
    command = [sys.executable, str(CHILD), "sandbox:seed-7"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=300)[0].strip().splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert told[0][-1] == told[1][-1]
    assert sum("does not ship: training it once" in line for lines in told for line in lines) == 1
    directory = Path(told[0][-1])
    assert [path for path in cache.iterdir() if path.is_dir()] == [directory], "nothing half-made stays"
    assert json.loads((directory / "seed.json").read_text())["recipe"]["seed"] == 7
    # What is there is taken as it is; another recipe under the same name is another model.
    said: list[str] = []
    assert seed_directory(SeedName(7), said.append, TINY, QUICK) == directory
    assert said == []
    assert known_directory(SeedName(7)) is None


@pytest.mark.slow
def test_a_dialled_seed_goes_on_from_its_plain_seed_and_what_was_left_half_made_is_thrown_away(cache: Path) -> None:
    name = SeedName(7, (("agreement_bias", 0.7),))
    said: list[str] = []
    plain = seed_directory(SeedName(7), said.append, TINY, QUICK)
    directory = seed_directory(name, said.append, tiny_recipe(name), QUICK)
    assert sum("training it once" in line for line in said) == 2
    card = json.loads((directory / "seed.json").read_text())
    assert card["recipe"]["annotator"]["agreement_bias"] == 0.7
    assert card["recipe"]["start"] == json.loads((plain / "seed.json").read_text())["recipe"]
    assert {"plain_claim_taken", "rule_claim_taken", "plain_rho", "rule_rho"} <= set(card["skill"]["estimates"])
    before = (directory / "model.safetensors").read_bytes()
    assert before != (plain / "model.safetensors").read_bytes()

    # A process was killed while it trained this one; the next one makes the same bytes.
    directory.rename(directory.with_name(f"{directory.name}.part"))
    (directory.with_name(f"{directory.name}.part") / "seed.json").unlink()
    assert seed_directory(name, said.append, tiny_recipe(name), QUICK) == directory
    assert (directory / "model.safetensors").read_bytes() == before
    other = replace(name, dials=(("agreement_bias", 0.0),))
    assert (seed_directory(other, said.append, tiny_recipe(other), QUICK) / "model.safetensors").read_bytes() != before


def test_what_determines_a_model_is_in_the_name_of_its_place(cache: Path) -> None:
    def place(name: SeedName, recipe: SeedRecipe | DialledRecipe) -> Path:
        from selfreward.tasks.sandbox.seeds.cache import _place

        return _place(name, recipe)

    plain, dialled = SeedName(3), SeedName(3, (("length_bias", 0.8),))
    recipe = recipe_of(dialled)
    assert isinstance(recipe, DialledRecipe)
    places = {
        place(plain, recipe_of(plain)),
        place(plain, replace(recipe.start, warmup_steps=99)),
        place(dialled, recipe),
        place(dialled, replace(recipe, rule_share=0.0)),
        place(dialled, replace(recipe, annotator=AnnotatorDials(length_bias=0.4))),
        place(dialled, replace(recipe, start=replace(recipe.start, batch_tokens=1024))),
        # The name of a shipped seed does not make another recipe the shipped one.
        place(SeedName(0), SeedRecipe(seed=0, own_samples=2)),
    }
    assert len(places) == 7 and all(path.parent == cache for path in places)
    assert place(dialled, recipe) == place(dialled, recipe_of(dialled))


def test_a_budget_scales_every_stage() -> None:
    small = with_budget(SeedRecipe(), 26_500)
    assert isinstance(small, SeedRecipe)
    assert [stage.tokens for stage in small.stages] == [6_500, 13_000, 7_000]
    assert [stage.own_tasks for stage in small.stages] == [0, 3, 2]
    recipe = recipe_of(SeedName(0, (("noise", 0.3),)))
    assert isinstance(recipe, DialledRecipe)
    small_dialled = with_budget(recipe, 1_000)
    assert isinstance(small_dialled, DialledRecipe)
    assert small_dialled.stage.tokens == 1_000 and small_dialled.start == recipe.start


def grid_file(directory: Path, arms: str, models: str, **more: str) -> Path:
    path = directory / "grid.yaml"
    rest = "".join(f"{key}: {value}\n" for key, value in more.items())
    path.write_text(f"base: {SMOKE}\nmodels: {models}\nseeds: [0]\narms: {arms}\n{rest}")
    return path


def test_an_arm_may_start_from_a_relative_of_the_cells_model(tmp_path: Path) -> None:
    arms = "{plain: [], dial: ['model.path={model}+length_bias=0.8']}"
    grid = load_grid(grid_file(tmp_path, arms, "[sandbox:seed-0, sandbox:seed-1]"))
    recipes = {cell.name: load_recipe(grid.base, cell.overrides) for cell in grid.cells()}
    assert {name: recipe.model.path for name, recipe in recipes.items()} == {
        "grid.plain.seed-0.0": "sandbox:seed-0",
        "grid.plain.seed-1.0": "sandbox:seed-1",
        "grid.dial.seed-0.0": "sandbox:seed-0+length_bias=0.8",
        "grid.dial.seed-1.0": "sandbox:seed-1+length_bias=0.8",
    }
    # The cells of one model are paired, whatever each of its arms starts from.
    assert set(grid.runs()["dial"]) == {("sandbox:seed-0", 0), ("sandbox:seed-1", 0)}


@pytest.mark.parametrize(
    ("arms", "contrasts", "message"),
    [
        ("{a: ['model.path={model}+length_bias=9']}", "[]", "length_bias is '9'; expected a number from 0 to 5"),
        ("{a: []}", "[[a, a, true_acuracy]]", "contrast names 'true_acuracy'; expected one of true_accuracy, "),
        ("{a: []}", "[[a]]", "expected an arm, its control and any metrics"),
    ],
)
def test_a_bad_relative_or_metric_is_refused_before_any_cell(
    arms: str, contrasts: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError) as refused:
        load_grid(grid_file(tmp_path, arms, "[sandbox:seed-0]", contrasts=contrasts))
    assert message in str(refused.value)


def test_missing_models_are_trained_before_the_cells_and_plain_ones_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = "{plain: [], dial: ['model.path={model}+length_bias=0.8']}"
    cells = load_grid(grid_file(tmp_path, arms, "[sandbox:seed-0, sandbox:seed-3]")).cells()
    log = tmp_path / "log"

    def note(name: SeedName) -> list[str]:
        return [sys.executable, "-c", f"open({str(log)!r}, 'a').write('{name}\\n')"]

    monkeypatch.setattr(ablate, "_training", note)
    train_missing_models(cells, 1, Running(), Progress())
    assert log.read_text().splitlines() == [
        "sandbox:seed-3",
        "sandbox:seed-0+length_bias=0.8",
        "sandbox:seed-3+length_bias=0.8",
    ]


def test_the_command_that_trains_names_the_very_model() -> None:
    name = parse_seed_name("sandbox:seed-3+length_bias=0.1234567+agreement_bias=1e-3")
    command = ablate._training(name)
    assert command[3:] == (
        ["sandbox", "train", "--seed", "3", "--dial", "agreement_bias=0.001", "--dial", "length_bias=0.1234567"]
    )
    dials = tuple(command[at + 1] for at, word in enumerate(command) if word == "--dial")
    assert SeedName(3, read_dials(dials, "here")) == name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dial", "lenght_bias=1"], "'lenght_bias' is no dial of the sandbox"),
        (["--dial", "length_bias=7"], "expected a number from 0 to 5"),
        (["--tokens", "1000"], "give --out too"),
    ],
)
def test_the_train_command_refuses_at_once(arguments: list[str], message: str) -> None:
    command = [sys.executable, "-m", "selfreward", "sandbox", "train", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_run_that_trained_a_model_first_has_the_bytes_of_one_that_did_not(tmp_path: Path) -> None:
    recipe = load_recipe(SMOKE, ["rounds=1"])
    rows: list[dict[str, bytes]] = []
    for name, trains in (("warm", False), ("cold", True)):
        if trains:
            seed_directory(SeedName(7), lambda line: None, TINY, QUICK)
        run = run_recipe(recipe, Store(tmp_path / name), "run", Progress())
        files = [*run.glob("round-*/*.jsonl"), *run.glob("round-*/checkpoint/*.safetensors")]
        rows.append({path.relative_to(run).as_posix(): path.read_bytes() for path in files})
    assert rows[0] == rows[1]
    assert len(rows[0]) > 10
