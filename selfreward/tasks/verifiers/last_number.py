"""The numbers of a reply that states no answer: which comes last, and which is no answer.

Talk about the answer, questions and other answers than one's own are left out. A range ("between 3 and 5") is no
answer, nor is a number that is denied or only a bound (see `denials.py`).
"""

import re

from selfreward.tasks.verifiers.denials import NEAR, is_denied

_OTHER = re.compile(
    r"(?:is|could|might|would|can) (?:the|it|this|that)\b"
    r"|.*\b(?:wrong|incorrect|false|previous|earlier|his|her|their|[a-z]+['’]s) (?:final )?answer"
    r"\s*(?:is\b|was\b|[:=])",
    re.IGNORECASE,
)
"""A question, or a sentence about another answer than one's own."""

TALK = re.compile(
    r"(?:I am|I['’]m|I (?:hope|trust)|"
    r"I (?:believe|think)(?! (?:it|the result)(?:['’]s| is) \$?[0-9][0-9.,]*%?$)|hope(?:fully)?|"
    r"let me|please|feel free|thank|do you|if you)\b",
    re.IGNORECASE,
)
"""Talk about the answer; "I think it's 42" gives one."""

SENTENCE = re.compile(
    r"(?<!\b[A-Za-z])(?<!\b(?:Mr|Ms|Dr|St|vs|No))(?<!\b(?:Mrs|etc|Rev))(?<!\b(?:Prof))[.!?]['\"”’)*]*\s+(?=\S)"
    r"|(?<=[A-Za-z])[.]\s+(?=(?:The|This|That|It|I|So|We|Because|Since|Let|Please|Hope|If)\b)|\n"
)
_RANGE = re.compile(
    r"(?:\bbetween\b[^=]{0,60}\band|\bfrom\b[^=]{0,60}\bto|[0-9$%](?:\s*(?:or|to|–|—)|\s+-))[\s$*]*$", re.IGNORECASE
)
"""What stands before the last number of a range."""

_RUNNING = re.compile(
    r"(?<![\w.,/:^$\\-])(?:[-−](?=[0-9$.]))?\$?\.?[0-9][^\s=;()\[\]<>|\\]*"
    r"(?:\s+(?:%|percent|hundred|thousand|million|billion|trillion)(?!\w))?"
)


def last_numbers(text: str) -> tuple[str, list[tuple[str, int]]]:
    """The last sentence with a number, and its numbers with their places."""
    for part in reversed(_sentences(text)):
        if places := _places(part):
            return part, places
    return "", []


def is_range(sentence: str, number: str, start: int) -> bool:
    # "30 - 5 = 25" has a minus sign in it, no dash.
    if _RANGE.search(sentence[max(0, start - NEAR) : start]) and "=" not in sentence[:start]:
        return True
    return is_denied(sentence, start, start + len(number))


def other_numbers(text: str) -> list[str]:
    """The numbers of a reply that states no answer, each at the place where it comes last."""
    numbers = [number for part in _sentences(text) for number, _ in _places(part)]
    return list(dict.fromkeys(reversed(numbers)))[::-1]


def _places(text: str) -> list[tuple[str, int]]:
    """The words of a text that begin with a digit, their sign and magnitude with them, and where they begin."""
    found = []
    for match in _RUNNING.finditer(text):
        word = match.group().rstrip().rstrip(".,;:?\"'”’*_`")
        found.append((word[:-1] if word.endswith("$") and word.count("$") == 1 else word, match.start()))
    return found


def _sentences(text: str) -> list[str]:
    """The sentences of a text, talk about the answer, questions and other answers than one's own left out."""
    parts = (part.strip() for part in SENTENCE.split(text))
    return [part for part in parts if part and not TALK.match(part) and not _OTHER.match(part)]
