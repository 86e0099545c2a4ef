"""vLLM on a GPU: build, decode, sleep, wake with other weights, prove them, and build again on another checkpoint."""

import time

from gpu_parts.subject import Figure, Subject, UnableError, memory_in_use, requests, timed
from selfreward.engines.handoff import verify
from selfreward.engines.tensors import weights_digest
from selfreward.engines.vllm.engine import VllmEngine
from selfreward.engines.vllm.settings import vllm_version
from selfreward.recipe import HandOffRecipe, VllmRecipe
from selfreward.store.standing_path import standing_path


def vllm(subject: Subject) -> list[Figure]:
    if vllm_version() is None:
        raise UnableError("vLLM is not installed; pip install 'selfreward-loop[vllm]'")
    if not subject.on_gpu:
        raise UnableError("a CPU has no sleep and no CUDA graphs; tests/test_vllm_engine.py is about its CPU build")
    recipe, size, line = VllmRecipe(max_length=4096), subject.size, subject.roofline()
    digests = {path: weights_digest(path) for path in (subject.directory, subject.other)}
    before = memory_in_use()
    engine = VllmEngine(subject.model, recipe)
    engine.built_on = standing_path
    with timed(subject) as built:
        engine.load(subject.directory, digests[subject.directory])
    verify(engine, subject.directory, HandOffRecipe(), subject.model.dtype)
    asked = requests(size)
    engine.generate(asked[:2], 0)
    with timed(subject) as decoded:
        replies = engine.generate(asked, 0)
    tokens = sum(len(one.token_ids) for group in replies for one in group)
    read = sum(len(engine.prompt_token_ids(one.messages)) for one in asked)
    awake = memory_in_use() - before
    with timed(subject) as slept:
        engine.sleep()
    asleep = memory_in_use() - before
    with timed(subject) as woken:
        engine.load(subject.other, digests[subject.other])
    verify(engine, subject.other, HandOffRecipe(), subject.model.dtype)
    with timed(subject) as swapped:
        engine.load(subject.directory, digests[subject.directory])
    engine.load(subject.other, digests[subject.other])
    greedy = requests(size, temperature=0.0)[:32]
    in_place = engine.generate(greedy, 0)
    engine.close()
    _wait_for_memory(before)
    fresh = VllmEngine(subject.model, recipe)
    fresh.built_on = standing_path
    with timed(subject) as again:
        fresh.load(subject.other, digests[subject.other])
    same = sum(one == other for one, other in zip(in_place, fresh.generate(greedy, 0), strict=True)) / len(greedy)
    fresh.close()
    reply, prompt = tokens / size.replies, read / size.replies
    floor = line and line.prefill(read, prompt, size.replies) + line.decode(
        size.replies, prompt, reply, 1.0, recipe.max_num_seqs or 1024
    )
    return [
        Figure("build, nothing compiled before", built[0], "s"),
        Figure("build on another checkpoint, compiled before", again[0], "s"),
        Figure(f"decode, {size.replies} replies at once", tokens / decoded[0], "tokens/s", floor and tokens / floor),
        Figure("sleep", slept[0], "s"),
        Figure("wake with other weights", woken[0], "s"),
        Figure("other weights in place", swapped[0], "s"),
        Figure("memory awake", awake / 1e9, "GB"),
        Figure("memory asleep", asleep / 1e9, "GB"),
        Figure("greedy replies in place as fresh, share", same, ""),
    ]


def _wait_for_memory(before: float, patience: float = 30.0) -> None:
    """Its processes give their memory back when they have ended, a moment after they were told to."""
    until = time.monotonic() + patience
    while memory_in_use() > before + 1e9 and time.monotonic() < until:
        time.sleep(0.5)
