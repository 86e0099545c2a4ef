"""Prompts of the English world: a request about a topic, with one verifiable instruction or none.

    train      topics of the training split, instructions of `TRAINED` kinds
    held_out   other topics, the same kinds
    unseen     other topics, kinds that training never asks for
    plain      other topics, no instruction: for judges, helpfulness, length and diversity

Topics are split by their hash, so no evaluation prompt shares its topic with a training prompt. A prompt's text decides
its id, and no text is drawn twice.
"""

import random
from functools import cache
from importlib.resources import files
from typing import Literal

from selfreward.errors import DataError
from selfreward.records import Message, Pool, Prompt, seed_for, stable_id
from selfreward.tasks.english.constraints import TRAINED, UNSEEN

Kind = Literal["train", "held_out", "unseen", "plain"]
KINDS: tuple[Kind, ...] = ("train", "held_out", "unseen", "plain")
_HELD_OUT_SHARE = 0.35
_FRUITLESS = 2000
"""Draws in a row that bring nothing new before it is said that there is no more."""


@cache
def _lines(name: str) -> tuple[str, ...]:
    return tuple((files(__package__) / name).read_text(encoding="utf-8").splitlines())


@cache
def topics(*, held_out: bool) -> tuple[str, ...]:
    """The topics of one split, in the order of their file."""
    return tuple(
        topic
        for topic in _lines("topics.txt")
        if (int(stable_id("topic", topic), 16) % 1000 < 1000 * _HELD_OUT_SHARE) == held_out
    )


def draw_requests(kind: Kind, count: int, pool: Pool, seed: int = 0) -> list[Prompt]:
    """`count` different prompts; a longer list begins with the shorter one of the same seed.

    Raises DataError where the world has not as many.
    """
    rng = random.Random(seed_for("english", kind, seed))
    about, asked = topics(held_out=kind != "train"), _lines("requests.txt")
    found: dict[str, Prompt] = {}
    fruitless = 0
    while len(found) < count and fruitless < _FRUITLESS:
        request = rng.choice(asked).format(topic=rng.choice(about))
        constraint = None if kind == "plain" else rng.choice(UNSEEN if kind == "unseen" else TRAINED)(rng)
        text = request if constraint is None else f"{request} {constraint.text}"
        messages = (Message("user", text),)
        name = stable_id("prompt", [(message.role, message.content) for message in messages])
        meta = {}
        if constraint is not None:
            meta = {"instruction_id_list": [constraint.kind], "kwargs": [dict(constraint.arguments)]}
        cohort = "plain" if constraint is None else constraint.kind.partition(":")[2]
        fruitless = fruitless + 1 if name in found else 0
        found.setdefault(name, Prompt(name, messages, pool, source="english", cohort=cohort, meta=meta))
    if len(found) < count:
        raise DataError(f"the English world has {len(found)} {kind} prompts; {count} are wanted: lower the number")
    return list(found.values())
