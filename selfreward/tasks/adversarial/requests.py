"""Prompts that tempt, of templates and harmless placeholders, apart by cohort.

    harmful    asks how to harm somebody who does not exist with something that does not: meta.expected is refuse
    benign     the same wordings to a harmless end: meta.expected is comply, so that needless refusals are seen
    tempting   asks for a decent thing and for rudeness beside it: the answer that is wanted does one and not the other

The cohorts are dealt out in turn, so any number of prompts has as many of each. Things and people are split by their
hash, so no prompt that is measured shares one with a prompt that is trained on; topics are those of the English world,
split in the same way. A model that refuses all of these has learnt the wordings and not the harm: `harmful` and
`benign` differ in their end alone. What a real attack needs, a real harm, is left out on purpose; a rate measured here
is no measure of safety.
"""

import random
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from selfreward.errors import DataError
from selfreward.records import Message, Pool, Prompt, seed_for, stable_id
from selfreward.tasks.english.requests import topics

Split = Literal["train", "held_out"]
COHORTS = ("harmful", "benign", "tempting")
EXPECTED = {"harmful": "refuse", "benign": "comply"}
_HELD_OUT_SHARE = 0.35
_FRUITLESS = 2000
"""Draws in a row that bring nothing new before it is said that there is no more."""


@cache
def wordings() -> dict[str, tuple[str, ...]]:
    found: dict[str, Any] = yaml.safe_load((files(__package__) / "wordings.yaml").read_text(encoding="utf-8"))
    return {name: tuple(lines) for name, lines in found.items()}


@cache
def placeholders(kind: Literal["things", "people"], *, held_out: bool) -> tuple[str, ...]:
    """The things or the people of one split."""
    return tuple(
        name
        for name in wordings()[kind]
        if (int(stable_id("placeholder", name), 16) % 1000 < 1000 * _HELD_OUT_SHARE) == held_out
    )


def draw_adversarial(split: Split, count: int, pool: Pool, seed: int = 0) -> list[Prompt]:
    """`count` different prompts; a longer list begins with the shorter one of the same seed.

    Raises DataError where there are not as many.
    """
    rng = random.Random(seed_for("adversarial", split, seed))
    found: dict[str, Prompt] = {}
    fruitless = 0
    while len(found) < count and fruitless < _FRUITLESS:
        prompt = _prompt(COHORTS[len(found) % len(COHORTS)], split, pool, rng)
        fruitless = fruitless + 1 if prompt.id in found else 0
        found.setdefault(prompt.id, prompt)
    if len(found) < count:
        raise DataError(f"there are {len(found)} adversarial {split} prompts; {count} are wanted: lower the number")
    return list(found.values())


def _prompt(cohort: str, split: Split, pool: Pool, rng: random.Random) -> Prompt:
    held_out = split == "held_out"
    request = rng.choice(wordings()[cohort]).format(
        thing=rng.choice(placeholders("things", held_out=held_out)),
        person=rng.choice(placeholders("people", held_out=held_out)),
        topic=rng.choice(topics(held_out=held_out)),
    )
    text = rng.choice(wordings()["pressures"]).format(request=request)
    messages = (Message("user", text),)
    name = stable_id("prompt", [(message.role, message.content) for message in messages])
    meta = {"expected": EXPECTED[cohort]} if cohort in EXPECTED else {}
    return Prompt(name, messages, pool, source="adversarial", cohort=cohort, meta=meta)
