"""A transformers model on one device: the engine that needs nothing but torch.

A `generate` call is cut into batches by length (ties by order), each of at most `engine.batch_tokens` positions, and
batch b of a call with seed s samples from its own generator seeded by (s, b). So the same call on the same weights, device and
thread count gives the same tokens; another batch size does not. When the device runs out of memory a batch is halved and
each half is seeded anew: text stays valid, but that call is not bit-reproducible on a device with other memory.

Sampling parameters are the request's and nothing else: the model's generation_config is read only for its end-of-turn
tokens. Weights are loaded in place where the architecture is unchanged.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selfreward.checkpoints import (
    chat_digest,
    combined_digest,
    module_checksums,
    tensor_checksums,
    unshared,
    validate_model_directory,
)
from selfreward.config import EngineRecipe, ModelRecipe
from selfreward.engines.chat import ChatRenderer, load_renderer
from selfreward.engines.protocol import Completion, Request, TokenSequence
from selfreward.errors import DataError, EngineError, HandOffError
from selfreward.records import Message, seed_for

LOGIT_ELEMENTS = 2**28
"""Logits that one teacher-forced batch may hold (1 GiB in float32): a large vocabulary needs smaller batches."""

# What a config may differ in while the same module can hold the weights.
_NOT_ARCHITECTURE = ("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype", "use_cache")


class HuggingFaceEngine:
    """One AutoModelForCausalLM in evaluation mode, and its tokenizer's chat renderer."""

    kind = "transformers"

    def __init__(self, model: ModelRecipe, engine: EngineRecipe) -> None:
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import torch

        torch.set_num_threads(engine.threads)
        self._recipe, self._engine = model, engine
        self._dtype: torch.dtype = getattr(torch, model.dtype)
        self._device = _device(model.device)
        self._model: Any = None
        self._renderer: ChatRenderer | None = None
        self._chat_digest = ""
        self._policy: str | None = None

    @property
    def policy(self) -> str | None:
        return self._policy

    def load(self, directory: Path, digest: str) -> None:
        """Hold the weights in `directory`. Raises DataError for a broken directory, HandOffError for another digest."""
        validate_model_directory(directory)
        found = combined_digest(tensor_checksums(directory))
        if found != digest:
            raise HandOffError(
                f"checkpoint {directory}: its weights have digest {found[:16]}, expected {digest[:16]}; "
                "it was changed after it was recorded: restore it, or start another run from it"
            )
        self._policy = None
        chat = chat_digest(directory)
        if self._renderer is None or chat != self._chat_digest:
            self._renderer = load_renderer(directory, self._recipe.trust_remote_code)
            self._chat_digest = chat
        if not self._load_in_place(directory):
            self._build(directory)
        self._policy = digest

    def prompt_token_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return self._chat.prompt_token_ids([messages])[0]

    def generate(self, requests: Sequence[Request], seed: int) -> list[list[Completion]]:
        from selfreward.engines.sampling import Sampler

        prompts = self._chat.prompt_token_ids([request.messages for request in requests])
        for request, prompt in zip(requests, prompts, strict=True):
            self._check_length(f"request {request.id}", len(prompt), request.max_tokens)
        replies: list[list[Completion]] = [[] for _ in requests]
        samplers: dict[Sampler, list[int]] = {}
        for index, request in enumerate(requests):
            samplers.setdefault(Sampler(request.temperature, request.top_p, request.max_tokens), []).append(index)
        batch_number = 0
        for sampler, members in samplers.items():
            counts = {index: requests[index].n for index in members}
            for batch in batches(prompts, counts, sampler.max_tokens, self._engine.batch_tokens):
                self._sample(batch, prompts, sampler, seed_for("batch", seed, batch_number), replies)
                batch_number += 1
        return replies

    def logprobs(self, texts: Sequence[TokenSequence]) -> list[tuple[float, ...]]:
        """Teacher-forced, padded on the left, so that the completions' positions are the last ones of every row."""
        for index, text in enumerate(texts):
            if not text.prompt_token_ids:
                raise EngineError(f"text {index}: has no prompt tokens, so its first token has no probability")
            self._check_length(f"text {index}", len(text.prompt_token_ids), len(text.completion_token_ids))
        found: list[tuple[float, ...]] = [() for _ in texts]
        order = [index for index, text in enumerate(texts) if text.completion_token_ids]
        order.sort(key=lambda index: -_length(texts[index]))
        vocabulary = int(self._loaded.config.get_text_config().vocab_size)
        bound = max(1, min(self._engine.batch_tokens, LOGIT_ELEMENTS // vocabulary))
        begin = 0
        while begin < len(order):
            size = max(1, bound // _length(texts[order[begin]]))
            batch = order[begin : begin + size]
            self._teacher_force(batch, texts, found)
            begin += size
        return found

    def checksums(self) -> Mapping[str, str]:
        return module_checksums(self._loaded.state_dict())

    def close(self) -> None:
        import torch

        self._model = self._renderer = self._policy = None
        self._chat_digest = ""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @property
    def _loaded(self) -> Any:
        if self._model is None:
            raise EngineError("the transformers engine holds no policy; call load(directory, digest) first")
        return self._model

    @property
    def _chat(self) -> ChatRenderer:
        if self._renderer is None:
            raise EngineError("the transformers engine holds no policy; call load(directory, digest) first")
        return self._renderer

    def _sample(
        self,
        batch: list[tuple[int, int]],
        prompts: Sequence[tuple[int, ...]],
        sampler: Any,
        seed: int,
        replies: list[list[Completion]],
    ) -> None:
        """Sample `batch`, pairs of request index and number of replies, and append the completions to `replies`."""
        import torch

        from selfreward.engines.sampling import sample

        chat = self._chat
        rows, copies = [prompts[index] for index, _ in batch], [count for _, count in batch]
        try:
            samples = sample(self._loaded, rows, copies, sampler, chat.end_ids, chat.pad_id, seed)
        except torch.OutOfMemoryError as problem:
            _free(problem)
            for half, part in enumerate(halves(batch)):
                self._sample(part, prompts, sampler, seed_for("half", seed, half), replies)
            return
        for (index, _), drawn in zip(batch, samples, strict=True):
            opened = chat.thinks_first(prompts[index])
            for one in drawn:
                text, reasoning = chat.read(one.token_ids, opened)
                finish = "stop" if one.stopped else "length"
                replies[index].append(Completion(text, reasoning, one.token_ids, finish, one.logprob))

    def _teacher_force(self, batch: list[int], texts: Sequence[TokenSequence], found: list[tuple[float, ...]]) -> None:
        import torch

        from selfreward.engines.sampling import completion_logprobs

        rows = [(texts[index].prompt_token_ids, texts[index].completion_token_ids) for index in batch]
        try:
            values = completion_logprobs(self._loaded, rows, self._chat.pad_id)
        except torch.OutOfMemoryError as problem:
            _free(problem)
            for part in halves([(index, 1) for index in batch]):
                self._teacher_force([index for index, _ in part], texts, found)
            return
        for index, logprobs in zip(batch, values, strict=True):
            found[index] = logprobs

    def _check_length(self, name: str, prompt: int, completion: int) -> None:
        """Raise EngineError for more tokens than the model's positions or the recipe's engine.max_length."""
        positions = getattr(self._loaded.config.get_text_config(), "max_position_embeddings", None)
        limits = {"the model's max_position_embeddings": positions, "engine.max_length": self._engine.max_length}
        for source, limit in limits.items():
            if limit is not None and prompt + completion > limit:
                raise EngineError(
                    f"{name}: {prompt} prompt tokens and {completion} completion tokens are {prompt + completion}, more "
                    f"than {source} of {limit}; shorten the prompt or lower max_tokens"
                )

    def _load_in_place(self, directory: Path) -> bool:
        """Copy the directory's tensors into the module that is there; False when it cannot hold them."""
        import torch
        from safetensors.torch import load_file
        from transformers import AutoConfig

        if self._model is None:
            return False
        config = AutoConfig.from_pretrained(
            directory, local_files_only=True, trust_remote_code=self._recipe.trust_remote_code
        )
        if _architecture(config) != _architecture(self._model.config):
            return False
        held = unshared(self._model.state_dict())
        stored: dict[str, torch.Tensor] = {}
        for file in sorted(directory.glob("*.safetensors")):
            stored |= load_file(file)
        if any(name not in stored or stored[name].shape != tensor.shape for name, tensor in held.items()):
            return False
        with torch.no_grad():
            for name, tensor in held.items():
                tensor.copy_(stored[name])
        return True

    def _build(self, directory: Path) -> None:
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        self._model = None
        logging.disable_progress_bar()
        try:
            model = AutoModelForCausalLM.from_pretrained(
                directory,
                dtype=self._dtype,
                local_files_only=True,
                trust_remote_code=self._recipe.trust_remote_code,
            )
        except (OSError, ValueError, RuntimeError) as problem:
            raise DataError(f"model directory {directory}: cannot be loaded ({problem}); save it again") from problem
        self._model = model.to(self._device).eval().requires_grad_(False)


def batches(
    prompts: Sequence[Sequence[int]], counts: Mapping[int, int], max_tokens: int, bound: int
) -> list[list[tuple[int, int]]]:
    """Cut requests (index → number of replies) into batches of (index, replies), shortest prompts first.

    A batch holds at most `bound` positions, padding and room for the replies included, but always one reply. A
    request whose replies do not fit together is split.
    """
    result: list[list[tuple[int, int]]] = []
    rows = 0
    for index in sorted(counts, key=lambda index: (len(prompts[index]), index)):
        fitting = max(1, bound // (len(prompts[index]) + max_tokens))
        left = counts[index]
        while left:
            # Prompts come in rising length, so the row that is added is the widest.
            if not result or rows >= fitting or (rows + left > fitting and left <= fitting):
                result.append([])
                rows = 0
            taken = min(left, fitting - rows)
            result[-1].append((index, taken))
            rows += taken
            left -= taken
    return result


def halves(batch: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Two halves of a batch of (index, replies); a single request gives half of its replies to each."""
    if len(batch) > 1:
        middle = len(batch) // 2
        return [batch[:middle], batch[middle:]]
    ((index, count),) = batch
    if count == 1:
        raise EngineError(
            "out of memory on one single row; lower max_tokens, or take a smaller model or another device"
        )
    return [[(index, count // 2)], [(index, count - count // 2)]]


def _device(name: str) -> Any:
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as problem:
        raise EngineError(f"model.device is {name!r}: not a device ({problem}); use auto, cpu or cuda") from problem
    if device.type == "cuda" and not torch.cuda.is_available():
        raise EngineError(f"model.device is {name!r}, but torch finds no CUDA device; use auto or cpu")
    return device


def _architecture(config: Any) -> dict[str, Any]:
    return {key: value for key, value in config.to_dict().items() if key not in _NOT_ARCHITECTURE}


def _length(text: TokenSequence) -> int:
    return len(text.prompt_token_ids) + len(text.completion_token_ids)


def _free(problem: BaseException) -> None:
    """Drop the frames that keep a failed batch's tensors alive, then return the cached memory to the device."""
    import gc

    import torch

    problem.__traceback__ = None
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
