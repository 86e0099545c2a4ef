"""Weak-to-strong: the confidence loss, what is recovered of a gap, the weaker model, and the grid that tells it."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from test_reward_model import RECIPE, SMALL, SMOKE, learn, preferences, rewards
from training_factory import tiny_policy

from selfreward.commands.ablate import load_grid
from selfreward.commands.run import run
from selfreward.errors import DataError, RecipeError
from selfreward.measuring.stats.nested_difference import nested_paired_difference
from selfreward.measuring.stats.recovered import gap_recovered
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Judgment, Prompt, Response
from selfreward.report.reading import Reading
from selfreward.report.recovered import UNDEFINED, RecoveredRow, pairs_right, recovered_rows, recovered_table
from selfreward.store.results import Store
from selfreward.store.view import RunView
from selfreward.tasks.sandbox.seeds.cache import recipe_of
from selfreward.tasks.sandbox.seeds.names import parse_seed_name
from selfreward.tasks.sandbox.seeds.recipe import SeedRecipe
from selfreward.tasks.verifiers.protocol import load_verifier
from selfreward.training.reward_rows import confidence_at, preference_loss, with_confidence

RECIPES = Path(__file__).parent.parent / "recipes"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"))


def test_the_label_is_partly_the_models_own_word() -> None:
    first, second = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([1.0, 1.0, 0.5])
    label = torch.tensor([0.3, 0.4, 0.9])
    found = with_confidence(first, second, label, 0.25)
    assert found.tolist() == pytest.approx([0.75 * 0.3 + 0.25, 0.75 * 0.4, 0.75 * 0.9 + 0.125])
    assert with_confidence(first, second, label, 0.0).tolist() == pytest.approx(label.tolist())
    turned = with_confidence(second, first, 1 - label, 0.25)
    assert turned.tolist() == pytest.approx((1 - found).tolist()), "a pair that is turned has the same loss"


def test_no_gradient_goes_through_its_own_word() -> None:
    weight = torch.tensor(1.0)
    apart = torch.tensor(0.8, requires_grad=True)
    zero = torch.tensor(0.0)
    preference_loss(apart, zero, with_confidence(apart, zero, torch.tensor(0.2), 0.5), weight, 0.0).backward()
    # d/dz of cross-entropy with a constant target p' = .6
    assert apart.grad is not None and apart.grad.item() == pytest.approx(1 / (1 + math.exp(-0.8)) - 0.6, abs=1e-6)


def test_its_word_grows_along_a_line_and_stays() -> None:
    found = [confidence_at(step, 100, 0.5, 0.1) for step in (0, 1, 5, 10, 11, 99)]
    assert found == pytest.approx([0.0, 0.05, 0.25, 0.5, 0.5, 0.5])


def test_a_sure_student_is_surer_than_its_teacher_and_as_right(start: Path, tmp_path: Path) -> None:
    told = [dataclasses.replace(one, label=0.3 + 0.4 * one.label) for one in preferences(60, "shorter")]
    unseen, mean = preferences(40, "shorter", seed=9), {}
    for confidence in (0.0, 0.5):
        where = tmp_path / str(confidence)
        learn(start, told, where, dataclasses.replace(RECIPE, confidence=confidence))
        found = rewards(where / "out", unseen)
        apart = [(found[one.chosen_id] - found[one.rejected_id]) * (2 * one.label - 1) for one in unseen]
        assert sum(one > 0 for one in apart) / len(apart) > 0.8
        mean[confidence] = sum(map(abs, apart)) / len(apart)
    assert mean[0.5] > mean[0.0] + 0.3


def test_a_stopped_training_with_confidence_goes_on_to_the_same_bytes(start: Path, tmp_path: Path) -> None:
    class StoppedHereError(Exception):
        pass

    def stop(step: int, total: int, loss: float) -> None:
        if step == 5:
            raise StoppedHereError

    recipe = dataclasses.replace(RECIPE, confidence=0.5, confidence_ramp=1.0)
    pairs = preferences(24, "shorter")
    whole = learn(start, pairs, tmp_path / "whole", recipe)
    with pytest.raises(StoppedHereError):
        learn(start, pairs, tmp_path / "stopped", recipe, progress=stop)
    assert learn(start, pairs, tmp_path / "stopped", recipe).digest == whole.digest
    assert learn(start, pairs, tmp_path / "plain").digest != whole.digest


Values = dict[tuple[str, str, str], float]
Three = tuple[Values, Values, Values]


def arms(seed: int, share: float, gap: float = 0.2, prompts: int = 150, models: int = 1) -> Three:
    """Student, weak and ceiling per prompt; the student closes `share` of `gap`. Prompts have their own difficulty."""
    draw = np.random.default_rng(seed)
    levels = (0.5 + share * gap, 0.5, 0.5 + gap)
    found: Three = {}, {}, {}
    hard = draw.normal(0, 0.1, prompts)
    for model in range(models):
        for prompt in range(prompts):
            for arm, level in zip(found, levels, strict=True):
                arm[f"m{model}", "0", f"p{prompt}"] = level + hard[prompt] + draw.normal(0, 0.3)
    return found


def test_the_ratio_is_the_paper_s() -> None:
    student, weak, ceiling = arms(3, 0.5)
    mean = [sum(one.values()) / len(one) for one in (student, weak, ceiling)]
    found = gap_recovered(student, weak, ceiling)
    assert found is not None and found.value == pytest.approx((mean[0] - mean[1]) / (mean[2] - mean[1]))
    itself, truth = gap_recovered(weak, weak, ceiling), gap_recovered(ceiling, weak, ceiling)
    assert itself is not None and itself.value == 0 and truth is not None and truth.value == pytest.approx(1)


@pytest.mark.parametrize(("share", "models"), [(0.0, 1), (0.6, 1), (1.3, 1), (0.6, 5)])
def test_the_interval_holds_what_was_planted(share: float, models: int) -> None:
    held, width = 0, 0.0
    for seed in range(60):
        found = gap_recovered(*arms(seed, share, models=models))
        assert found is not None and found.value is not None and found.low is not None and found.high is not None
        assert found.low < found.value < found.high
        held += found.low <= share <= found.high
        width += found.high - found.low
    assert held >= 53, "95 % of 60 are 57; 53 or fewer happen once in thirty"
    assert width / 60 < 1.5, "an interval that holds everything says nothing"


def test_without_a_gap_there_is_no_number() -> None:
    told = [gap_recovered(*arms(seed, 0.5, gap=0.0)) for seed in range(60)]
    assert sum(one is not None for one in told) <= 6
    student, weak, ceiling = arms(1, 0.5)
    assert gap_recovered(student, ceiling, weak) is None, "a teacher above the ceiling leaves nothing to recover"
    assert gap_recovered({}, {}, {}) is None


SMALLER = ("prompts.per_round=4", "rounds=1", "train.method=none", "measure.report=8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Store:
    where = tmp_path_factory.mktemp("arms")
    keys = [one for one in SMALL if not one.startswith(("train.", "rounds=", "measure.report", "prompts.per"))]
    asked = ["reward_model=null", "judge.model=policy", "judge.reading=verdict"]
    for name, more in (("own", asked), ("told", ["reward_model.labels.source=oracle"]), ("other", ["seed=5"])):
        mine = [one for one in keys if not (name == "own" and one.startswith(("reward_model", "judge.")))]
        arm(where, name, *mine, *SMALLER, *more)
    return Store(where, share=False)


def arm(where: Path, name: str, *keys: str) -> RunView:
    store = Store(where, share=False)
    run(load_recipe(SMOKE, keys), store, name, Progress(style="silent"))
    return store.existing(name)


def test_pairs_that_are_put_right_are_counted_by_prompt(made: Store) -> None:
    view = made.existing("told")
    prompts = {one.id: one for one in view.read(0, "pools", Prompt) if one.pool == "report"}
    scores = {one.response_id: one.score for one in view.read(0, "eval_judgments", Judgment)}
    verifier, by_prompt = load_verifier("sandbox"), {}
    for one in view.read(0, "eval_responses", Response):
        if one.prompt_id in prompts and one.id in scores:  # of equal answers the first is judged
            quality = verifier.check(prompts[one.prompt_id], one.text).quality
            by_prompt.setdefault(one.prompt_id, {}).setdefault(one.text, (quality, scores[one.id]))
    expected = {}
    for name, answers in by_prompt.items():
        cases = list(answers.values())
        right = [
            0.5 if a[1] == b[1] else float((a[1] > b[1]) == (a[0] > b[0]))
            for place, a in enumerate(cases)
            for b in cases[:place]
            if a[0] != b[0]
        ]
        if right:
            expected[name] = sum(right) / len(right)
    found = pairs_right(Reading(view))
    assert expected and found == pytest.approx(expected)


def test_a_grids_arms_are_set_side_by_side_on_the_same_answers(made: Store) -> None:
    grid = {name: {("m", 0): name} for name in ("own", "told")}
    (row,) = recovered_rows(made, grid, [("told", "own", "told")])
    assert [one.prompts for one in row.levels] == [row.levels[0].prompts] * 3
    assert row.recovered is None or row.recovered.value == pytest.approx(1)
    with pytest.raises(DataError, match="and 'other' judged different answers"):
        recovered_rows(made, grid | {"other": {("m", 0): "other"}}, [("told", "own", "other")])


def test_what_is_not_defined_is_said_and_is_no_number() -> None:
    nothing = nested_paired_difference({})
    row = RecoveredRow("s", "w", "c", (nothing, nothing, nothing), nothing, None)
    assert recovered_table([row]).rows[0][-1] == UNDEFINED


def test_a_model_that_was_stopped_has_a_share_of_the_lessons() -> None:
    name = parse_seed_name("sandbox:seed-1+stopped=0.1")
    recipe, plain = recipe_of(name), SeedRecipe(seed=1)
    assert isinstance(recipe, SeedRecipe) and recipe.tokens == pytest.approx(0.1 * plain.tokens, abs=3)
    assert recipe.annotator == plain.annotator and str(name) == "sandbox:seed-1+stopped=0.1"
    for wrong in ("stopped=0", "stopped=1", "stopped=0.1+noise=0.2", "stopped=2"):
        with pytest.raises(RecipeError, match="stopped"):
            parse_seed_name(f"sandbox:seed-1+{wrong}")


def test_the_grid_names_three_arms(tmp_path: Path) -> None:
    grid = load_grid(RECIPES / "grids" / "weak_to_strong.yaml")
    assert ("confidence", "weak", "ceiling") in grid.recovered
    text = (RECIPES / "grids" / "weak_to_strong.yaml").read_text().replace("../weak", f"{RECIPES}/weak")
    for wrong, words in (("[naive, weak]", "student"), ("[naive, weak, nobody]", "expected the arms")):
        path = tmp_path / "grid.yaml"
        path.write_text(text.replace("[naive, weak, ceiling]", wrong))
        with pytest.raises(RecipeError, match=words):
            load_grid(path)


def test_a_ramp_that_nobody_reads_is_refused() -> None:
    with pytest.raises(RecipeError, match="confidence_ramp"):
        load_recipe(RECIPES / "rlaif.yaml", ["reward_model.confidence_ramp=0.3"])
    with pytest.raises(RecipeError, match=r"reward_model\.confidence"):
        build_recipe([], [*SMALL[8:12], "reward_model.confidence=1"])
