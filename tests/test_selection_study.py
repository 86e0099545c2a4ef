"""The study of selection: planted runs whose best round, falls and gates are known."""

import dataclasses
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from run_factory import Story, write_run

from selfreward.recipe import GateRule, GatesRecipe
from selfreward.report.reading import Reading
from selfreward.store.results import Store

# By truth: the middle round is the best, the last fell back. By belief: the judge's generosity hides that in `fooled`.
PEAKED = Story((0.3, 0.8, 0.4))
FOOLED = Story((0.3, 0.8, 0.4), (0, 0, 4.5))
RISING = Story((0.3, 0.5, 0.8))
# By one pool's prompts the last two rounds are within an error of each other, the first of them ahead.
LEVEL = Story((0.3, 0.8, 0.75))
GATES = GatesRecipe(rules=[GateRule("score_at_max", above=0.75, action="rollback")])


@pytest.fixture(scope="module")
def study() -> Iterator[ModuleType]:
    path = Path(__file__).parent.parent / "benchmarks"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path))
        yield importlib.import_module("selection")


@pytest.fixture(scope="module")
def runs(study: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("results")
    store = Store(directory, share=False)
    found = {}
    for name, story in {"peaked": PEAKED, "fooled": FOOLED, "rising": RISING, "level": LEVEL}.items():
        view = write_run(store, name, story)
        found[name] = study.study_run(Reading(view), name, "seed-0", GATES)
    return found


def test_regret_is_what_the_chosen_round_lacks_to_the_best_one(runs) -> None:
    peaked, fooled, rising = runs["peaked"], runs["fooled"], runs["rising"]
    assert peaked.chosen["own judge"] == peaked.chosen["own judge, gated"] == 1
    assert [peaked.chosen[rule] for rule in ("last", "first", "start")] == [2, 1, 0]
    assert peaked.regret["own judge"] == 0 and peaked.regret["last"] == pytest.approx(peaked.truth[1] - peaked.truth[2])
    assert peaked.regret["last"] > 0.2 and peaked.regret["start"] > 0.3
    # A judge that became generous is believed; the gate on saturated scores takes the round away from it.
    assert fooled.chosen["own judge"] == 2 and fooled.fired["score_at_max"] == (2,)
    assert fooled.chosen["own judge, gated"] == 1
    assert fooled.regret["own judge, gated"] == 0 < fooled.regret["own judge"]
    assert rising.chosen["own judge"] == 2 and rising.regret["last"] == 0 and rising.fired["score_at_max"] == ()


def test_of_two_rounds_that_are_as_good_the_later_is_taken(runs) -> None:
    level = runs["level"]
    assert (level.chosen["highest by the own judge"], level.chosen["own judge"]) == (1, 2)


def test_a_rule_that_not_every_run_can_be_judged_by_is_in_no_table(study: ModuleType, runs) -> None:
    asked = dataclasses.replace(
        runs["fooled"],
        chosen={**runs["fooled"].chosen, "held-out judge": 1},
        regret={**runs["fooled"].regret, "held-out judge": 0.0},
    )
    for both in ([asked, runs["peaked"]], [runs["peaked"], asked]):
        text = json.dumps([dataclasses.asdict(table) for table in study.tables(both, both)])
        assert "held-out" not in text and "own judge, gated" in text
    alone = study.tables([asked], [])
    assert any("held-out judge minus this" in heading for heading in alone[0].header)


def test_falls_are_found_where_they_were_planted(runs) -> None:
    assert [runs[name].fell for name in ("peaked", "fooled", "rising")] == [(2,), (2,), ()]


def test_the_tables_count_runs(study: ModuleType, runs) -> None:
    every = [runs[name] for name in ("peaked", "fooled", "rising")]
    rows = {row[0].split(":")[0]: row for row in study.regret_table(every, "").rows}
    assert [rows[rule][4] for rule in ("own judge", "own judge, gated", "last")] == ["2 of 3", "3 of 3", "1 of 3"]
    mean = sum(run.regret["last"] for run in every) / 3
    assert float(rows["last"][1].split(" [")[0]) == pytest.approx(mean, abs=0.05)
    fell = study.gate_table(every).rows
    assert fell[0] == ["score_at_max", "1 of 2 (1 by the round of the first fall)", "0 of 1"]
