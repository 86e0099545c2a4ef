"""B1: one process that keeps its model, with transformers' `generate` and TRL's DPOTrainer.

python -m baselines.one_process MODEL PROMPTS ANSWERS JUDGMENTS SCRATCH
"""

import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from baselines.channel import Channel
from baselines.train import train
from baselines.workload import (
    MAX_TOKENS,
    TEMPERATURE,
    Chat,
    Reply,
    Size,
    generator_chats,
    judge_chats,
    pairs,
    quality,
    tasks,
)

ROWS = 256
"""Replies in a batch."""


@torch.inference_mode()
def sample(model: Any, tokenizer: Any, chats: list[Chat], n: int, temperature: float) -> tuple[list[list[Reply]], int]:
    """`n` replies to each conversation, batches sorted by length; and how many tokens they have."""
    texts = [tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    found: list[list[Reply]] = [[] for _ in texts]
    tokens, size = 0, max(1, ROWS // n)
    ends = model.generation_config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])
    for begin in range(0, len(order), size):
        members = order[begin : begin + size]
        batch = tokenizer(
            [texts[index] for index in members], return_tensors="pt", padding=True, add_special_tokens=False
        )
        output = model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            do_sample=True,
            temperature=temperature,
            top_k=0,
            max_new_tokens=MAX_TOKENS,
            num_return_sequences=n,
            pad_token_id=tokenizer.pad_token_id,
        )
        new = output[:, batch["input_ids"].shape[1] :]
        for row, ids in enumerate(new.tolist()):
            place = next((place for place, token in enumerate(ids) if token in ends), None)
            kept = ids if place is None else ids[:place]
            tokens += len(kept) + (place is not None)
            text = tokenizer.decode(kept, skip_special_tokens=True)
            found[members[row // n]].append(Reply(text, place is not None))
    return found, tokens


def main() -> None:
    start, scratch = sys.argv[1], Path(sys.argv[5])
    size = Size(*map(int, sys.argv[2:5]))
    channel = Channel()
    torch.set_num_threads(1)
    import trl.trainer.dpo_trainer  # noqa: F401 (start-up is apart from the rounds)

    tokenizer = AutoTokenizer.from_pretrained(start, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(start)
    channel.say({"ready": True})
    for number in channel.rounds():
        torch.manual_seed(number)
        asked = tasks(number, size.prompts)
        model.eval()
        answers, _ = sample(model, tokenizer, generator_chats(asked), size.answers, TEMPERATURE["generate"])
        begun = time.perf_counter()
        questions = judge_chats(asked, answers)
        judgments, tokens = sample(model, tokenizer, questions, size.judgments, TEMPERATURE["judge"])
        judging = time.perf_counter() - begun
        rows = pairs(asked, answers, judgments)
        train(model, tokenizer, rows, scratch, number)
        facts = {"judge_seconds": judging, "judge_tokens": tokens, "judgments": len(questions) * size.judgments}
        channel.say({**facts, **quality(row["truth"] for row in rows)})


if __name__ == "__main__":
    main()
