"""Can the GPUs of this machine do what the recipe asks of them? Asked before anything is sampled.

A policy is trained by one process on one GPU. TRL would spread a process that sees several over all of them, so
training refuses that; found there, it would cost the hours of sampling before it. `train.launch: accelerate` trains in
a process that is shown one GPU, whatever vLLM was split over, or in train.processes on as many. A reward model is
trained where the policy is.
"""

import os

from selfreward.engines.fleet.runtime import ADDRESS
from selfreward.errors import RecipeError
from selfreward.recipe import Recipe, Steps, VllmRecipe, replicas_of


def check_devices(recipe: Recipe, gpus: int) -> None:
    """Raise RecipeError where `gpus` visible GPUs cannot sample or train as the recipe says; 0 on a CPU."""
    if not gpus:
        return
    split = recipe.engine.tensor_parallel_size if isinstance(recipe.engine, VllmRecipe) else 1
    if split > gpus:
        raise RecipeError(
            f"key 'engine.tensor_parallel_size' is {split}, but GPUs visible to this process are {gpus}; expected at "
            f"most {gpus}; lower it, or show more by CUDA_VISIBLE_DEVICES"
        )
    replicas = replicas_of(recipe.engine)
    if replicas * split > gpus and replicas > 1 and not os.environ.get(ADDRESS):
        raise RecipeError(
            f"key 'engine.replicas' is {replicas}, each on {split} GPUs of its own, but GPUs visible to this process "
            f"are {gpus}; lower it, show more by CUDA_VISIBLE_DEVICES, or join several machines by RAY_ADDRESS"
        )
    number = recipe.model.device.partition(":")[2]
    if number and int(number) >= gpus:
        raise RecipeError(
            f"key 'model.device' is {recipe.model.device!r}, but GPUs visible to this process are {gpus}, counted from "
            "0; set it to cuda, and choose the GPU by CUDA_VISIBLE_DEVICES"
        )
    if int(number or "0") and replicas > 1:
        raise RecipeError(
            f"key 'model.device' is {recipe.model.device!r} and engine.replicas {replicas}: Ray gives a replica any "
            "GPU, GPU 0 too, so none would be spared; expected cuda with CUDA_VISIBLE_DEVICES naming those to use"
        )
    processes = recipe.train.processes if isinstance(recipe.train, Steps) else 1
    if int(number or "0") + processes > gpus:
        raise RecipeError(
            f"key 'train.processes' is {processes}, each on a GPU of its own from {recipe.model.device!r} on, but GPUs "
            f"visible to this process are {gpus}; lower it, or show more by CUDA_VISIBLE_DEVICES"
        )
    trained = _trained_here(recipe)
    if gpus > 1 and trained:
        alone = "set engine.tensor_parallel_size=1 and show it" if split > 1 else "show it"
        launch = isinstance(recipe.train, Steps)
        elsewhere = ", or set train.launch=accelerate, which trains on one of them" if launch else ""
        raise RecipeError(
            f"{gpus} GPUs are visible, and {trained} would be trained in this process, which can train on one only: "
            f"the run would end after its first sampling; {alone} one by CUDA_VISIBLE_DEVICES{elsewhere}"
        )


def _trained_here(recipe: Recipe) -> str:
    """What this process itself would train, in words."""
    if isinstance(recipe.train, Steps):
        return "the policy" if recipe.train.launch == "in_process" else ""
    return "the reward model" if recipe.reward_model is not None else ""
