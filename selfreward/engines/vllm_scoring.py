"""Teacher forcing with vLLM: the log-probability of every token of given completions, temperature 1.

A text x_1..x_n is asked as the prompt x_1..x_(n-1) with one new token, so that a text may fill the context: prompt
log-probabilities give x_2..x_(n-1), and the new token's position gives x_n by its id, whatever is drawn there. The
prefix cache is not read: a cached position has no logits.
"""

from collections.abc import Sequence
from typing import Any

from selfreward.engines.protocol import TokenSequence
from selfreward.engines.vllm_process import VllmProcess


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


def _values(text: TokenSequence, output: Any) -> tuple[float, ...]:
    *inside, last = text.completion_token_ids
    entries = output.prompt_logprobs[len(text.prompt_token_ids) :] if inside else []
    values = [float(entry[token].logprob) for token, entry in zip(inside, entries, strict=True)]
    return (*values, float(output.outputs[0].logprobs[0][last].logprob))
