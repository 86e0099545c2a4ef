"""The reward model by an adapter and its head."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_reward_model import RECIPE, SMALL, accuracy, learn, preferences
from training_factory import tiny_policy

from selfreward.errors import RecipeError
from selfreward.recipe import LoraRecipe
from selfreward.recipe.read import build_recipe

ADAPTED = dataclasses.replace(RECIPE, lora=LoraRecipe(rank=8, alpha=16), learning_rate=1e-2, epochs=7.0)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"))


def test_an_adapter_and_the_head_learn_and_the_rest_stays(start: Path, tmp_path: Path) -> None:
    report = learn(start, preferences(60, "shorter"), tmp_path, ADAPTED)
    assert report.metrics["first_loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert accuracy(tmp_path / "out", preferences(40, "shorter", seed=9)) > 0.85
    before, after = load_file(start / "model.safetensors"), load_file(tmp_path / "out" / "model.safetensors")
    moved = {name for name, weight in after.items() if name in before and not torch.equal(weight, before[name])}
    assert moved and all(name.split(".")[-2] in ADAPTED.lora.target_modules for name in moved)  # type: ignore[union-attr]
    assert after["score.weight"].abs().max() > 0 and not any("lora" in name for name in after)


def test_a_stopped_training_of_an_adapter_goes_on_to_the_same_bytes(start: Path, tmp_path: Path) -> None:
    class StoppedHereError(Exception):
        pass

    def stop(step: int, total: int, loss: float) -> None:
        if step == 5:
            raise StoppedHereError

    recipe, pairs = dataclasses.replace(ADAPTED, epochs=3.0), preferences(24, "shorter")
    whole = learn(start, pairs, tmp_path / "whole", recipe)
    with pytest.raises(StoppedHereError):
        learn(start, pairs, tmp_path / "stopped", recipe, progress=stop)
    assert learn(start, pairs, tmp_path / "stopped", recipe).digest == whole.digest


def test_an_adapter_of_nothing_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"reward_model\.lora\.target_modules"):
        build_recipe([], [*SMALL[8:12], "reward_model.lora.target_modules=[]"])
    with pytest.raises(RecipeError, match=r"train\.processes asks for several"):
        build_recipe([], [*SMALL[8:12], "reward_model.lora.rank=4", "train.launch=accelerate", "train.processes=2"])
