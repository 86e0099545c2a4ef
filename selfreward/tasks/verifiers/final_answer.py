"""The final answer of a reply: what a self-consistency vote counts, and what an exact verifier compares.

In this order: the last \\boxed{...}; the rest of the line after the last "####" (GSM8K), or after the last "answer is",
"answer:" or "answer =" (a final full stop dropped); the last number. Without any of these there is none (""): a whole
reply is no final answer, since two of them never agree. Numbers lose thousands separators, a unit's dollar sign and
trailing zeros, so "$1,200.00" and "1200" are one answer; words are casefolded.
"""

import re
from decimal import Decimal, InvalidOperation

_MARKED = re.compile(r"(?:####|\banswer\s*(?:is|:|=))[ \t]*:?[ \t]*(.+)", re.IGNORECASE)
_NUMBER = re.compile(r"[-−]?\$?[0-9](?:[0-9,]*[0-9])?(?:\.[0-9]+)?")


def final_answer(text: str) -> str:
    """The final answer in its normal form, or "" where there is none."""
    boxed = last_boxed(text)
    if boxed is not None:
        return normal(boxed)
    marked = list(_MARKED.finditer(text))
    if marked:
        return normal(marked[-1].group(1))
    numbers = _NUMBER.findall(text)
    return normal(numbers[-1]) if numbers else ""


def last_boxed(text: str) -> str | None:
    """What stands in the last \\boxed{...} with its braces balanced, or None."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth, first = 1, start + len("\\boxed{")
    for position in range(first, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[first:position]
    return None


def normal(answer: str) -> str:
    """One form for answers that differ in decoration only."""
    plain = " ".join(answer.strip().strip("*`_ ").rstrip(".").strip("*`_$ ").split()).casefold()
    value = number_in(plain)
    return plain if value is None else _shortest(value)


def number_in(text: str) -> Decimal | None:
    """The number that `text` is, decoration apart, or None where it is more or less than one number."""
    plain = text.strip().replace("−", "-").replace("$", "").replace(",", "").rstrip("%.").strip()
    if not re.fullmatch(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[-+]?[0-9]{1,3})?", plain, re.IGNORECASE):
        return None
    try:
        return Decimal(plain)
    except InvalidOperation:
        return None


def _shortest(value: Decimal) -> str:
    text = format(value.normalize(), "f")
    return "0" if text in ("-0", "0") else text
