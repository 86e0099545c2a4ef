"""keep.checkpoints=needed: what any role of one more round names stays, so that the run can be extended."""

from pathlib import Path

import pytest
from test_measuring import row

from selfreward.commands.environment import environment
from selfreward.commands.run import run
from selfreward.loop import Course, end
from selfreward.progress import Progress
from selfreward.recipe import Recipe
from selfreward.recipe.read import load_recipe
from selfreward.recipe.references import role_references
from selfreward.recipe.shape import keys
from selfreward.records import Judgment
from selfreward.roles.cast import Cast
from selfreward.roles.player import Policy
from selfreward.store.results import Store
from selfreward.tasks.open_source import open_source

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
ENSEMBLE = ("judge.aggregate=ensemble", "judge.aggregate.members=[sandbox,'sandbox@round:1']")
IMPLICIT = ("pairs.score=implicit_reward", "judge.source=none", "meta.enabled=false")


TAUGHT = ("judge.model=reward_model", "judge.reading=scalar")
DEBATE = "judge.question={kind: debate, debater: 'round:1'}"
LABELS = "reward_model.labels.question={kind: debate, debater: 'round:1'}"
NAMED: dict[str, tuple[str, ...]] = {
    "prompts.writer.model": ("prompts.writer.model=round:1",),
    "generate.mix[].model": ("generate.mix=[{model: 'round:1', samples: 2}]",),
    "judge.model": ("judge.model=round:1",),
    "judge.question.debater": (DEBATE,),
    "reward_model.labels.model": (*TAUGHT, "reward_model.labels.model=round:1"),
    "reward_model.labels.question.debater": (*TAUGHT, LABELS),
    "meta.model": ("meta.enabled=true", "meta.model=round:1"),
    "pairs.weights.reference": ("pairs.weights={kind: nrdpo, reference: 'round:1'}",),
    "pairs.score.reference": (*IMPLICIT, "pairs.score.reference=round:1"),
    "pairs.revise.model": ("pairs.rule=revision", "pairs.revise.model=round:1"),
    "pairs.revise.check.model": ("pairs.rule=revision", "pairs.revise.check={model: 'round:1'}"),
    "train.reference": ("train.reference=round:1",),
}
"""Keys that may name a round's policy, with what names round 1's there."""
ALWAYS = {"model.path", "measure.held_out.model", "measure.cohort_judge"}
"""Keys that name no policy of the run but the first, which stays."""


def test_every_key_that_may_name_a_round_keeps_its_weights() -> None:
    assert {key.name for key in keys(Recipe) if key.type.startswith("a model")} == NAMED.keys() | ALWAYS
    for key, told in NAMED.items():
        recipe = load_recipe(SMOKE, ["rounds=4", "meta.enabled=false", *told])
        assert 1 in {reference.number for reference in role_references(recipe)}, key


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ((), set()),
        (("judge.model=round:1",), {1}),
        (("judge.aggregate=ensemble", "judge.aggregate.members=[sandbox,'@round:2']"), {2}),
        (("train.reference=round:3",), {3}),
        (IMPLICIT, {3}),
        (("measure.held_out.model=round:0",), set()),
    ],
)
def test_the_weights_that_a_role_names_stay(
    keys: tuple[str, ...], kept: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five policies, of which the last is the best: 1, 2 and 3 go, but for what is named."""
    recipe = load_recipe(SMOKE, ["keep.checkpoints=needed", "rounds=4", "meta.enabled=false", *keys])
    with Store(tmp_path).open_run("r", recipe, environment=environment(recipe)) as artifacts:
        cast = Cast(recipe, lambda *_: None)
        course = Course(recipe, open_source(recipe), None, artifacts, cast, Progress(style="silent"))
        for number in range(5):
            cast.policies.append(Policy(number, str(number), tmp_path))
            course.measurements.append(row(number, "judge_mean_change", float(number), "selection"))
        discarded: set[int] = set()
        monkeypatch.setattr(artifacts, "discard_weights", discarded.add)
        end(course, 4)
    assert discarded == {1, 2, 3} - kept


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys", [("judge.aggregate=ensemble", "judge.aggregate.members=[sandbox,'sandbox@round:1']"), IMPLICIT]
)
def test_a_run_that_was_pruned_is_extended(keys: tuple[str, ...], tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    small = ["keep.checkpoints=needed", "meta.enabled=false", "prompts.writer.share=0", "prompts.per_round=12", *keys]
    for rounds in (3, 4):
        run(load_recipe(SMOKE, [*small, f"rounds={rounds}"]), store, "r", Progress(style="silent"))
    view = store.existing("r")
    pruned = [number for number in range(5) if (seal := view.seal(number, "checkpoint")) and seal.pruned]
    assert pruned, "something was thrown away, or the test shows nothing"
    assert view.seal(4, "measurements") is not None
    assert keys == IMPLICIT or view.read(4, "judgments", Judgment)
