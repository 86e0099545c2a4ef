"""Grids from the command line, in slices, their cost and their page."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from run_factory import Story, _write

from selfreward.commands.ablate import Grid, factors_of, load_grid
from selfreward.commands.grid.slices import Places, slice_of
from selfreward.commands.grid.vary import narrowed, short_names, split_values, varied, vary
from selfreward.errors import DataError, RecipeError
from selfreward.recipe.read import load_recipe
from selfreward.report.ablation import Ablation, ablation_table
from selfreward.report.ablation_page import ablation_page
from selfreward.report.alike import ALIKE
from selfreward.report.forest import ForestRow, forest, heat
from selfreward.store.results import Store

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
KEYS = ("rounds=1", "measure.samples=4", "measure.verifier=sandbox")
TWO = ("train.beta=0.1,0.5", "generate.samples=4,8")
SEEDS = "0,1,2,3"
SKILLS = {
    "beta=0.1+samples=4": 0.35,
    "beta=0.1+samples=8": 0.5,
    "beta=0.5+samples=4": 0.7,
    "beta=0.5+samples=8": 0.95,
}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.1,0.3", ["0.1", "0.3"]),
        ("[a,b],[c]", ["[a,b]", "[c]"]),
        ("'a,b', c", ["'a,b'", "c"]),
        ("{x: 1, y: 2},{}", ["{x: 1, y: 2}", "{}"]),
        ("", [""]),
    ],
)
def test_values_are_split_at_commas_outside_of_brackets_and_quotes(text: str, values: list[str]) -> None:
    assert split_values(text) == values


@pytest.mark.parametrize(
    "text", ["train.beta", "train.beta=", "train.beta=1", "train.beta=1,1", "=1,2", "train.beta=1,"]
)
def test_a_factor_has_at_least_two_different_values(text: str) -> None:
    with pytest.raises(RecipeError, match="--vary"):
        varied(text)


def test_a_key_is_called_by_its_last_words_that_tell_it_from_the_others() -> None:
    keys = ["train.beta", "generate.sampling.temperature", "judge.sampling.temperature", "seed"]
    assert list(short_names(keys).values()) == [
        "beta",
        "generate.sampling.temperature",
        "judge.sampling.temperature",
        "seed",
    ]


def two_factors() -> Grid:
    return narrowed(vary(SMOKE, None, TWO, KEYS), None, SEEDS, KEYS)


def test_every_combination_is_an_arm_against_the_first_values() -> None:
    grid = two_factors()
    assert list(grid.arms) == list(SKILLS) and grid.name == "smoke-beta-samples"
    assert grid.contrasts == tuple((arm, "beta=0.1+samples=4") for arm in list(SKILLS)[1:])
    recipes = {cell.arm: load_recipe(grid.base, cell.overrides) for cell in grid.cells()}
    found = {arm: (one.train.beta, one.generate.samples, one.rounds) for arm, one in recipes.items()}
    assert found["beta=0.5+samples=4"] == (0.5, 4, 1) and len(grid.cells()) == 16
    assert factors_of(grid)["beta=0.5+samples=8"] == {"train.beta": "0.5", "generate.samples": "8"}
    assert factors_of(grid).keys() == SKILLS.keys()


def test_what_cannot_be_a_grid_is_refused_before_anything_runs() -> None:
    with pytest.raises(RecipeError, match="unknown key"):
        narrowed(vary(SMOKE, None, ["train.betta=1,2"], ()), None, None, ())
    with pytest.raises(RecipeError, match="is varied twice"):
        vary(SMOKE, None, ["train.beta=1,2", "train.beta=3,4"], ())
    with pytest.raises(RecipeError, match="two arms would be called"):
        vary(SMOKE, None, ["keep.checkpoints=a b,a_b"], ())
    with pytest.raises(RecipeError, match="--seeds"):
        narrowed(two_factors(), None, "0,x", ())


def test_slices_are_every_cell_once() -> None:
    cells = two_factors().cells()
    parts = [slice_of(cells, f"{number}/3") for number in (1, 2, 3)]
    assert sorted(cell.name for part in parts for cell in part) == sorted(cell.name for cell in cells)
    assert slice_of(cells, None) == cells and slice_of(cells, "1/1") == cells
    for wrong in ("0/3", "4/3", "1", "1/0", "a/b", "-1/3"):
        with pytest.raises(RecipeError, match="--slice"):
            slice_of(cells, wrong)


def finish(grid: Grid, places: dict[str, Path]) -> None:
    """Every cell as a run with a planted story, in the place of its slice."""
    for index, cell in enumerate(grid.cells()):
        story = Story((0.35, SKILLS[cell.arm]), seed=10 + cell.seed, gate=4, selection=4, report=40, train=8)
        store = Store(places[str(index % 2)], share=False)
        with store.open_run(cell.name, load_recipe(grid.base, cell.overrides), environment={}) as run:
            _write(run, story)


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("slices")
    finish(two_factors(), {"0": root / "one", "1": root / "two"})
    return root / "one", root / "two"


def outcome_of(slices: tuple[Path, Path]) -> Ablation:
    grid = two_factors()
    return ablation_table(Places(grid, slices[0], [slices[1]]), grid.runs(), grid.contrasts)


def test_a_cell_is_done_where_its_run_came_to_its_end(slices: tuple[Path, Path], tmp_path: Path) -> None:
    grid = two_factors()
    cells = grid.cells()
    places = Places(grid, slices[0], [slices[1]])
    assert places.missing() == []
    assert [places.elsewhere(cell) for cell in cells] == [False, True] * 8
    assert Places(grid, slices[0]).missing() == [cell.name for cell in cells[1::2]]
    half = Store(tmp_path, share=False)
    half.open_run(cells[0].name, load_recipe(grid.base, cells[0].overrides), environment={}).close()
    assert Places(grid, tmp_path).finished(cells[0]) is None


def test_a_run_of_another_recipe_does_not_come_into_the_table(slices: tuple[Path, Path]) -> None:
    other = narrowed(vary(SMOKE, None, TWO, KEYS), None, SEEDS, [*KEYS, "train.nll=0.7"])
    with pytest.raises(DataError, match=r"train\.nll=.*cell has 0\.7"):
        Places(other, slices[0], [slices[1]]).missing()


def selfreward(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "selfreward", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_one_command_brings_slices_together_and_runs_nothing_that_is_done(
    slices: tuple[Path, Path], tmp_path: Path
) -> None:
    command = ["ablate", SMOKE, *KEYS, "--seeds", SEEDS, "--results", tmp_path / "all"]
    command += [part for text in TWO for part in ("--vary", text)]
    also = [part for place in slices for part in ("--also", place)]
    planned = selfreward(*command, "--dry-run", cwd=tmp_path)
    assert planned.returncode == 0 and "16 of 16 cells are owed: at most" in planned.stdout, planned.stderr
    assert "of one cpu-core" in planned.stdout and list(tmp_path.iterdir()) == [], "a dry run starts nothing"
    done = selfreward(*command, *also, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = sorted(path.name for path in (tmp_path / "all").rglob("*"))
    assert made == ["smoke-beta-samples.html", "smoke-beta-samples.json", "smoke-beta-samples.md", "tables"]
    told = json.loads((tmp_path / "all" / "tables" / "smoke-beta-samples.json").read_text())
    assert {row["arm"] for row in told["arms"]} == SKILLS.keys() and all(row["runs"] == 4 for row in told["costs"])
    assert "0 of 16 cells are owed" in selfreward(*command, *also, "--dry-run", cwd=tmp_path).stdout
    for wrong in (["--device", "h100"], ["--dry-run", "--device", "abacus"], ["--slice", "9"]):
        assert selfreward(*command, *wrong, cwd=tmp_path).returncode == 2
    assert selfreward("ablate", "controls", "--name", "x", cwd=tmp_path).returncode == 2


def test_the_page_has_what_is_resolved_forests_heat_map_and_cost(slices: tuple[Path, Path]) -> None:
    outcome, grid = outcome_of(slices), two_factors()
    page = ablation_page("tried", outcome, factors_of(grid))
    resolved = [row for row in outcome.contrasts if row.verdict in ("higher", "lower")]
    assert any(row.arm == "beta=0.5+samples=8" and row.metric == "true_accuracy" for row in resolved)
    assert page.count(" after Holm.</p>") == len(resolved)
    found = [*(row.gain for row in outcome.arms), *(row.difference for row in outcome.contrasts)]
    drawn = [difference for difference in found if difference.unit != ALIKE]
    assert page.count('class="forest s0"') == len(drawn) < len(found)
    heats = re.findall(r'<td class="heat" style="([^"]*)">([^<]*)</td>', page)
    assert len(heats) == 8 and heats[3][0] == "background: color-mix(in srgb, var(--s0) 55%, transparent)"
    (gains,) = ([row[3] for row in table.rows] for table in outcome.tables if table.caption == "true accuracy")
    assert sorted(text for _, text in heats[:4]) == sorted(gains)
    assert "Cost beside gain" in page and page.count('<circle class="dot') >= 4
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page)


def test_arm_names_are_text_and_one_factor_has_no_heat_map(slices: tuple[Path, Path]) -> None:
    grid = two_factors()
    runs = {f"<b>{arm}": cells for arm, cells in list(grid.runs().items())[:2]}
    outcome = ablation_table(Places(grid, slices[0], [slices[1]]), runs, [tuple(runs)[::-1]])
    page = ablation_page("<i>", outcome, {arm: {"train.beta": arm} for arm in runs})
    assert "<b>beta" not in page and "&lt;b&gt;beta" in page and "<i>" not in page and 'id="heat"' not in page


def test_a_forest_puts_values_in_their_order_and_0_where_it_is() -> None:
    rows = [ForestRow(str(v), v, v - 0.1, v + 0.1, 0.05, "", (), v > 0.1) for v in (-0.2, 0.0, 0.3)]
    made = forest("title", ("a", "b"), rows)
    assert made is not None
    drawn = [svg for _, svg in made.rows]
    middles = [float(re.search(r'cx="([\d.]+)"', svg)[1]) for svg in drawn]
    zero = float(re.search(r'class="zero" x1="([\d.]+)"', drawn[0])[1])
    assert middles[0] < middles[1] == zero < middles[2]
    assert [("hollow" in svg) for svg in drawn] == [True, True, False]
    assert all(svg.count('class="effect"') == 2 for svg in drawn)
    assert forest("none", (), [ForestRow("x", None, None, None, None, "")]) is None


def test_a_heat_map_needs_every_combination_and_tells_the_sign_by_the_colour() -> None:
    cells = [("a", "x", 0.2, "+.2"), ("a", "y", -0.1, "-.1"), ("b", "x", None, "–"), ("b", "y", 0.0, "0")]
    made = heat("t", "down", "across", cells)
    assert made is not None and made.columns == ["x", "y"]
    styles = [style for _, row in made.rows for _, style in row]
    assert "--s0) 55%" in styles[0] and "--s1) 28%" in styles[1] and styles[2] == ""
    assert heat("t", "down", "across", cells[:3]) is None
    assert heat("t", "down", "across", [*cells, cells[0]]) is None
    assert heat("t", "down", "across", cells[:2]) is None


def test_a_grid_file_keeps_its_arms_and_may_be_narrowed(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(
        f"base: {SMOKE}\nmodels: [sandbox:seed-0]\nseeds: [0, 1, 2]\narms: {{a: [], b: [train.beta=0.5]}}\n"
    )
    grid = narrowed(load_grid(path), "sandbox:seed-1,sandbox:seed-2", "3", ["rounds=1", "train.beta=0.2"])
    betas = {cell.arm: load_recipe(grid.base, cell.overrides).train.beta for cell in grid.cells()}
    assert betas == {"a": 0.2, "b": 0.5}, "an arm has the last word"
    assert {(cell.model, cell.seed) for cell in grid.cells()} == {("sandbox:seed-1", 3), ("sandbox:seed-2", 3)}


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_in_a_browser_the_page_fits_a_narrow_window_and_says_nothing_to_the_console(
    slices: tuple[Path, Path], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text(ablation_page("tried", outcome_of(slices), factors_of(two_factors())), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--window-size=500,900"]
    picture = tmp_path / "page.png"
    command = [str(CHROMIUM), *flags, f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=False)
    assert picture.stat().st_size > 20_000
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
