"""What probes have in common: a further turn, a value for each question, and reading a reply's words."""

import re
from collections.abc import Mapping, Sequence

from selfreward.measuring.evidence import AskedValue
from selfreward.measuring.probes.asked import Better, values
from selfreward.records import Message, Prompt

CHOICE = re.compile(r"\(([A-Z])\)")
LONE_LETTER = re.compile(r"\s*([A-Z])[.):]?\s*")

Found = tuple[str, Mapping[str, float], bool, Better]
"""How the metric's name ends, the values by question, whether they are 0 or 1, and which side is better."""


def told(
    probe: str, questions: Mapping[str, str], results: Sequence[Found], *, oracle: bool = False
) -> list[AskedValue]:
    """Every result's values. `questions` maps each to its cluster."""
    return [
        row
        for ending, found, share, better in results
        for row in values(f"{probe}_{ending}", questions, found, share=share, better=better, oracle=oracle)
    ]


def alone(names: Sequence[str]) -> dict[str, str]:
    """Each question is its own cluster."""
    return {name: name for name in names}


def minus(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Question by question, where both have a value."""
    return {name: one[name] - other[name] for name in one if name in other}


def opening(name: str, text: str, cohort: str) -> Prompt:
    """A conversation that the user begins with `text`."""
    return Prompt(name, (Message("user", text),), "report", "file", cohort)


def go_on(asked: Prompt, reply: str, turn: str, suffix: str) -> Prompt:
    """The conversation with its reply and the user's next turn."""
    messages = (*asked.messages, Message("assistant", reply), Message("user", turn))
    return Prompt(f"{asked.id}/{suffix}", messages, asked.pool, asked.source, asked.cohort)


def contains(reply: str, answer: str) -> bool:
    """Whole words in this order, without regard to case and punctuation."""
    inside, outside = (" ".join(re.findall(r"\w+", text.lower())) for text in (answer, reply))
    return f" {inside} " in f" {outside} "


def choice(reply: str) -> str | None:
    """The letter of the first bracketed choice, or a reply that is one letter."""
    found = CHOICE.search(reply) or LONE_LETTER.fullmatch(reply)
    return found.group(1) if found else None
