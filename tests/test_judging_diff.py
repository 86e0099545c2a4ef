"""judge-diff: planted changes are found, a judge against itself changes nothing, and the command reports it."""

import json
import random

import numpy as np
import pytest
from judging_factory import prompt, response
from sklearn.metrics import cohen_kappa_score
from test_judging_loop import go
from typer.testing import CliRunner

from selfreward.commands.cli import app
from selfreward.commands.judge_diff import changed_recipe, difference, judge_diff
from selfreward.commands.judge_diff_text import lines
from selfreward.errors import RecipeError
from selfreward.records import Labelled


def pool(prompts=60, each=3):
    return [
        Labelled(prompt(f"p{number}"), response(f"p{number}.{place}", f"p{number}"), float(place))
        for number in range(prompts)
        for place in range(each)
    ]


def test_the_same_reading_changes_nothing():
    frozen, rng = pool(), random.Random(0)
    scores = {row.id: float(rng.randint(0, 5)) for row in frozen}
    found = difference(scores, dict(scores), frozen)
    assert found.agreement.value == pytest.approx(1.0) == found.kappa.value and found.mean_change.value == 0.0
    assert (found.changed, found.flipped, found.tied, found.untied) == (0, 0, 0, 0)


def test_agreement_and_kappa_are_sklearns_and_the_change_is_the_mean():
    frozen, rng = pool(), random.Random(1)
    before = {row.id: float(rng.randint(0, 5)) for row in frozen}
    after = {name: float(min(5, max(0, score + rng.choice([-1, 0, 0, 1, 1])))) for name, score in before.items()}
    found = difference(before, after, frozen)
    one, other = [int(before[row.id]) for row in frozen], [int(after[row.id]) for row in frozen]
    assert found.kappa.value == pytest.approx(cohen_kappa_score(one, other, weights="quadratic", labels=range(6)))
    assert found.agreement.value == pytest.approx(np.mean(np.equal(one, other)))
    assert found.mean_change.value == pytest.approx(np.mean(np.subtract(other, one)))
    assert found.kappa.low < found.kappa.value < found.kappa.high


def test_pairs_are_of_one_prompt_and_joined_by_id():
    frozen = pool(prompts=2)
    before = {"p0.0": 1.0, "p0.1": 2.0, "p0.2": 2.0, "p1.0": 0.0, "p1.1": 5.0}
    after = {"p0.0": 3.0, "p0.1": 2.0, "p0.2": 3.0, "p1.0": 4.0, "p1.1": 4.0, "p1.2": 9.0}
    found = difference(before, dict(reversed(after.items())), frozen[::-1])
    # p0: 0-1 flips, 0-2 becomes a tie, the tie 1-2 is decided; p1: 0-1 becomes a tie, 2 was not read before.
    assert (found.answers, found.pairs, found.flipped, found.tied, found.untied) == (5, 4, 1, 2, 1)


def test_nothing_in_common_is_no_number():
    found = difference({"p0.0": 1.0}, {"p0.1": 1.0}, pool())
    assert found.answers == 0 and found.kappa.value is None and found.mean_change.value is None


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    return go(tmp_path_factory.mktemp("results"), "small", "measure.frozen=45")


def test_a_run_is_judged_again_and_nothing_in_it_is_touched(view):
    before = sorted((path.name, path.stat().st_mtime_ns) for path in view.path.rglob("*.jsonl"))
    found = judge_diff(view, 1, ["reading=rationale"])
    assert found.difference.answers > 40 and found.noise is not None
    assert found.second.templates[0].endswith("+hybrid")
    assert found.difference.kappa.value > 0.5
    assert [abs(item.after - item.before) for item in found.largest] == sorted(
        (abs(item.after - item.before) for item in found.largest), reverse=True
    )
    assert sorted((path.name, path.stat().st_mtime_ns) for path in view.path.rglob("*.jsonl")) == before
    assert any("kappa" in line for line in lines(found))


def test_two_versions_beside_the_runs_own(view):
    found = judge_diff(view, 0, ["aggregate.samples=1"], against=["reading.sampling.temperature=1.2"], again=False)
    assert found.noise is None and found.difference.answers > 40


def test_the_same_version_twice_and_foreign_keys_are_refused(view):
    with pytest.raises(RecipeError, match="the same"):
        judge_diff(view, 0, [])
    with pytest.raises(RecipeError, match=r"leave out 'judge\.'"):
        changed_recipe(view.recipe(), ["judge.aggregate.samples=1"])
    with pytest.raises(RecipeError, match="unknown key"):
        changed_recipe(view.recipe(), ["sample=1"])


def test_the_command_prints_and_writes(view, tmp_path):
    out = tmp_path / "diff.json"
    arguments = ["judge-diff", "small", "--results", str(view.path.parent), "--round", "1", "reading=rationale"]
    result = CliRunner().invoke(app, [*arguments, "--no-again", "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0 and "second against first" in result.output
    assert json.loads(out.read_text())["difference"]["answers"] > 40
