"""train.gradient_checkpointing: activations are computed twice, and the weights are those of keeping them."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from small_keys import HARDLY_MEASURED
from training_factory import CPU, SHORT, random_pairs, random_samples, tiny_policy, with_reference
from transformers.models.llama.modeling_llama import LlamaAttention

from selfreward.commands.plan.plan import Assumptions, plan
from selfreward.commands.plan.roofline import DEVICES
from selfreward.commands.plan.shapes import NAMED
from selfreward.commands.plan.workload import Lengths
from selfreward.commands.run import run
from selfreward.progress import Progress
from selfreward.recipe import LoraRecipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.store.results import Store
from selfreward.training.policy_gradient import train_policy_gradient
from selfreward.training.preference import train_preferences
from selfreward.training.supervised import train_supervised

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"))


@contextmanager
def counted() -> Iterator[list[bool]]:
    """One entry for every pass through the attention of a layer: whether it will be gone through backwards."""
    passes: list[bool] = []

    def count(module: torch.nn.Module, _: Any) -> None:
        if isinstance(module, LlamaAttention):
            passes.append(torch.is_grad_enabled())

    handle = torch.nn.modules.module.register_module_forward_pre_hook(count)
    try:
        yield passes
    finally:
        handle.remove()


def trained(kind: str, start: Path, where: Path, again: bool, **keys: Any) -> str:
    recipe = dataclasses.replace(SHORT, epochs=1.0, gradient_checkpointing=again, **keys)
    told: dict[str, Any] = {"model": CPU, "seed": 1, "out": where / "out", "scratch": where / "scratch"}
    if kind == "samples":
        return train_policy_gradient(start, random_samples(start, 16), recipe, loss={}, **told).digest
    pairs = with_reference(random_pairs(16), start)
    if kind == "texts":
        shown = [(pair.prompt_token_ids, pair.chosen_token_ids) for pair in pairs]
        return train_supervised(start, shown, recipe, **told).digest
    return train_preferences(start, pairs, recipe, reference_is_start=True, **told).digest


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("pairs", {}),
        ("pairs", {"lora": LoraRecipe(rank=2, alpha=4)}),
        ("pairs", {"prefix_sharing": "always"}),
        ("samples", {}),
        ("texts", {}),
    ],
    ids=["pairs", "adapter", "shared prefixes", "samples", "texts"],
)
def test_layers_are_gone_through_twice_and_the_weights_are_the_same(
    kind: str, keys: dict[str, Any], start: Path, tmp_path: Path
) -> None:
    digests, passes = [], []
    for again in (False, True):
        with counted() as found:
            digests.append(trained(kind, start, tmp_path / str(again), again, **keys))
        passes.append(sum(found))
    assert digests[0] == digests[1]
    assert passes[1] == 2 * passes[0] > 0


def test_a_run_that_ran_out_of_memory_may_switch_it_on_and_go_on(tmp_path: Path) -> None:
    """It is not what the checkpoint was made from, so sealed rounds stand."""
    store = Store(tmp_path / "results")
    recipe = ["rounds=1", "meta.enabled=false", *HARDLY_MEASURED]
    path = run(load_recipe(SMOKE, recipe), store, "one", Progress(style="silent"))
    sealed = (path / "round-01" / "checkpoint.done.json").read_bytes()
    run(load_recipe(SMOKE, [*recipe, "train.gradient_checkpointing=true"]), store, "one", Progress(style="silent"))
    assert (path / "round-01" / "checkpoint.done.json").read_bytes() == sealed


def test_the_plan_keeps_the_inputs_of_all_layers_and_all_of_one() -> None:
    def activations(*keys: str) -> float:
        recipe = build_recipe([], ["train.micro_batch_size=1", "train.max_length=2048", *keys])
        made = plan(recipe, NAMED["llama-3-8b"], DEVICES["h100"], Assumptions(Lengths()))
        return next(phase.parts["activations"] for phase in made.phases if phase.name == "training")

    kept, again = activations(), activations("train.gradient_checkpointing=true")
    shape = NAMED["llama-3-8b"]
    one_layer = kept / shape.layers
    inputs = again - one_layer
    assert inputs == pytest.approx(one_layer * shape.layers * shape.hidden / (6 * 4096 + 4 * 14336 + 2 * 128 * 40))
    assert again < kept / 10
