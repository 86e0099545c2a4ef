"""The work of one round, for every system alike: questions, how verdicts are read, which answers become a pair."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.engines.protocol import Completion
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.recipe import JudgeRecipe
from selfreward.records import Message, Prompt
from selfreward.roles.unreadable import Unreadable
from selfreward.tasks.sandbox.oracle import oracle_score
from selfreward.tasks.sandbox.pools import prompt_pool
from selfreward.tasks.sandbox.tasks import Task

WORDING = judge_prompt(JudgeRecipe())
MAX_TOKENS = 40
TEMPERATURE = {"generate": 0.9, "judge": 0.8}
TRAINING = {"beta": 0.3, "learning_rate": 2e-4, "num_train_epochs": 2, "warmup_steps": 5}
BATCH = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4}

Chat = list[dict[str, str]]


@dataclass(frozen=True)
class Size:
    """K = `answers` to each of `prompts` prompts, N = `judgments` of each answer."""

    prompts: int
    answers: int
    judgments: int


@dataclass(frozen=True)
class Reply:
    text: str
    finished: bool


def tasks(number: int, count: int) -> list[Task]:
    """The round's prompts, which no other round has."""
    return prompt_pool("train", count, seed=9_000 + number)


def generator_chats(asked: Sequence[Task]) -> list[Chat]:
    return [[{"role": "user", "content": task.text}] for task in asked]


def judge_chats(asked: Sequence[Task], replies: Sequence[Sequence[Reply]]) -> list[Chat]:
    """One conversation for every answer, equal ones too."""
    return [
        [{"role": turn.role, "content": turn.content} for turn in WORDING.ask(_prompt(task), reply.text)]
        for task, group in zip(asked, replies, strict=True)
        for reply in group
    ]


def read(reply: Reply) -> float | None:
    """The score of a judgment, None where it has none."""
    found = WORDING.read(Completion(reply.text, "", (), "stop" if reply.finished else "length"))
    return None if isinstance(found, Unreadable) else found


def pairs(
    asked: Sequence[Task], replies: Sequence[Sequence[Reply]], judgments: Sequence[Sequence[Reply]]
) -> list[dict[str, Any]]:
    """Best against worst by mean readable score, finished answers only; TRL's conversational preference rows.

    `truth` is the oracle's score of both, for the check beside the clock; no system looks at it.
    """
    verdicts, rows = iter(judgments), []
    for task, group in zip(asked, replies, strict=True):
        scored = []
        for reply in group:
            values = [value for one in next(verdicts) if (value := read(one)) is not None]
            if values and reply.finished:
                scored.append((sum(values) / len(values), reply.text))
        best, worst = max(scored, default=None), min(scored, default=None)
        if best is None or worst is None or best[0] <= worst[0] or best[1] == worst[1]:
            continue
        rows.append(
            {
                "prompt": [{"role": "user", "content": task.text}],
                "chosen": [{"role": "assistant", "content": best[1]}],
                "rejected": [{"role": "assistant", "content": worst[1]}],
                "truth": [oracle_score(task, best[1]), oracle_score(task, worst[1])],
            }
        )
    return rows


def quality(truths: Iterable[Sequence[float]]) -> dict[str, float]:
    """Of a round's pairs: how many, the oracle's mean gap (0..5), the share that the oracle would not turn round."""
    gaps = [chosen - rejected for chosen, rejected in truths]
    return {
        "pairs": len(gaps),
        "gap": round(sum(gaps) / len(gaps), 3) if gaps else 0.0,
        "not_reversed": round(sum(gap >= 0 for gap in gaps) / len(gaps), 3) if gaps else 0.0,
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def as_replies(groups: Iterable[Iterable[Mapping[str, Any]]]) -> list[list[Reply]]:
    return [[Reply(one["text"], one["finished"]) for one in group] for group in groups]


def _prompt(task: Task) -> Prompt:
    return Prompt(task.text, (Message("user", task.text),), "train", "sandbox")
