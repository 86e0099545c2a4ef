"""GPUs that could sample and not train, or not sample at all, are refused before the run, in a sentence."""

from typing import Any

import pytest
import torch

from selfreward.commands.device_checks import check_devices
from selfreward.commands.preflight import preflight
from selfreward.errors import RecipeError, TrainingError
from selfreward.recipe import ModelRecipe
from selfreward.recipe.read import build_recipe
from selfreward.training import session
from selfreward.training.launched import shown_gpus

SPLIT = ("engine.kind=vllm", "engine.tensor_parallel_size=2")
ELSEWHERE = "train.launch=accelerate"
TAUGHT: dict[str, Any] = {"judge": {"model": "reward_model", "reading": "scalar"}, "reward_model": {}}


@pytest.mark.parametrize(
    ("keys", "gpus", "words"),
    [
        (SPLIT, 2, r"2 GPUs are visible, and the policy would be trained.*tensor_parallel_size=1.*launch=accelerate"),
        ((), 4, r"4 GPUs are visible.*first sampling; show it one by CUDA_VISIBLE_DEVICES, or set train\.launch"),
        ((*SPLIT, ELSEWHERE), 1, r"'engine\.tensor_parallel_size' is 2, but GPUs visible to this process are 1"),
        (("model.device=cuda:2", ELSEWHERE), 2, r"'model\.device' is 'cuda:2'.*counted from 0"),
        (("model.device=cuda:1", "engine.replicas=2", ELSEWHERE), 4, r"'cuda:1' and engine\.replicas 2.*spared"),
    ],
)
def test_what_cannot_train_or_sample_is_refused(keys: tuple[str, ...], gpus: int, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        check_devices(build_recipe([], keys), gpus)


@pytest.mark.parametrize(
    ("keys", "gpus"),
    [
        ((), 0),
        ((), 1),
        (SPLIT, 0),
        ((*SPLIT, ELSEWHERE), 2),
        (("model.device=cuda:1", ELSEWHERE), 2),
        (("model.device=cuda:0", "engine.replicas=2", ELSEWHERE), 2),
        ((*SPLIT, "train.method=none"), 2),
    ],
)
def test_what_can_is_not(keys: tuple[str, ...], gpus: int) -> None:
    check_devices(build_recipe([], keys), gpus)


def test_a_reward_model_is_trained_where_the_policy_is() -> None:
    check_devices(build_recipe([TAUGHT], [ELSEWHERE]), 2)
    with pytest.raises(RecipeError, match=r"the policy would be trained.*train\.launch=accelerate"):
        check_devices(build_recipe([TAUGHT]), 2)
    with pytest.raises(RecipeError, match=r"the reward model would be trained.*CUDA_VISIBLE_DEVICES$"):
        check_devices(build_recipe([TAUGHT], ["train.method=none"]), 2)


def test_the_run_is_refused_before_anything_else_where_training_would_refuse_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(RecipeError, match="would be trained in this process"):
        preflight(build_recipe([]))
    with pytest.raises(TrainingError, match="2 GPUs are visible"):
        session.device_name(ModelRecipe())


@pytest.mark.parametrize(
    ("device", "visible", "shown"),
    [
        ("auto", None, "0"),
        ("cuda:1", None, "1"),
        ("cuda", "3,5", "3"),
        ("cuda:1", "3, 5", "5"),
        ("auto", "GPU-a1,GPU-b2", "GPU-a1"),
    ],
)
def test_a_training_process_is_shown_one_gpu(device: str, visible: str | None, shown: str) -> None:
    assert shown_gpus(device, visible) == shown
