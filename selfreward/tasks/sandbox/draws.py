"""Drawing tasks, the plausible mistakes that users and demonstrators make, and the split of every task text."""

import hashlib
import random
from collections.abc import Collection
from dataclasses import replace
from typing import Literal, get_args

from selfreward.tasks.sandbox.tasks import Answer, Task
from selfreward.tasks.sandbox.words import (
    BRACKETS,
    COMMAS,
    FAMILIES,
    LARGEST_ADDEND,
    LETTERS,
    MODIFIERS,
    NUMBERS,
    VERBS,
    VOWELS,
)

Split = Literal["train", "gate", "selection", "report"]
SPLITS: tuple[Split, ...] = get_args(Split)
_HELD_OUT_PERCENT = 5
"""Share of all task texts that belongs to each of the three evaluation splits; the rest is for training."""

CLAIM_SHARE = 0.25
CLAIM_IS_RIGHT = 0.3
_MODIFIER_WEIGHTS = (0.6, 0.2, 0.2)
_NEAR_MISSES = (-3, -2, -1, -1, 1, 1, 2, 3)


def split_of(text: str) -> Split:
    """The split of a task text: a hash decides, so held-out texts are kept out everywhere without a list of them."""
    bucket = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") % 100
    for position, split in enumerate(SPLITS[1:], start=1):
        if bucket >= 100 - position * _HELD_OUT_PERCENT:
            return split
    return "train"


def draw_split_task(rng: random.Random, split: Split = "train", family: str | None = None) -> Task:
    """A random task of one split."""
    while True:
        task = draw_task(rng, family)
        if split_of(task.text) == split:
            return task


def draw_task(rng: random.Random, family: str | None = None, claim_share: float = CLAIM_SHARE) -> Task:
    """A random task of any split: three to five items, a format in 40 %, a user's claim in `claim_share`."""
    family = family or rng.choice(FAMILIES)
    items, old, new = _draw_operands(rng, family)
    task = Task(family, rng.choice(VERBS[family]), items, old, new, rng.choices(MODIFIERS, _MODIFIER_WEIGHTS)[0])
    if task.modifier == COMMAS and len(task.gold) < 2:  # one item has no commas to show
        task = replace(task, modifier=BRACKETS)
    if rng.random() < claim_share:
        right = rng.random() < CLAIM_IS_RIGHT
        task = replace(task, claim=task.gold if right else plausible_mistake(task, rng))
    return task


def _draw_operands(rng: random.Random, family: str) -> tuple[Answer, str, str]:
    """Items, old letter, new letter."""
    if family == "add":
        return tuple(str(rng.randint(0, LARGEST_ADDEND)) for _ in range(2)), "", ""
    count = rng.randint(3, 5)
    if family == "count":
        counted = rng.choice(LETTERS)
        return tuple(counted if rng.random() < 0.4 else rng.choice(LETTERS) for _ in range(count)), counted, ""
    if family == "dedupe":
        pool = rng.sample(LETTERS, max(2, count - rng.randint(1, 2)))
        return tuple(rng.choice(pool) for _ in range(count)), "", ""
    if family == "vowels":
        vowels = sorted(VOWELS)
        letters = [rng.choice(vowels) if rng.random() < 0.45 else rng.choice(LETTERS) for _ in range(count)]
        if VOWELS.isdisjoint(letters):
            letters[rng.randrange(count)] = rng.choice(vowels)
        return tuple(letters), "", ""
    letters = [rng.choice(LETTERS) for _ in range(count)]
    if family == "replace":
        old = rng.choice(letters)
        return tuple(letters), old, rng.choice([letter for letter in LETTERS if letter != old])
    return tuple(letters), "", ""


def plausible_mistake(task: Task, rng: random.Random, avoid: Collection[Answer] = ()) -> Answer:
    """A wrong answer such as a careless person gives: a habit of the family, a swap, a drop, a wrong or extra item.

    Never the right answer, never one of `avoid`, never empty.
    """
    while True:
        answer = _numeric_mistake(task, rng) if task.family in ("count", "add") else _list_mistake(task, rng)
        if answer and answer != task.gold and answer not in avoid:
            return answer


def _numeric_mistake(task: Task, rng: random.Random) -> Answer:
    value = int(task.gold[0]) + rng.choice(_NEAR_MISSES)
    return (str(value),) if 0 <= value < len(NUMBERS) else ()


def _list_mistake(task: Task, rng: random.Random) -> Answer:
    answer = list(task.gold)
    kind = rng.random()
    position = rng.randrange(len(answer))
    if kind < 0.35:
        return _habit(task, rng)
    if kind < 0.60 and len(answer) > 1:
        position = rng.randrange(len(answer) - 1)
        answer[position], answer[position + 1] = answer[position + 1], answer[position]
    elif kind < 0.75 and len(answer) > 1:
        answer.pop(position)
    elif kind < 0.90:
        answer[position] = rng.choice(task.items if rng.random() < 0.5 else LETTERS)
    else:
        answer.insert(rng.randrange(len(answer) + 1), rng.choice(task.items))
    return tuple(answer)


def _habit(task: Task, rng: random.Random) -> Answer:
    """The mistake typical of the family: mostly giving the items back untouched."""
    other = rng.random() < 0.5
    if task.family == "sort" and other:
        return tuple(sorted(task.items, reverse=True))
    if task.family == "reverse" and other:
        return tuple(sorted(task.items))
    if task.family == "repeat":
        return task.gold[:-1]
    if task.family == "vowels":
        consonants = [item for item in task.items if item not in VOWELS]
        answer = list(task.gold)
        if consonants:
            answer.insert(rng.randrange(len(answer) + 1), rng.choice(consonants))
        return tuple(answer)
    return task.items
