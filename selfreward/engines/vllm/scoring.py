"""Scoring with vLLM, temperature 1: every token of given completions (teacher forcing), or a few next tokens.

A text x_1..x_n is asked as the prompt x_1..x_(n-1) with one new token, so that a text may fill the context: prompt
log-probabilities give x_2..x_(n-1), and the new token's position gives x_n by its id, whatever is drawn there. The
prefix cache is not read there: a cached position has no logits. Next tokens are read after the last position only,
which vLLM always computes, so they profit from the cache.
"""

import math
from collections.abc import Sequence
from typing import Any

from selfreward.engines.hugging_face.next_token import Opening
from selfreward.engines.protocol import TokenSequence
from selfreward.engines.vllm.process import VllmProcess
from selfreward.errors import EngineError


def completion_logprobs(process: VllmProcess, texts: Sequence[TokenSequence]) -> list[tuple[float, ...]]:
    """One tuple per text, each of whose completions has at least one token."""
    from vllm import SamplingParams

    prompts, sampling = [], []
    for text in texts:
        ids = (*text.prompt_token_ids, *text.completion_token_ids)
        prompts.append(ids[:-1])
        sampling.append(
            SamplingParams(
                max_tokens=1,
                temperature=0.0,
                logprob_token_ids=[ids[-1]],
                prompt_logprobs=0 if len(text.completion_token_ids) > 1 else None,
                detokenize=False,
            )
        )
    outputs = process.ask(prompts, sampling)
    return [_values(text, output) for text, output in zip(texts, outputs, strict=True)]


def next_logprobs(process: VllmProcess, asked: Sequence[Opening]) -> list[tuple[float, ...]]:
    """Log-probability of each opening's candidate tokens after its last token. Raises EngineError for NaN."""
    from vllm import SamplingParams

    sampling = [
        SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=list(one.candidate_ids), detokenize=False)
        for one in asked
    ]
    outputs = process.ask([one.token_ids for one in asked], sampling)
    found = []
    for one, output in zip(asked, outputs, strict=True):
        (entry,) = output.outputs[0].logprobs
        values = tuple(float(entry[token].logprob) for token in one.candidate_ids)
        if any(map(math.isnan, values)):
            raise EngineError(
                "the policy's logits are NaN: its weights are broken or the dtype overflows; use another model.dtype"
            )
        found.append(values)
    return found


def _values(text: TokenSequence, output: Any) -> tuple[float, ...]:
    *inside, last = text.completion_token_ids
    entries = output.prompt_logprobs[len(text.prompt_token_ids) :] if inside else []
    values = [float(entry[token].logprob) for token, entry in zip(inside, entries, strict=True)]
    return (*values, float(output.outputs[0].logprobs[0][last].logprob))
