"""A running vLLM: built, asked, put to sleep, and gone without a trace.

By default its engine is a process of its own (and on a CPU, or with tensor parallelism, its workers are further ones);
`engine.in_process` keeps it in this one, where it starts faster and a debugger reaches it, but where its crash is
ours. What vLLM changes in the process that builds it, environment, threads and random state, is put back.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selfreward.engines.vllm.pump import Place, Pump, Question
from selfreward.engines.vllm.restored import random_state, restored
from selfreward.engines.vllm.settings import arguments, environment, sleeps
from selfreward.errors import EngineError
from selfreward.recipe import ModelRecipe, VllmRecipe

ENDED = "vLLM has ended; start the run again"
ADVICE = "lower engine.memory_share, engine.max_num_seqs or engine.max_length, or take another device"


class VllmProcess:
    """One `vllm.LLM`. Errors of vLLM become EngineErrors; after one it is closed."""

    def __init__(self, directory: Path, model: ModelRecipe, engine: VllmRecipe, device: str) -> None:
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(directory, local_files_only=True, trust_remote_code=model.trust_remote_code)
        positions = getattr(config.get_text_config(), "max_position_embeddings", None)
        self._can_sleep, self._asleep = sleeps(engine, device), False
        self._in_process = engine.in_process
        self._freed: list[int] = []
        with restored(environment(engine, device), engine.threads):
            from vllm import LLM

            try:
                self._llm: Any = LLM(str(directory), **arguments(model, engine, device, positions))
            except (RuntimeError, ValueError, OSError) as problem:
                raise EngineError(
                    f"vLLM could not start on {directory}: {' '.join(str(problem).split())}; its own log above says "
                    f"more (VLLM_LOGGING_LEVEL=INFO for all of it); {ADVICE}"
                ) from problem
        self._pump: Pump | None = Pump(self._llm)
        self.max_length = int(self._llm.model_config.max_model_len)
        self._pids: list[int] = self._llm.collective_rpc("process_id")
        self._llm.collective_rpc("follow", args=(os.getpid(),))
        self._closed = threading.Event()
        if not self._in_process:
            threading.Thread(
                target=_wake_waiters, args=(self._llm.llm_engine.engine_core, self._closed), daemon=True
            ).start()

    def ask(self, prompts: Sequence[tuple[int, ...]], sampling: Sequence[Any]) -> list[Any]:
        """vLLM's RequestOutputs, in order."""
        if not prompts:
            return []
        answers: list[Any] = [None] * len(prompts)

        def answered(place: Place, output: Any) -> Sequence[Question]:
            answers[place[0]] = output
            return ()

        asked = zip(prompts, sampling, strict=True)
        self.ask_on([Question((number, 0), *one) for number, one in enumerate(asked)], answered)
        return answers

    def ask_on(self, questions: Sequence[Question], answered: Callable[[Place, Any], Sequence[Question]]) -> None:
        """Ask without a barrier: each RequestOutput goes to `answered` once it is whole, which names what to ask next.

        The order of completion is vLLM's. Several threads may ask at the same time, unless vLLM is in this process.
        """
        with self._dies_loudly("while it was sampling"), random_state():
            if (pump := self._pump) is None:  # another thread has found it dead
                raise EngineError(ENDED)
            pump.ask_on(questions, answered)

    def hang_up(self) -> None:
        """End what other threads are asking and will ask, with an EngineError; an ended vLLM has none."""
        if (pump := self._pump) is not None:
            pump.hang_up()

    def pick_up(self) -> None:
        if (pump := self._pump) is not None:
            pump.pick_up()

    def call(self, method: str, *parameters: str) -> Any:
        """The first worker's answer; all workers do it. `method` is one of `vllm_worker.WeightSwap`."""
        with self._dies_loudly(f"in {method}"):
            return self._llm.collective_rpc(method, args=parameters)[0]

    def plant(self) -> None:
        """Put a prompt into the prefix cache, for `finds_planted` to look for."""
        if not self._asleep:
            self.finds_planted()

    def finds_planted(self) -> bool:
        """Is the planted prompt in the prefix cache? It is afterwards, where a block of the cache fits the context."""
        from vllm import SamplingParams

        block = int(self._llm.llm_engine.vllm_config.cache_config.block_size)
        if block + 2 > self.max_length:
            return False  # no prompt fills a block, so none is ever cached
        sampling = SamplingParams(max_tokens=1, temperature=0.0, detokenize=False)
        (answer,) = self.ask([(0,) * (block + 1)], [sampling])
        return bool(answer.num_cached_tokens)

    def forget_prefixes(self) -> None:
        if not self._llm.reset_prefix_cache():
            raise EngineError("vLLM did not empty its prefix cache: a request is still running; run again")

    def sleep(self) -> bool:
        """Free weights and cache, their contents lost; False where the device cannot."""
        if self._can_sleep and not self._asleep:
            self.plant()
            free = self.call("free_memory")
            with self._dies_loudly("when it was put to sleep"):
                self._llm.sleep(level=2)
            self._asleep = True
            self._freed.append(self.call("free_memory") - free)
        return self._asleep

    def wake(self, what: str) -> None:
        """Take back the memory of "weights" or, last, of the "kv_cache"."""
        if self._asleep:
            with self._dies_loudly(f"when its {what} were woken"):
                self._llm.wake_up([what])
            self._asleep = what != "kv_cache"

    def report(self) -> dict[str, Any]:
        counts = {metric.name: getattr(metric, "value", 0) for metric in self._llm.get_metrics()}
        asked, hit = (int(counts.get(f"vllm:prefix_cache_{name}", 0)) for name in ("queries", "hits"))
        return {
            "pids": self._pids,
            "freed_bytes": self._freed,
            "prompt_tokens": asked,
            "cached_tokens": hit,
            "cache_hit_share": round(hit / asked, 4) if asked else 0.0,
        }

    def close(self) -> None:
        """End vLLM's processes, or free what it holds in this one."""
        llm, self._llm = self._llm, None
        if llm is None:
            return
        self._closed.set()
        self._pump = None
        llm.llm_engine.engine_core.shutdown()
        del llm
        if self._in_process:
            from vllm.distributed import cleanup_dist_env_and_memory

            cleanup_dist_env_and_memory()

    @contextmanager
    def _dies_loudly(self, when: str) -> Iterator[None]:
        from vllm.exceptions import VLLMError

        if self._llm is None:
            raise EngineError(ENDED)
        try:
            yield
        except (VLLMError, RuntimeError) as problem:
            self.close()
            raise EngineError(
                f"vLLM ended {when} ({' '.join(str(problem).split()) or type(problem).__name__}); its own log above "
                f"says why; if its memory was too small, {ADVICE}"
            ) from problem


def _wake_waiters(client: Any, closed: threading.Event) -> None:
    """When vLLM's process dies by a signal, vLLM 0.32 notices but leaves who waits for an answer waiting for ever."""
    from vllm.v1.engine.exceptions import EngineDeadError

    while not closed.wait(0.5):
        if client.resources.engine_dead:
            client.outputs_queue.put_nowait(EngineDeadError())
            for answer in list(client.utility_results.values()):
                if not answer.done():
                    answer.set_exception(EngineDeadError())
