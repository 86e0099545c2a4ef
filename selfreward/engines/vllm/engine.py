"""vLLM: one engine for a whole run, whose weights are exchanged in place, by checkpoint path.

Every sampled request has its own seed, and vLLM batches a whole call as it likes. Which requests share a batch depends
on the state of the prefix cache and, where vLLM is a process of its own, on when they arrive; sums then differ in the
last bits, so an equal call gives equal tokens only as far as no draw is that close. Prompts of one role begin with the
same words: they are computed once and read from the prefix cache afterwards, which `report` counts.

Three safeguards keep old weights out, each of them tested by taking it away: the path is always given (vLLM would
read its first one again), the CPU build's packed head is packed again, and the prefix cache is emptied. The hand-off
check sees the first two. It cannot see the third, because what is scored is not read from the cache: so a prompt is put
into the cache before every exchange, and must not be found there afterwards.

Around training on a GPU, `sleep` frees weights and cache; the next `load` wakes the weights' memory, exchanges them,
and wakes the cache's. That path has not been run on a GPU yet; on a CPU vLLM refuses it and `sleep` does nothing.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any

from selfreward.engines.chat import ChatRenderer
from selfreward.engines.dialogues import go_on
from selfreward.engines.hugging_face.loading import Speech, refuse_too_long, require_policy
from selfreward.engines.hugging_face.weights import architecture, choose_device
from selfreward.engines.protocol import Completion, Dialogue, ReplyStart, Request, TokenSequence
from selfreward.engines.vllm.process import VllmProcess
from selfreward.engines.vllm.pump import Question
from selfreward.engines.vllm.settings import eager, require_vllm
from selfreward.errors import EngineError, HandOffError
from selfreward.recipe import ModelRecipe, VllmRecipe
from selfreward.records import Message


class VllmEngine:
    kind = "vllm"

    def __init__(self, model: ModelRecipe, engine: VllmRecipe, day: date | None = None) -> None:
        require_vllm()
        self._recipe, self._engine = model, engine
        self._device = choose_device(model.device).type
        self._process: VllmProcess | None = None
        self._architecture: Any = None
        self.built_on: Callable[[Path, Mapping[str, Any]], AbstractContextManager[Path]]
        self.built_on = lambda directory, architecture: nullcontext(directory)
        self._speech = Speech("vLLM", model, day)
        self._directory: Path | None = None
        self._policy: str | None = None
        # A tokenizer is one thread's at a time.
        self._speaking = Lock()
        self._report: dict[str, Any] = {"built": 0, "build_seconds": 0.0, "swap_seconds": [], "reply_tokens": 0}

    @property
    def policy(self) -> str | None:
        return self._policy

    def load(self, directory: Path, digest: str) -> None:
        """Hold the weights in `directory`. Raises DataError for a broken directory, HandOffError for another digest."""
        require_policy(directory, digest)
        self._policy = None
        self._speech.learn(directory)
        wanted = architecture(directory, self._recipe.trust_remote_code)
        started = time.perf_counter()
        if self._process is not None and wanted == self._architecture:
            self._swap(directory)
            self._report["swap_seconds"].append(round(time.perf_counter() - started, 3))
        else:
            self._stop()
            compiles = not eager(self._engine, self._device)
            with self.built_on(directory, wanted) if compiles else nullcontext(directory) as place:
                self._process = VllmProcess(place, self._recipe, self._engine, self._device)
            self._architecture = wanted
            self._report["built"] += 1
            self._report["build_seconds"] += round(time.perf_counter() - started, 3)
        self._directory, self._policy = directory, digest

    def _swap(self, directory: Path) -> None:
        """The weights of `directory`, in place, with every copy and cache of the old ones gone."""
        self._running.plant()
        self._running.wake("weights")
        self._read_checkpoint(directory)
        self._repack()
        self._running.wake("kv_cache")
        self._forget_prefixes()
        if self._running.finds_planted():
            raise HandOffError(
                f"the engine still finds prompts of the policy before {directory} in its prefix cache, so replies "
                "would mix two policies; start the run again"
            )

    def _read_checkpoint(self, directory: Path) -> None:
        self._running.call("read_checkpoint", str(directory))

    def _repack(self) -> None:
        self._running.call("repack")

    def _forget_prefixes(self) -> None:
        self._running.forget_prefixes()

    def sleep(self) -> None:
        """Give the device's memory to somebody else until the next `load`. Does nothing on a CPU."""
        if self._process is not None and self._process.sleep():
            self._policy = None

    def prompt_token_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return self._chat.prompt_token_ids([messages])[0]

    def generate(self, requests: Sequence[Request], seed: int) -> list[list[Completion]]:
        """Replies depend on each request's own seed; the chunk's is not needed."""
        prompts, sampling = self._prepared(requests)
        outputs = self._running.ask(prompts, sampling)
        return [self._completions(*asked) for asked in zip(requests, prompts, outputs, strict=True)]

    def converse(self, dialogues: Sequence[Dialogue]) -> None:
        """Every dialogue at its own pace: its next requests are submitted while those of others run."""
        asked: dict[int, tuple[Sequence[Request], list[tuple[int, ...]]]] = {}
        replies: dict[int, dict[int, list[Completion]]] = {}

        def questions(number: int, requests: Sequence[Request]) -> list[Question]:
            prompts, sampling = self._prepared(requests)
            asked[number], replies[number] = (requests, prompts), {}
            return [Question((number, index), *one) for index, one in enumerate(zip(prompts, sampling, strict=True))]

        def answered(place: tuple[int, int], output: Any) -> list[Question]:
            number, index = place
            (requests, prompts), got = asked[number], replies[number]
            got[index] = self._completions(requests[index], prompts[index], output)
            if len(got) < len(requests):
                return []
            return questions(number, go_on(dialogues[number], [got[place] for place in range(len(requests))]))

        begun = [questions(number, go_on(dialogue, None)) for number, dialogue in enumerate(dialogues)]
        self._running.ask_on([question for group in begun for question in group], answered)

    def logprobs(self, texts: Sequence[TokenSequence]) -> list[tuple[float, ...]]:
        for index, text in enumerate(texts):
            if not text.prompt_token_ids:
                raise EngineError(f"text {index}: has no prompt tokens, so its first token has no probability")
        lengths = [(str(i), len(text.prompt_token_ids), len(text.completion_token_ids)) for i, text in enumerate(texts)]
        refuse_too_long("text", lengths, self._limits())
        from selfreward.engines.vllm.scoring import completion_logprobs

        wanted = [text for text in texts if text.completion_token_ids]
        scored = iter(completion_logprobs(self._running, wanted))
        return [next(scored) if text.completion_token_ids else () for text in texts]

    def next_token_logprobs(self, starts: Sequence[ReplyStart], candidates: Sequence[str]) -> list[tuple[float, ...]]:
        """One prompt per start, whose beginning is read from the prefix cache; nothing is decoded beyond it."""
        from selfreward.engines.hugging_face.next_token import openings
        from selfreward.engines.vllm.scoring import next_logprobs

        with self._speaking:
            asked = openings(self._chat, starts, candidates)
        lengths = [(start.id, len(one.token_ids), 1) for start, one in zip(starts, asked, strict=True)]
        refuse_too_long("reply start", lengths, self._limits())
        return next_logprobs(self._running, asked)

    def checksums(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self._running.call("tensor_checksums", str(self._directory))
        return found

    def report(self) -> Mapping[str, Any]:
        """What the engine did so far: builds, swaps, process ids, tokens, and the prefix cache's hits."""
        held = {} if self._process is None else self._process.report()
        return {**self._report, **held}

    def hang_up(self) -> None:
        """End every call that is going on in another thread or begun later, with an error, until `pick_up`."""
        if self._process is not None:
            self._process.hang_up()

    def pick_up(self) -> None:
        self._running.pick_up()

    def close(self) -> None:
        self._stop()
        self._policy = self._directory = None
        self._speech.forget()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.close()

    @property
    def _running(self) -> VllmProcess:
        if self._process is None:
            raise EngineError("the vLLM engine holds no policy; call load(directory, digest) first")
        return self._process

    @property
    def _chat(self) -> ChatRenderer:
        if self._policy is None:
            raise EngineError("the vLLM engine holds no policy; call load(directory, digest) first")
        return self._speech.chat

    def _prepared(self, requests: Sequence[Request]) -> tuple[list[tuple[int, ...]], list[Any]]:
        """Prompts and sampling parameters. Raises EngineError for a request that vLLM could not serve."""
        with self._speaking:
            sampling = [self._sampling(request) for request in requests]
            prompts = self._chat.prompt_token_ids([request.messages for request in requests])
        lengths = [(one.id, len(prompt), one.max_tokens) for one, prompt in zip(requests, prompts, strict=True)]
        refuse_too_long("request", lengths, self._limits())
        return prompts, sampling

    def _sampling(self, request: Request) -> Any:
        from vllm import SamplingParams
        from vllm.exceptions import VLLMValidationError

        try:
            return SamplingParams(
                n=request.n,
                # Both slow vLLM's sampler down, by more than a small model's forward pass: only where they are needed.
                seed=request.seed if request.temperature > 0 else None,
                temperature=request.temperature,
                top_p=request.top_p,
                max_tokens=request.max_tokens,
                stop_token_ids=sorted(self._chat.end_ids),
                logprobs=0 if request.logprob else None,
                detokenize=False,
            )
        except (ValueError, VLLMValidationError) as problem:
            raise EngineError(f"request {request.id}: vLLM refuses how it is to be sampled: {problem}") from problem

    def _completions(self, request: Request, prompt: Sequence[int], output: Any) -> list[Completion]:
        with self._speaking:
            return [self._completion(request, prompt, one) for one in sorted(output.outputs, key=lambda one: one.index)]

    def _completion(self, request: Request, prompt: Sequence[int], reply: Any) -> Completion:
        if reply.finish_reason not in ("stop", "length"):
            raise EngineError(f"request {request.id}: vLLM ended a reply with {reply.finish_reason!r}; run again")
        logprob = reply.cumulative_logprob if request.logprob else None
        if logprob is not None and not math.isfinite(logprob):
            raise EngineError(
                f"request {request.id}: a reply's log-probability is {logprob}: the weights are "
                "broken or the dtype overflows; use another model.dtype"
            )
        token_ids = tuple(reply.token_ids)
        self._report["reply_tokens"] += len(token_ids)
        text, reasoning = self._chat.read(token_ids, self._chat.thinks_first(prompt))
        return Completion(text, reasoning, token_ids, reply.finish_reason, logprob)

    def _limits(self) -> dict[str, int | None]:
        held = self._running.max_length
        return {"the engine's context (the model's max_position_embeddings, or engine.max_length)": held}
