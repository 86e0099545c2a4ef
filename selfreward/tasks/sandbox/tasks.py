"""Tasks: their text, their right answer, and the way back from text to task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from selfreward.tasks.sandbox.words import FAMILIES, LARGEST_ADDEND, LETTERS, MODIFIERS, NUMBERS, PLAIN, VERBS, VOWELS

Answer = tuple[str, ...]
CLAIM_WORDS = ("we", "think", "it", "is")
FEWEST_ITEMS, MOST_ITEMS = 2, 8
"""How many letters `parse_task` accepts; drawn tasks have three to five."""


@dataclass(frozen=True)
class Task:
    """One instruction. `old` is the letter to count or to replace, `new` the letter that replaces it."""

    family: str
    verb: str
    items: Answer
    old: str = ""
    new: str = ""
    modifier: str = PLAIN
    claim: Answer | None = None
    """The answer that the user says they expect, right or wrong."""

    @cached_property
    def gold(self) -> Answer:
        """The right answer, without format."""
        return _SOLVERS[self.family](self)

    @property
    def claim_is_right(self) -> bool:
        return self.claim == self.gold

    @cached_property
    def body(self) -> str:
        """The instruction without format modifier and claim."""
        items = " ".join(self.items)
        if self.family == "add":
            return f"{self.verb} {self.items[0]} and {self.items[1]}"
        if self.family == "count":
            return f"{self.verb} {self.old} in {items}"
        if self.family == "replace":
            return f"{self.verb} {self.old} by {self.new} in {items}"
        return f"{self.verb} {items}"

    @cached_property
    def text(self) -> str:
        """What the user says, for example `order f h j ; with commas ; we think it is f j h`."""
        parts = [self.body]
        if self.modifier:
            parts.append(self.modifier)
        if self.claim is not None:
            parts.append(" ".join((*CLAIM_WORDS, *self.claim)))
        return " ; ".join(parts)


_SOLVERS: dict[str, Callable[[Task], Answer]] = {
    "repeat": lambda task: task.items,
    "reverse": lambda task: task.items[::-1],
    "sort": lambda task: tuple(sorted(task.items)),
    "dedupe": lambda task: tuple(dict.fromkeys(task.items)),
    "vowels": lambda task: tuple(item for item in task.items if item in VOWELS),
    "replace": lambda task: tuple(task.new if item == task.old else item for item in task.items),
    "count": lambda task: (str(task.items.count(task.old)),),
    "add": lambda task: (str(sum(int(item) for item in task.items)),),
}


def parse_task(text: str) -> Task | None:
    """The task whose `text` this is, or None when it is not a well-formed task with an answer."""
    body, *options = (part.split() for part in text.split(" ; "))
    modifier, claim = PLAIN, None
    for position, option in enumerate(options):
        if " ".join(option) in MODIFIERS[1:] and position == 0:
            modifier = " ".join(option)
        elif tuple(option[:4]) == CLAIM_WORDS and len(option) > 4 and position == len(options) - 1:
            claim = tuple(option[4:])
        else:
            return None
    family, verb, rest = _read_verb(body)
    operands = _read_operands(family, rest)
    if operands is None:
        return None
    items, old, new = operands
    task = Task(family, verb, items, old, new, modifier, claim)
    return task if task.gold and task.text == text else None


def _read_verb(words: Sequence[str]) -> tuple[str, str, list[str]]:
    for family in FAMILIES:
        for verb in VERBS[family]:
            size = len(verb.split())
            if " ".join(words[:size]) == verb:
                return family, verb, list(words[size:])
    return "", "", []


def _read_operands(family: str, words: list[str]) -> tuple[Answer, str, str] | None:
    """Items, old letter and new letter of a body after its verb; None when they do not fit the family."""
    old = new = ""
    if family == "add":
        addends = NUMBERS[: LARGEST_ADDEND + 1]
        if len(words) == 3 and words[1] == "and" and words[0] in addends and words[2] in addends:
            return (words[0], words[2]), "", ""
        return None
    if family == "count":
        if len(words) < 2 or words[1] != "in":
            return None
        old, words = words[0], words[2:]
    elif family == "replace":
        if len(words) < 4 or words[1] != "by" or words[3] != "in":
            return None
        old, new, words = words[0], words[2], words[4:]
    elif not family:
        return None
    letters = [*words, *(letter for letter in (old, new) if letter)]
    if not FEWEST_ITEMS <= len(words) <= MOST_ITEMS or any(letter not in LETTERS for letter in letters):
        return None
    return tuple(words), old, new
