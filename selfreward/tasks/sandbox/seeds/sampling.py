"""Sampling from the tiny model in large batches of similar length."""

from collections.abc import Sequence

import torch
from transformers import LlamaForCausalLM

from selfreward.tasks.sandbox.seeds.model import Message, decode_reply, encode_chat
from selfreward.tasks.sandbox.words import END, PAD, WORD_IDS

LONGEST_ANSWER, LONGEST_JUDGMENT, LONGEST_META = 32, 32, 44
"""New tokens allowed to each role."""
_ROWS = 512
"""Sequences generated at once."""


@torch.no_grad()
def sample_replies(
    model: LlamaForCausalLM,
    prompts: Sequence[str],
    *,
    longest: int,
    seed: int,
    samples: int = 1,
    temperature: float = 0.0,
) -> list[list[str]]:
    """`samples` replies to each user prompt, in the order of `prompts`; temperature 0 is greedy."""
    model.eval()
    torch.manual_seed(seed)
    encoded = [encode_chat(_user_turn(prompt)) for prompt in prompts]
    by_length = sorted(range(len(prompts)), key=lambda index: len(encoded[index]))
    replies: list[list[str]] = [[] for _ in prompts]
    step = max(1, _ROWS // samples)
    sampling = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    for start in range(0, len(by_length), step):
        batch = by_length[start : start + step]
        width = max(len(encoded[index]) for index in batch)
        ids = torch.full((len(batch), width), WORD_IDS[PAD])
        for row, index in enumerate(batch):
            ids[row, width - len(encoded[index]) :] = torch.tensor(encoded[index])
        generated: torch.Tensor = model.generate(
            input_ids=ids,
            attention_mask=(ids != WORD_IDS[PAD]).long(),
            num_return_sequences=samples,
            max_new_tokens=longest,
            pad_token_id=WORD_IDS[PAD],
            eos_token_id=WORD_IDS[END],
            **sampling,
        )
        for row, tokens in enumerate(generated[:, width:].tolist()):
            replies[batch[row // samples]].append(decode_reply(tokens))
    return replies


def _user_turn(prompt: str) -> list[Message]:
    return [{"role": "user", "content": prompt}]
