"""B1: one process that keeps its model, with transformers' `generate` and TRL's DPOTrainer.

python -m baselines.one_process MODEL WORK.json SCRATCH

In half precision it samples from a copy of the weights that are trained, which is also DPO's reference.
"""

import copy
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from baselines.channel import Channel
from baselines.train import train
from baselines.workload import Chat, Reply, Role, Work, digest_of, generator_chats, quality


def batches(lengths: list[int], n: int, room: int, positions: int) -> list[list[int]]:
    """Indices of conversations, shortest first, in batches whose `n` replies each fit into `positions`."""
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    found: list[list[int]] = [[]]
    for index in order:
        # The one that is added is the longest.
        if found[-1] and (len(found[-1]) + 1) * n * (lengths[index] + room) > positions:
            found.append([])
        found[-1].append(index)
    return found


@torch.inference_mode()
def sample(
    model: Any, tokenizer: Any, chats: list[Chat], n: int, role: Role, work: Work
) -> tuple[list[list[Reply]], int]:
    """`n` replies to each conversation; and how many tokens they have."""
    texts = [tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]
    rows = tokenizer(texts, add_special_tokens=False)["input_ids"]
    found: list[list[Reply]] = [[] for _ in texts]
    tokens, room = 0, work.tokens[role]
    ends = model.generation_config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])
    for members in batches(list(map(len, rows)), n, room, work.positions):
        batch = tokenizer.pad({"input_ids": [rows[index] for index in members]}, return_tensors="pt")
        output = model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            do_sample=True,
            temperature=work.temperature[role],
            top_k=0,
            max_new_tokens=room,
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
    start, work, scratch = sys.argv[1], Work.from_file(sys.argv[2]), Path(sys.argv[3])
    channel = Channel()
    torch.set_num_threads(work.threads)
    import trl.trainer.dpo_trainer  # noqa: F401 (start-up is apart from the rounds)

    tokenizer = AutoTokenizer.from_pretrained(start, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    half = work.dtype != "float32"
    sampler = copy.deepcopy(model).to(getattr(torch, work.dtype)) if half else model
    channel.say({"ready": True})
    for number in channel.rounds():
        torch.manual_seed(number)
        asked = work.asked(number)
        times = [time.perf_counter()]
        sampler.eval()
        answers, answer_tokens = sample(sampler, tokenizer, generator_chats(asked), work.answers, "generate", work)
        times.append(time.perf_counter())
        questions = work.judge_chats(asked, answers)
        judgments, tokens = sample(sampler, tokenizer, questions, work.readings(number), "judge", work)
        times.append(time.perf_counter())
        rows = work.pairs(asked, answers, judgments)
        steps = train(model, copy.deepcopy(sampler), tokenizer, rows, work, scratch, number) if rows else 0
        times.append(time.perf_counter())
        if half:
            sampler.load_state_dict(model.state_dict())
        times.append(time.perf_counter())
        names = ("generate", "judge", "train", "hand-off")
        channel.say(
            {
                "stages": {name: times[place + 1] - times[place] for place, name in enumerate(names)},
                "judge_seconds": times[2] - times[1],
                "judge_tokens": tokens,
                "judgments": sum(map(len, judgments)),
                "prompts": digest_of(asked),
                "answers": sum(map(len, answers)),
                "answer_tokens": answer_tokens,
                "steps": steps,
                **quality(row["truth"] for row in rows),
            }
        )


if __name__ == "__main__":
    main()
