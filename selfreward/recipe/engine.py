"""Where text comes from: one variant of `engine` for each kind of engine."""

from typing import Annotated, Literal

from pydantic import Field

from selfreward.recipe.section import Section, keyed, needed, section, setting


@section
class EngineBase(Section):
    """What every engine reads. `batch_tokens` bounds one forward batch, padding included.

    `chunk` is the number of replies that are sampled, written and, after a kill, recomputed together, where these are
    not more than `chunk_tokens` at their limits. Null is twice `batch_tokens` for the transformers engine, which has
    full batches then (two minutes of a 135 M model on two cores), and no bound for others, which fill theirs from many
    replies.
    """

    threads: int = setting(1, "threads of the processor", minimum=1, maximum=1024)
    batch_tokens: int = setting(24_576, "tokens of one forward batch, padding included", minimum=64)
    chunk: int = setting(768, "replies that are sampled and written together", minimum=1)
    chunk_tokens: int | None = setting(None, "tokens of them at most; null follows from the engine", minimum=1)
    max_length: int | None = setting(None, "tokens of the longest request; null: what the model can", minimum=8)


@section
class TransformersRecipe(EngineBase):
    """The library transformers, in this process, or in `replicas` others, whose rows are the same."""

    kind: Literal["transformers"] = "transformers"
    replicas: int = setting(
        1, "engines like this one, by Ray, each on a device of its own", minimum=1, horizon=True, later=True
    )


@section
class VllmRecipe(EngineBase):
    """vLLM. What is null follows from the device, see engines/vllm/settings.py.

    `in_process` keeps vLLM in this process instead of one of its own. `memory_share` is of the whole device on a GPU,
    of what is free on a CPU (for the key-value cache alone). `sleep` frees the GPU while the policy is trained. The
    longest request is bounded by `max_length`.
    """

    kind: Literal["vllm"] = "vllm"
    in_process: bool = setting(False, "keep vLLM in this process")
    max_num_seqs: int | None = setting(None, "sequences at the same time", minimum=1)
    memory_share: float | None = setting(None, "share of the memory that it takes", above=0, below=1)
    tensor_parallel_size: int = setting(1, "GPUs over which the model is split", minimum=1)
    enforce_eager: bool | None = setting(None, "do without CUDA graphs and compilation")
    block_size: int | None = setting(None, "tokens of a block of the key-value cache", minimum=1)
    sleep: bool = setting(True, "free the GPU while the policy is trained")
    replicas: int = setting(1, "engines like this one, by Ray, each on GPUs of its own", minimum=1, later=True)


@keyed
class ScriptedRecipe(EngineBase):
    """Replies by the rules of a file: tests and demonstrations without a model."""

    script: Annotated[str, needed("a YAML file of rules")]
    kind: Literal["scripted"] = "scripted"


EngineRecipe = Annotated[TransformersRecipe | VllmRecipe | ScriptedRecipe, Field(discriminator="kind")]


def replicas_of(engine: EngineRecipe) -> int:
    """How many engines there are."""
    return 1 if isinstance(engine, ScriptedRecipe) else engine.replicas
