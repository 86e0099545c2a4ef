"""What a round is measured against, what must not be trained on, and that a rejected round is no start for another."""

from pathlib import Path
from typing import Any

import pytest

from selfreward.commands.environment import environment
from selfreward.commands.run import run
from selfreward.loop import Course, end
from selfreward.measuring.measure import Measuring
from selfreward.measuring.verdicts import verdict
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Measurement, Rows
from selfreward.roles.cast import Cast
from selfreward.roles.player import Policy
from selfreward.roles.round import Round
from selfreward.store.results import Store
from selfreward.store.run import Work
from selfreward.tasks.open_source import open_source

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SMALL = ("meta.enabled=false", "prompts.writer.share=0", "prompts.per_round=16", "train.learning_rate=2e-3")


def test_previous_is_the_round_before_and_initial_is_round_0(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run(load_recipe(SMOKE, SMALL), store, "moved", Progress(style="silent"))
    view = store.existing("moved")
    for metric in ("judge_tau", "self_judged_win_rate", "kl_{}_k3_token"):
        named = metric if "{}" in metric else metric + "_{}"
        values = [
            {
                row.metric: row.value
                for row in view.read(number, "measurements", Measurement)
                if row.pool in ("report", "frozen") and row.cohort == "all"
            }
            for number in (1, 2)
        ]
        first, second = ((found[named.format("previous")], found[named.format("initial")]) for found in values)
        assert first[0] == first[1] is not None, f"{metric}: before round 1 there is round 0 only"
        assert second[0] != second[1], f"{metric}: before round 2 there are two policies, and they differ"


def test_prompts_of_cohorts_are_among_those_that_are_measured_on() -> None:
    cohorts: dict[str, Any] = {"measure": {"cohorts": {"letters": {"source": "own:arithmetic"}}}}
    recipe = build_recipe([cohorts])

    class Unsealed(Round):
        def complete(self, work: Work[Any, Any]) -> Rows[Any]:
            return Rows([row for index, chunk in enumerate(work.chunks) for row in work.compute(chunk, index)])

    cast = Cast(recipe, lambda *_: None)
    round = Unsealed(0, recipe, cast, None, open_source(recipe), None, Progress(style="silent"))  # type: ignore[arg-type]
    measuring = Measuring()
    measuring.begin(round)
    pools = {prompt.id for prompt in measuring.pools}
    beside = [prompt for prompt in measuring.prompts() if prompt.id not in pools]
    asked = recipe.measure.gate + recipe.measure.selection + recipe.measure.report
    assert len(pools) == asked > 0 and beside and {prompt.cohort for prompt in beside} == {"letters"}


def row(number: int, metric: str, value: float, pool: str) -> Measurement:
    return Measurement(number, "p", metric, "all", pool, value, value - 0.01, value + 0.01, 100, 0, "")


@pytest.mark.parametrize(("action", "start"), [("rollback", 0), ("warn", 2)])
def test_a_round_that_was_rolled_back_is_no_start_for_a_later_one(tmp_path: Path, action: str, start: int) -> None:
    recipe = load_recipe(SMOKE, [f"gates.rules=[{{metric: length_tokens, above: 0.5, action: {action}}}]", "rounds=3"])
    with Store(tmp_path).open_run("gated", recipe, environment=environment(recipe)) as artifacts:
        cast = Cast(recipe, lambda *_: None)
        course = Course(recipe, open_source(recipe), None, artifacts, cast, Progress(style="silent"))
        # The judge likes every round better than the one before, which the gate does not let count.
        for number in range(3):
            course.measurements += [
                row(number, "judge_mean", 3.0 + number, "selection"),
                row(number, "judge_mean_change", float(number), "selection"),
                row(number, "length_tokens", 9.0, "gate"),
            ]
        for number in (1, 2):
            verdict(course.round(number), course.measurements, course.rejected)
        assert cast.start_of(3) == start


@pytest.mark.parametrize(("select_by", "best"), [("judge", 2), ("held_out", 1)])
def test_the_judge_that_selects_says_where_a_rollback_starts_and_which_weights_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, select_by: str, best: int
) -> None:
    keys = ["gates.rules=[{metric: length_tokens, above: 9.5, action: rollback}]", "keep.checkpoints=needed"]
    keys += ["rounds=4", f"gates.select_by={select_by}", "measure.held_out.model=sandbox:seed-1"]
    recipe = load_recipe(SMOKE, keys)
    with Store(tmp_path).open_run("two", recipe, environment=environment(recipe)) as artifacts:
        cast = Cast(recipe, lambda *_: None)
        course = Course(recipe, open_source(recipe), None, artifacts, cast, Progress(style="silent"))
        for number, (own, other) in enumerate([(0.0, 0.5), (0.2, 0.8), (0.9, 0.6), (1.5, 0.9)]):
            cast.policies.append(Policy(number, str(number), tmp_path))
            course.measurements += [
                row(number, "judge_mean_change", own, "selection"),
                row(number, "held_out_win_rate_initial", other, "selection"),
                row(number, "length_tokens", 9.0 + (number == 3), "gate"),
            ]
            if number:
                verdict(course.round(number), course.measurements, course.rejected)
        assert cast.start_of(4) == best
        discarded: list[int] = []
        monkeypatch.setattr(artifacts, "discard_weights", discarded.append)
        end(course, 3)
        assert discarded == [3 - best]
