"""A transformers model on one device: the engine that needs nothing but torch.

A `generate` call is cut into batches by length (ties by order), each of at most `engine.batch_tokens` positions, and
batch b of a call with seed s samples from its own generator seeded by (s, b). So the same call on the same weights,
device and thread count gives the same tokens; another batch size does not. When the device runs out of memory a batch
is halved and each half is seeded anew: replies are as valid, but not bit-reproducible on a device with other memory.
What prompts of a batch have in common, such as a rubric, is read once (prefill.py).

Sampling parameters are the request's and nothing else: the model's generation_config is read only for its end-of-turn
tokens. Weights are loaded in place where the architecture is unchanged, and let go while a policy is trained.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from selfreward.engines.chat import ChatRenderer
from selfreward.engines.hugging_face.batches import batches, halves
from selfreward.engines.hugging_face.loading import Speech, refuse_too_long, require_policy
from selfreward.engines.hugging_face.weights import build, choose_device, file_checksums, load_in_place
from selfreward.engines.protocol import Completion, ReplyStart, Request, TokenSequence
from selfreward.errors import EngineError
from selfreward.recipe import EngineRecipe, ModelRecipe
from selfreward.records import FinishReason, Message, seed_for

LOGIT_ELEMENTS = 2**28
"""Logits that one teacher-forced batch may hold (1 GiB in float32): a large vocabulary needs smaller batches."""


class HuggingFaceEngine:
    """One AutoModelForCausalLM in evaluation mode, and its tokenizer's chat renderer."""

    kind = "transformers"

    def __init__(self, model: ModelRecipe, engine: EngineRecipe, day: date | None = None) -> None:
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        import torch

        torch.set_num_threads(engine.threads)
        self._recipe, self._engine = model, engine
        choose_device(model.device)
        self._model: Any = None
        self._speech = Speech("transformers", model, day)
        self._policy: str | None = None
        self.told: Callable[[int, float], None] = lambda tokens, share: None

    @property
    def policy(self) -> str | None:
        return self._policy

    def load(self, directory: Path, digest: str) -> None:
        """Hold the weights in `directory`. Raises DataError for a broken directory, HandOffError for another digest."""
        require_policy(directory, digest)
        self._policy = None
        self._speech.learn(directory)
        if self._model is None or not load_in_place(self._model, directory, self._recipe):
            self._model = None
            self._model = build(directory, self._recipe)
        self._policy = digest

    def prompt_token_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return self._chat.prompt_token_ids([messages])[0]

    def generate(self, requests: Sequence[Request], seed: int) -> list[list[Completion]]:
        from selfreward.engines.hugging_face.drawing import Sampler

        prompts = self._chat.prompt_token_ids([request.messages for request in requests])
        lengths = [(one.id, len(prompt), one.max_tokens) for one, prompt in zip(requests, prompts, strict=True)]
        refuse_too_long("request", lengths, self._limits())
        replies: list[list[Completion]] = [[] for _ in requests]
        samplers: dict[Sampler, list[int]] = {}
        for index, request in enumerate(requests):
            sampler = Sampler(request.temperature, request.top_p, request.max_tokens, request.logprob)
            samplers.setdefault(sampler, []).append(index)
        batch_number = 0
        sampled = self._counter(sum(request.n for request in requests))
        for sampler, members in samplers.items():
            counts = {index: requests[index].n for index in members}
            for batch in batches(prompts, counts, sampler.max_tokens, self._engine.batch_tokens):
                self._sample(batch, prompts, sampler, seed_for("batch", seed, batch_number), replies, sampled)
                batch_number += 1
        return replies

    def _counter(self, total: int) -> Callable[[int, int], None]:
        """What is called with tokens and finished replies, and says which share of `total` replies is finished."""
        done = 0

        def count(tokens: int, finished: int) -> None:
            nonlocal done
            done += finished
            # A batch that did not fit in memory is counted anew by its halves.
            self.told(tokens, min(1.0, done / total))

        return count

    def logprobs(self, texts: Sequence[TokenSequence]) -> list[tuple[float, ...]]:
        """Teacher-forced, padded on the left, so that the completions' positions are the last ones of every row."""
        for index, text in enumerate(texts):
            if not text.prompt_token_ids:
                raise EngineError(f"text {index}: has no prompt tokens, so its first token has no probability")
        lengths = [(str(i), len(text.prompt_token_ids), len(text.completion_token_ids)) for i, text in enumerate(texts)]
        refuse_too_long("text", lengths, self._limits())
        found: list[tuple[float, ...]] = [() for _ in texts]
        order = [index for index, text in enumerate(texts) if text.completion_token_ids]
        order.sort(key=lambda index: -_length(texts[index]))
        vocabulary = int(self._loaded.config.get_text_config().vocab_size)
        bound = max(1, min(self._engine.batch_tokens, LOGIT_ELEMENTS // vocabulary))
        begin, read = 0, self._counter(len(order))
        while begin < len(order):
            size = max(1, bound // _length(texts[order[begin]]))
            batch = order[begin : begin + size]
            self._teacher_force(batch, texts, found)
            read(sum(_length(texts[index]) for index in batch), len(batch))
            begin += size
        return found

    def next_token_logprobs(self, starts: Sequence[ReplyStart], candidates: Sequence[str]) -> list[tuple[float, ...]]:
        """One forward per start, padded on the left; only the last position's logits are computed."""
        from selfreward.engines.hugging_face.next_token import next_logprobs, openings

        chat = self._chat
        asked = openings(chat, starts, candidates)
        lengths = [(start.id, len(one.token_ids), 1) for start, one in zip(starts, asked, strict=True)]
        refuse_too_long("reply start", lengths, self._limits())
        rows, tokens = [one.token_ids for one in asked], [one.candidate_ids for one in asked]
        found: list[tuple[float, ...]] = [() for _ in starts]
        read = self._counter(len(starts))
        for batch in batches(rows, dict.fromkeys(range(len(rows)), 1), 1, self._engine.batch_tokens):
            members = [index for index, _ in batch]
            values = next_logprobs(
                self._loaded, [rows[index] for index in members], [tokens[index] for index in members], self._pad_id
            )
            for index, logprobs in zip(members, values, strict=True):
                found[index] = logprobs
            read(sum(len(rows[index]) for index in members), len(members))
        return found

    def checksums(self) -> Mapping[str, str]:
        return file_checksums(self._loaded)

    def sleep(self) -> None:
        """Give the weights' memory to a trainer, on a CPU too; the next `load` builds the module anew."""
        import torch

        self._model = self._policy = None
        torch.cuda.empty_cache()

    def close(self) -> None:
        self.sleep()
        self._speech.forget()

    @property
    def module(self) -> Any:
        """The transformers module that holds the policy."""
        return self._loaded

    @property
    def _loaded(self) -> Any:
        if self._model is None:
            raise EngineError("the transformers engine holds no policy; call load(directory, digest) first")
        return self._model

    @property
    def _chat(self) -> ChatRenderer:
        return self._speech.chat

    @property
    def _pad_id(self) -> int:
        """The tokenizer's padding token; another where that one has no embedding, since padding is masked."""
        rows = self._loaded.get_input_embeddings().weight.shape[0]
        known = [index for index in (self._chat.pad_id, *sorted(self._chat.end_ids), 0) if index < rows]
        return known[0]

    def _sample(
        self,
        batch: list[tuple[int, int]],
        prompts: Sequence[tuple[int, ...]],
        sampler: Any,
        seed: int,
        replies: list[list[Completion]],
        sampled: Callable[[int, int], None],
    ) -> None:
        """Sample `batch`, pairs of request index and number of replies, and append the completions to `replies`."""
        import torch

        from selfreward.engines.hugging_face.sampling import sample

        chat = self._chat
        rows, copies = [prompts[index] for index, _ in batch], [count for _, count in batch]
        samples = None
        with suppress(torch.OutOfMemoryError):
            samples = sample(self._loaded, rows, copies, sampler, chat.end_ids, self._pad_id, seed, sampled)
        if samples is None:
            torch.cuda.empty_cache()
            for half, part in enumerate(halves(batch)):
                self._sample(part, prompts, sampler, seed_for("half", seed, half), replies, sampled)
            return
        for (index, _), drawn in zip(batch, samples, strict=True):
            opened = chat.thinks_first(prompts[index])
            for one in drawn:
                text, reasoning = chat.read(one.token_ids, opened)
                finish: FinishReason = "stop" if one.stopped else "length"
                replies[index].append(Completion(text, reasoning, one.token_ids, finish, one.logprob))

    def _teacher_force(self, batch: list[int], texts: Sequence[TokenSequence], found: list[tuple[float, ...]]) -> None:
        import torch

        from selfreward.engines.hugging_face.sampling import completion_logprobs

        rows = [(texts[index].prompt_token_ids, texts[index].completion_token_ids) for index in batch]
        values = None
        with suppress(torch.OutOfMemoryError):
            values = completion_logprobs(self._loaded, rows, self._pad_id)
        if values is None:
            torch.cuda.empty_cache()
            for part in halves([(index, 1) for index in batch]):
                self._teacher_force([index for index, _ in part], texts, found)
            return
        for index, logprobs in zip(batch, values, strict=True):
            found[index] = logprobs

    def _limits(self) -> dict[str, int | None]:
        positions = getattr(self._loaded.config.get_text_config(), "max_position_embeddings", None)
        return {"the model's max_position_embeddings": positions, "engine.max_length": self._engine.max_length}


def _length(text: TokenSequence) -> int:
    return len(text.prompt_token_ids) + len(text.completion_token_ids)
