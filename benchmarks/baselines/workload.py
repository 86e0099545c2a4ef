"""The work of one round, for every system alike: questions, how verdicts are read, which answers become a pair.

A `Work` is all that determines it. The driver writes it to a file, and every process of a system reads it from there.
Its questions are the sandbox's, or, with a file of prompts, English requests of a real model (baselines/english.py).
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from selfreward.engines.protocol import Completion
from selfreward.judging.prompts.prompt import JudgePrompt, judge_prompt
from selfreward.recipe import FileSource, JudgeRecipe
from selfreward.recipe.questions import ScoreQuestion
from selfreward.records import Message, Prompt
from selfreward.roles.unreadable import Unreadable
from selfreward.tasks.prompts_file import draw_training
from selfreward.tasks.sandbox.oracle import oracle_score
from selfreward.tasks.sandbox.pools import prompt_pool
from selfreward.tasks.sandbox.world import parse_task

Role = Literal["generate", "judge"]
Chat = list[dict[str, str]]


@dataclass(frozen=True)
class Reply:
    text: str
    finished: bool


@dataclass(frozen=True)
class Work:
    """K = `answers` to each of `prompts` prompts, N = `judgments` of each answer; then DPO on best against worst.

    `positions` bound a batch of the sides that cut batches themselves, padding included. `question`: what
    judge.question has beside its kind. With `planted` a reply's score is drawn by lot from its text: for a model that
    writes no verdict. `file`: the prompts of all `rounds`.
    """

    prompts: int
    answers: int
    judgments: int
    model: str = "sandbox:seed-0"
    dtype: Literal["float32", "bfloat16"] = "float32"
    threads: int = 1
    tokens: Mapping[str, int] = field(default_factory=lambda: {"generate": 40, "judge": 40})
    temperature: Mapping[str, float] = field(default_factory=lambda: {"generate": 0.9, "judge": 0.8})
    training: Mapping[str, float] = field(
        default_factory=lambda: {"beta": 0.3, "learning_rate": 2e-4, "num_train_epochs": 2, "warmup_steps": 5}
    )
    batch: int = 32
    micro_batch: int = 8
    positions: int = 24_576
    question: Mapping[str, Any] = field(default_factory=dict)
    planted: bool = False
    file: str | None = None
    rounds: int = 1

    @cached_property
    def wording(self) -> JudgePrompt:
        return judge_prompt(JudgeRecipe(question=ScoreQuestion(**self.question)))

    def asked(self, number: int) -> list[Prompt]:
        """The prompts of round `number`, which no other round has; 0 has two of the first one's, to warm up."""
        if number == 0:
            return self.asked(1)[:2]
        if self.file is None:
            return [_prompt(task.text) for task in prompt_pool("train", self.prompts, seed=9_000 + number)]
        found, _ = draw_training(FileSource(self.file), 0, self.rounds * self.prompts)
        return found[(number - 1) * self.prompts : number * self.prompts]

    def readings(self, number: int) -> int:
        """N, and one to warm up."""
        return self.judgments if number else 1

    def judge_chats(self, asked: Sequence[Prompt], replies: Sequence[Sequence[Reply]]) -> list[Chat]:
        """One conversation for every answer, equal ones too."""
        return [
            [{"role": turn.role, "content": turn.content} for turn in self.wording.ask(prompt, reply.text)]
            for prompt, group in zip(asked, replies, strict=True)
            for reply in group
        ]

    def read(self, prompt: Prompt, reply: Reply) -> float | None:
        """The score of a judgment, None where it has none."""
        if self.planted:
            return by_lot(reply.text)
        finish: Literal["stop", "length"] = "stop" if reply.finished else "length"
        found = self.wording.read(prompt, Completion(reply.text, "", (), finish))
        return None if isinstance(found, Unreadable) else found

    def pairs(
        self, asked: Sequence[Prompt], replies: Sequence[Sequence[Reply]], judgments: Sequence[Sequence[Reply]]
    ) -> list[dict[str, Any]]:
        """Best against worst by mean readable score, finished answers only; TRL's conversational preference rows.

        `truth` is the oracle's score of both, for the check beside the clock; no system looks at it.
        """
        verdicts, rows = iter(judgments), []
        for prompt, group in zip(asked, replies, strict=True):
            scored = []
            for reply in group:
                values = [value for one in next(verdicts) if (value := self.read(prompt, one)) is not None]
                if values and reply.finished:
                    scored.append((sum(values) / len(values), reply.text))
            best, worst = max(scored, default=None), min(scored, default=None)
            if best is None or worst is None or best[0] <= worst[0] or best[1] == worst[1]:
                continue
            rows.append(
                {
                    "prompt": [{"role": "user", "content": prompt.text}],
                    "chosen": [{"role": "assistant", "content": best[1]}],
                    "rejected": [{"role": "assistant", "content": worst[1]}],
                    "truth": truth(prompt.text, best[1], worst[1]),
                }
            )
        return rows

    def keys(self) -> list[str]:
        """The same as keys of a recipe: one chunk a stage, as the baselines ask everything at once."""
        roles = {"generate": "generate.sampling", "judge": "judge.reading.sampling"}
        training = {
            "beta": self.training["beta"],
            "learning_rate": self.training["learning_rate"],
            "epochs": self.training["num_train_epochs"],
            "warmup_steps": self.training["warmup_steps"],
            "batch_size": self.batch,
            "micro_batch_size": self.micro_batch,
            "nll": 0.0,
        }
        return [
            f"model.path={self.model}",
            f"model.dtype={self.dtype}",
            f"engine.threads={self.threads}",
            f"engine.batch_tokens={self.positions}",
            "engine.chunk=100000",
            *([] if self.file is None else [f"prompts.source={self.file}"]),
            f"prompts.per_round={self.prompts}",
            f"generate.samples={self.answers}",
            f"judge.aggregate.samples={self.judgments}",
            *(f"judge.question.{name}={value}" for name, value in self.question.items()),
            *(f"{keys}.temperature={self.temperature[role]}" for role, keys in roles.items()),
            *(f"{keys}.max_tokens={self.tokens[role]}" for role, keys in roles.items()),
            *(f"train.{name}={value}" for name, value in training.items()),
        ]

    def write(self, path: Path) -> Path:
        write_json(path, dataclasses.asdict(self))
        return path

    @staticmethod
    def from_file(path: str | Path) -> "Work":
        return Work(**read_json(Path(path)))


