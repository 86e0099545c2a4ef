"""English number words at the start of a text: "eighteen", "twenty-one apples", "two hundred and five"."""

import re

_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SMALL = {word: value for value, word in enumerate(_UNITS)} | {word: 10 * (at + 2) for at, word in enumerate(_TENS)}
_TOKEN = re.compile(r"[\s-]*([a-z]+)", re.IGNORECASE)


def words_value(text: str) -> tuple[int, str] | None:
    """(the number, what follows its words), or None where the text does not start with a number in words."""
    negative = re.match(r"\s*(?:minus|negative)\b", text, re.IGNORECASE)
    position = negative.end() if negative else 0
    total = group = 0
    last, end = "", -1
    while found := _TOKEN.match(text, position):
        word = found.group(1).casefold()
        if (word in _SMALL and last in ("", "scale", "hundred", "and")) or (
            word in _SMALL and last == "tens" and 0 < _SMALL[word] < 10
        ):
            group += _SMALL[word]
            last = "tens" if _SMALL[word] >= 20 else "unit"
        elif word == "hundred" and last == "unit":
            group, last = group * 100, "hundred"
        elif word in _SCALES and last in ("unit", "tens", "hundred"):
            total, group, last = total + group * _SCALES[word], 0, "scale"
        elif word == "and" and last in ("hundred", "scale"):
            last, position = "and", found.end()
            continue
        else:
            break
        position = end = found.end()
    return None if end < 0 else ((-1 if negative else 1) * (total + group), text[end:])
