"""What every trainer needs around its loss: the start model, TRL's arguments, and how it goes on."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PrinterCallback
from transformers.utils import logging as transformers_logging

from selfreward.engines.chat import load_renderer
from selfreward.engines.checkpoints import cannot_load
from selfreward.engines.hugging_face.recomputation import RECOMPUTATION
from selfreward.errors import StoreError, TrainingError
from selfreward.recipe import ModelRecipe, Steps
from selfreward.training import full_precision, ranks, sharded
from selfreward.training.adapters import merged
from selfreward.training.saved_steps import last_whole_step


def be_quiet() -> None:
    """No bars, no advice, no telemetry, no look at the hub: a run prints its own progress."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    # peft asks transformers by a name that transformers has renamed; nothing that a user could do about it.
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
    for name in ("trl", "accelerate", "peft", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)


def device_name(model: ModelRecipe) -> str:
    """Where to train. Raises TrainingError where TRL would spread one process over several devices."""
    if ranks.world() > 1 and device_type(model) != "cpu":
        return f"cuda:{ranks.local()}"
    name = model.device if model.device != "auto" else device_type(model)
    if name != "cpu" and torch.cuda.device_count() > 1:
        raise TrainingError(
            f"model.device is {model.device!r} and {torch.cuda.device_count()} GPUs are visible; expected one; set "
            "CUDA_VISIBLE_DEVICES to the one to train on"
        )
    return name


def device_type(model: ModelRecipe) -> str:
    """cpu, cuda or another kind of device."""
    if model.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return model.device.partition(":")[0]


def load_start(start: Path, model: ModelRecipe) -> tuple[Any, Any]:
    """The policy that training starts from, in the recipe's dtype and without dropout, and its tokenizer."""
    options = {"local_files_only": True, "trust_remote_code": model.trust_remote_code}
    try:
        policy = AutoModelForCausalLM.from_pretrained(start, dtype=getattr(torch, model.dtype), **options)
        tokenizer = AutoTokenizer.from_pretrained(start, **options)
    except (OSError, ValueError) as problem:
        raise cannot_load(start, "its model", problem) from problem
    rows = _embeddings(policy)
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id >= rows:
        # Any token will do that has an embedding: padding is masked.
        tokenizer.pad_token = tokenizer.eos_token
    # Only end-of-turn tokens are read of it; transformers would refuse to save weights beside contradictory advice.
    policy.generation_config = without_advice(policy.generation_config)
    without_dropout(policy)
    return policy, tokenizer


def without_dropout(policy: Any) -> None:
    """Layers hold their dropout as a module or as a plain number; the configuration keeps what its author wrote."""
    for module in policy.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name, value in vars(module).items():
            if name.endswith("dropout") and isinstance(value, float):
                setattr(module, name, 0.0)


def _embeddings(policy: Any) -> int:
    return int(policy.get_input_embeddings().weight.shape[0])


def without_advice(settings: Any) -> Any:
    """A generation_config with its token ids alone."""
    return GenerationConfig(
        **{name: getattr(settings, name, None) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    )


def end_tokens(start: Path, model: ModelRecipe) -> set[int]:
    """Every token that may end a turn, as the engine counts them: what it calls finished can be trained on."""
    return set(load_renderer(start, model).end_ids)


def arguments(recipe: Steps, model: ModelRecipe, scratch: Path, seed: int, threads: int) -> dict[str, Any]:
    """Keyword arguments that DPOConfig and SFTConfig share; TrainingArguments know all but `max_length`."""
    torch.set_num_threads(threads)
    share = recipe.batch_size // ranks.world()
    micro = recipe.micro_batch_size or default_micro_batch(share)
    return {
        "output_dir": str(scratch),
        "seed": seed,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": share // micro,
        # Every weight is used in every pass; looking for others would cost a walk over the graph.
        "ddp_find_unused_parameters": False if ranks.world() > 1 else None,
        # The order of all epochs is drawn beforehand (`training_order`) and read from front to back.
        "num_train_epochs": 1,
        "train_sampling_strategy": "sequential",
        "remove_unused_columns": False,
        "learning_rate": recipe.learning_rate,
        "adam_beta1": 0.9,
        "adam_beta2": 0.98,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "max_length": None,
        RECOMPUTATION: recipe.gradient_checkpointing,
        # The older kind would lose the gradient of an adapter, whose input needs none.
        f"{RECOMPUTATION}_kwargs": {"use_reentrant": False} if recipe.gradient_checkpointing else None,
        "bf16": model.dtype == "bfloat16",
        "fp16": model.dtype == "float16",
        "use_cpu": device_name(model) == "cpu",
        "logging_steps": 1,
        # A loss that is not finite must stop the run, not be replaced by an average.
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": recipe.save_steps,
        "save_total_limit": 2,
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


def default_micro_batch(batch_size: int) -> int:
    """The largest divisor of `batch_size` up to 8: rows of one length together cost less padding, and less memory."""
    return max(size for size in range(1, min(8, batch_size) + 1) if batch_size % size == 0)


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """A disk that is full or read-only as the StoreError it is: torch and safetensors raise types of their own."""
    try:
        yield
    except (RuntimeError, SafetensorError) as problem:
        # torch's own writer says that it failed, not why; any other RuntimeError is not about the disk.
        if not any(words in str(problem) for words in ("PytorchStreamWriter", "inline_container", "I/O error")):
            raise
        raise StoreError(f"{directory}: cannot be written ({problem}); free space there or permit it") from problem


def refuse_not_finite(loss: torch.Tensor, step: int, rows: str) -> None:
    """Raise TrainingError naming the step and the rows whose loss is not finite."""
    if not bool(torch.isfinite(loss)):
        raise TrainingError(
            f"step {step + 1}: the loss is {loss.item()}; expected a finite number; {rows}; "
            "lower train.learning_rate or look at these rows"
        )


def lift(policy: Any, start: Path, recipe: Steps, model: ModelRecipe) -> None:
    """Give the `policy` that was loaded from `start` the weights that steps are added to."""
    if not recipe.lora:
        policy.float()
        if full_precision.kept(recipe, model):
            full_precision.restore(policy, start, getattr(torch, model.dtype))


def run(
    trainer: Any, start: Path, scratch: Path, recipe: Steps, model: ModelRecipe
) -> tuple[Any, list[dict[str, float]]]:
    """Train from the last whole step in `scratch`, or from `start`; the trained plain model and every step's log.

    Weights are trained in float32 under autocast, because a step in half precision rounds most updates away; an
    adapter has its own float32 weights, and the policy's are added to in float32 after the last step.
    """
    dtype = getattr(torch, model.dtype)
    keeps = full_precision.kept(recipe, model)
    lift(trainer.model, start, recipe, model)
    trainer.remove_callback(PrinterCallback)
    step = last_whole_step(scratch)
    twin = sharded.twin(trainer.model) if trainer.is_fsdp_enabled else None
    with writing(scratch):
        trainer.train(resume_from_checkpoint=str(step) if step else None)
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    if twin is None:
        trained = trainer.accelerator.unwrap_model(trainer.model)
    else:
        trained = sharded.filled(twin, trainer.accelerator.get_state_dict(trainer.model))
    if recipe.lora:
        trained = trained.float()
        if keeps:
            full_precision.restore(trained, start, dtype)
        trained = merged(trained)
    if keeps and ranks.first():
        with writing(scratch):
            full_precision.keep(trained, scratch)
    return (trained if twin is None else trained.to(trainer.args.device)).to(dtype), history
