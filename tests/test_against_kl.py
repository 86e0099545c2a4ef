"""Arms against KL: values by round, change for each nat, and the first round of every signal, of planted runs."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from small_keys import HARDLY_MEASURED
from test_reward_model import SMOKE

from selfreward.commands.ablate import load_grid
from selfreward.commands.run import run
from selfreward.errors import RecipeError
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.records import Measurement
from selfreward.report.ablation import ablation_table
from selfreward.report.against_kl import (
    HELD_OUT,
    OVERRATES,
    TRUTH,
    Course,
    _per_unit,
    _rounds,
    _slope,
    _speakers,
    course,
)
from selfreward.report.reading import Reading
from selfreward.store.results import Store

GRIDS = Path(__file__).parent.parent / "recipes" / "grids"


def planted(moved: Mapping[int, float], lengths: Mapping[int, float], **spoke: int) -> Course:
    return Course(moved, {"length_tokens": lengths}, spoke)


FAST = planted({0: 0.0, 1: 0.1, 2: 0.4}, {0: 10, 1: 14, 2: 30}, alarm=1)
SLOW = planted({0: 0.0, 1: 0.1, 2: 0.2}, {0: 10, 1: 11, 2: 14}, alarm=2)


def test_a_change_is_divided_by_what_the_policy_moved() -> None:
    assert _slope(FAST, "length_tokens") == pytest.approx(20 / 0.4)
    assert _slope(SLOW, "length_tokens") == pytest.approx(4 / 0.2)
    assert _slope(planted({0: 0.0, 1: 0.0}, {0: 1.0, 1: 2.0}), "length_tokens") is None, "a policy that stood still"
    assert _slope(planted({0: 0.0}, {0: 1.0}), "length_tokens") is None
    table = _per_unit({"both": {("m", 0): FAST, ("m", 1): SLOW}, "one": {("m", 0): FAST}}, ["length_tokens"])
    assert table.rows[0][1] == "2" and table.rows[0][2].startswith("+35") and "[" in table.rows[0][2]
    assert table.rows[1][2].startswith("+50") and "[" not in table.rows[1][2], "one run has no interval"


def test_no_interval_leaves_the_scale_of_its_metric() -> None:
    sure = Course({0: 0.0, 1: 0.1}, {"true_accuracy": {0: 0.5, 1: 0.9}}, {})
    doubtful = Course({0: 0.0, 1: 0.9}, {"true_accuracy": {0: 0.5, 1: 0.6}}, {})
    (_, last) = _rounds({"both": {("m", 0): sure, ("m", 1): doubtful}}, ["true_accuracy"]).rows
    assert last[3].startswith("0.5 [0") and last[4].endswith(", 1.0]"), last


def test_every_round_stands_with_its_kl() -> None:
    rows = _rounds({"a": {("m", 0): FAST, ("m", 1): SLOW}}, ["length_tokens"]).rows
    assert [row[1] for row in rows] == ["0", "1", "2"]
    assert rows[0][3] == "0.000" and "[" in rows[1][3], "the start policy is where it is, in every run"
    assert float(rows[2][3].split()[0]) == pytest.approx(0.3)
    assert float(rows[1][4].split()[0]) == pytest.approx(12.5, abs=0.6)


def test_who_speaks_is_told_with_round_and_kl_and_who_does_not_with_how_far() -> None:
    quiet = planted({0: 0.0, 1: 0.7}, {0: 1.0, 1: 1.0})
    rows = {row[1]: row for row in _speakers({"a": {("m", 0): FAST, ("m", 1): SLOW, ("m", 2): quiet}}).rows}
    assert rows["alarm"][2:] == ["2 of 3", "1.5 (1 to 2)", "0.150", "up to KL 0.700"]
    for name in (TRUTH, OVERRATES, HELD_OUT):
        assert rows[name][2] == "0 of 3" and rows[name][5] == "up to KL 0.700"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("runs"), share=False)
    rule = "gates.rules=[{metric: kl_initial_k3_token, above: -1, pool: gate}]"
    keys = ("meta.enabled=false", "prompts.writer.share=0", "prompts.per_round=8", *HARDLY_MEASURED, rule)
    run(load_recipe(SMOKE, keys), store, "one", Progress(style="silent"))
    return store


def test_a_run_is_read_round_by_round(made: Store) -> None:
    reading = Reading(made.existing("one"))
    found = course(reading, ["length_tokens", "true_accuracy"])
    rows = made.existing("one").read(2, "measurements", Measurement)
    (kl,) = [row.value for row in rows if row.metric == "kl_initial_k3_token" and row.pool == "report"]
    assert found.moved[0] == 0 and found.moved[2] == kl and set(found.values["length_tokens"]) == {0, 1, 2}
    gates = {name: number for name, number in found.spoke.items() if name.startswith("gate:")}
    assert list(gates.values()) == [1], "a limit below any KL is crossed at once"
    assert reading.rounds == [0, 1, 2], "looking at a part of the run leaves the run as it is"


def test_the_tables_come_with_the_grids_own(made: Store) -> None:
    grid = {"arm": {("m", 0): "one"}}
    outcome = ablation_table(made, grid, [], (), ["length_tokens"])
    assert [table.caption for table in outcome.tables][-3:] == [
        "Against KL, round by round",
        "Change from round 0 to the last, for each nat of KL",
        "Who speaks, and when",
    ]
    assert "Who speaks" in outcome.markdown() and "Who speaks" not in ablation_table(made, grid, []).markdown()


@pytest.mark.parametrize("name", ["overoptimisation", "rl_under_dials"])
def test_the_grids_that_ask_for_it_load_and_fit_in_their_minutes(name: str, tmp_path: Path) -> None:
    grid = load_grid(GRIDS / f"{name}.yaml")
    assert grid.against_kl and len(grid.cells()) <= 8
    path = tmp_path / "grid.yaml"
    text = (GRIDS / f"{name}.yaml").read_text().replace("base: ..", f"base: {GRIDS.parent}")
    path.write_text(text.replace("against_kl: [", "against_kl: [nothing, "))
    with pytest.raises(RecipeError, match="against_kl names 'nothing'"):
        load_grid(path)
