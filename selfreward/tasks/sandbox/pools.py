"""Frozen pools of prompts and of replies to judge: the same for everybody, disjoint by text from all training."""

import random
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from selfreward.tasks.sandbox.annotator import AnnotatorDials, annotate, judgment_quality
from selfreward.tasks.sandbox.demonstrator import JUDGED_REPLIES, demonstrate
from selfreward.tasks.sandbox.draws import Split, draw_split_task, draw_task, plausible_mistake, split_of
from selfreward.tasks.sandbox.oracle import oracle_score
from selfreward.tasks.sandbox.tasks import Task

JUDGE_POOL_SIZE = 450
_REPLIES_PER_TASK = 3
_CLAIM_TRIES = 100
_CAREFUL, _CARELESS = AnnotatorDials(noise=0.1), AnnotatorDials(noise=0.9)


class JudgedReply(NamedTuple):
    """A demonstrator's reply and its oracle score."""

    task: Task
    response: str
    score: int


class MetaItem(NamedTuple):
    """Two annotators' judgments of one reply; `better` is the slot, A or B, of the truly better one."""

    task: Task
    response: str
    first: str
    second: str
    better: str


def prompt_pool(split: Split, size: int, seed: int = 0) -> list[Task]:
    """`size` tasks with distinct texts, all of `split`. A longer pool begins with the shorter one."""
    return list(_drawn(split, size, seed))


@lru_cache(maxsize=16)
def _drawn(split: Split, size: int, seed: int) -> tuple[Task, ...]:
    """Nineteen draws in twenty are of another split than a held-out pool's, and every stage of a round asks for it."""
    rng = random.Random(f"prompts {split} {seed}")
    tasks: dict[str, Task] = {}
    while len(tasks) < size:
        task = draw_split_task(rng, split)
        tasks.setdefault(task.text, task)
    return tuple(tasks.values())


def claim_pool(split: Split, size: int) -> list[tuple[Task, Task]]:
    """Tasks without a claim, each beside itself with a wrong one; both texts are of `split`."""
    rng = random.Random(f"wrong claims {split}")
    pairs: dict[str, tuple[Task, Task]] = {}
    while len(pairs) < size:
        task = draw_task(rng, claim_share=0.0)
        if split_of(task.text) != split:
            continue
        # One claim in twenty makes a text of the same split; a task with few plausible mistakes is given up.
        for _ in range(_CLAIM_TRIES):
            claimed = replace(task, claim=plausible_mistake(task, rng))
            if split_of(claimed.text) == split:
                pairs.setdefault(task.text, (task, claimed))
                break
    return list(pairs.values())


def judge_pool(size: int = JUDGE_POOL_SIZE, split: Split = "report") -> list[JudgedReply]:
    """Replies of the demonstrator, three to a task, with the truth about them."""
    rng = random.Random(f"judged replies {split}")
    replies = []
    for task in prompt_pool(split, -(-size // _REPLIES_PER_TASK)):
        for _ in range(_REPLIES_PER_TASK):
            response = demonstrate(task, rng, JUDGED_REPLIES)
            replies.append(JudgedReply(task, response, oracle_score(task, response)))
    return replies[:size]


def meta_pool(size: int = 300, split: Split = "report") -> list[MetaItem]:
    """Pairs of human-like judgments of different quality. A meta-judge looks better here than on its own judgments."""
    rng = random.Random(f"judgment pairs {split}")
    items: list[MetaItem] = []
    tasks = prompt_pool(split, size)
    while len(items) < size:
        task = tasks[len(items)]
        response = demonstrate(task, rng, JUDGED_REPLIES)
        first, second = annotate(task, response, rng, _CAREFUL), annotate(task, response, rng, _CARELESS)
        if rng.random() < 0.5:
            first, second = second, first
        difference = judgment_quality(task, response, first) - judgment_quality(task, response, second)
        if difference:
            items.append(MetaItem(task, response, first, second, "A" if difference > 0 else "B"))
    return items