def by_lot(text: str) -> float:
    """A score from 0 to 5, the same for equal texts and hardly ever for others, so that few answers tie."""
    return round(int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32 * 5, 6)


def generator_chats(asked: Sequence[Prompt]) -> list[Chat]:
    return [[{"role": "user", "content": prompt.text}] for prompt in asked]


def truth(asked: str, chosen: str, rejected: str) -> list[float]:
    """The oracle's score of both answers, where the sandbox's oracle knows the task; else nothing."""
    task = parse_task(asked)
    return [] if task is None else [oracle_score(task, chosen), oracle_score(task, rejected)]


def quality(truths: Iterable[Sequence[float]]) -> dict[str, float]:
    """Of a round's pairs: how many, the oracle's mean gap (0..5), the share that the oracle would not turn round."""
    truths = list(truths)
    gaps = [known[0] - known[1] for known in truths if known]
    return {
        "pairs": len(truths),
        "gap": round(sum(gaps) / len(gaps), 3) if gaps else 0.0,
        "not_reversed": round(sum(gap >= 0 for gap in gaps) / len(gaps), 3) if gaps else 0.0,
    }


def digest_of(asked: Sequence[Prompt]) -> str:
    """Equal for equal questions, in whatever order they are asked."""
    return hashlib.sha256(json.dumps(sorted(prompt.text for prompt in asked)).encode()).hexdigest()[:12]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def as_replies(groups: Iterable[Iterable[Mapping[str, Any]]]) -> list[list[Reply]]:
    return [[Reply(one["text"], one["finished"]) for one in group] for group in groups]


def _prompt(text: str) -> Prompt:
    return Prompt(text, (Message("user", text),), "train", "sandbox")
