"""One normal form of final answers: for `exact`, `numeric` and the votes of self-consistency.

`plain` takes off what is decoration (dollar signs and \\text of LaTeX, \\dfrac for \\frac, bold marks, thin spaces, the
final full stop) and touches nothing else. `normal` writes a quantity in one way (`$1,200.00` is `1200`, `1/2` is
`0.5`, `18 dollars` is `18`) and folds the case of words, but not of LaTeX, where \\Delta and \\delta differ. A text
with a number in it (`COVID-19`, `2024-05-01`, `10:30`, `H2O`) stays the text it is.

`compared` is the verdict: first whole normal forms, then quantities, and None ("left open") where a gold number meets a
text that holds digits or symbols of mathematics and cannot be read as one number.
"""

import re
from unicodedata import decimal

from selfreward.tasks.verifiers.quantity import LONGEST, Quantity, quantity, same_quantity, shortest

_TEXT = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mathsf|operatorname|mbox|emph|rm|bf)\s*\{([^{}]*)\}"
)
_SPACES = re.compile(r"\\[,;:! ]|\\quad|\\qquad|(?<!\\)~|[\u00a0\u2000-\u200a\u202f\u205f\u3000]")
_GROUPED = re.compile(r"(?<=[0-9])(?:\\[,!;: ]|\{,\}|,\\!|~|[\u00a0\u2009\u202f])(?=[0-9]{3}(?![0-9]))")
_VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8"}
_WRAPPERS = (
    ("$$", "$$"),
    ("$", "$"),
    (r"\(", r"\)"),
    (r"\[", r"\]"),
    ("**", "**"),
    ("__", "__"),
    ("`", "`"),
    ("*", "*"),
)
_DOLLAR = re.compile(r"(?<!\\)\$")
_FORMULA = re.compile(r"(?<!\\)\$([^$]*[^$\s\\])\$(?![0-9])")
_RUN = re.compile(r"[\w-]+")
_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")
DEEPEST = 16
"""Marks around marks that are taken off; nobody writes more, and each costs a look at the whole text."""

_UNREAD = re.compile(r"[0-9\\π∞√]")


def ascii_digits(text: str) -> str:
    """Decimal digits of every script (１８, ١٨) as 0 to 9; superscripts are no such digits."""
    if text.isascii():
        return text
    return "".join(str(decimal(one)) if one.isdecimal() else one for one in text)


def plain(answer: str) -> str:
    """`answer` without decoration, its spaces folded and its case kept."""
    text = _GROUPED.sub(",", re.sub(r",\\!\s*(?=[0-9])", ",", ascii_digits(answer)))
    text = re.sub(r"\\left(?![a-z])|\\right(?![a-z])", "", text)
    text = re.sub(r"\\[dt]frac(?![a-z])", r"\\frac", text).replace(r"\%", "%")
    text = re.sub(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-z]))|\\degree(?![a-z])", "°", text)
    for _ in range(3):
        text = _TEXT.sub(r" \1 ", text)
    text = _SPACES.sub(" ", text)
    for sign, written in _VULGAR.items():
        text = text.replace(sign, f" {written}")
    text = text.replace("−", "-").replace("⁄", "/").replace("\u2011", "-").replace("\u200b", "")
    text = _unwrapped(" ".join(text.split()))
    if len(_DOLLAR.findall(text)) % 2 == 0:
        text = _FORMULA.sub(r"\1", text)
    text = text.replace(r"\$", "$")
    return " ".join(text.split())


def _unwrapped(text: str) -> str:
    """`text` without the marks around all of it, and without its final full stop."""
    for _ in range(DEEPEST):
        before = text
        text = text.strip().strip("*`_ ")
        if (
            text.endswith((".", "。"))
            and not text.endswith(("..", r"\."))
            and not re.search(r"\b[A-Za-z]\.[A-Za-z]\.$", text)
        ):
            text = text[:-1].rstrip()
        for left, right in _WRAPPERS:
            inner = text[len(left) : len(text) - len(right)]
            around = len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right)
            if around and left not in inner.replace(r"\$", "") and not inner.endswith("\\"):
                text = inner
                break
        text = text.removesuffix("$") if text.count("$") - text.count(r"\$") == 1 and not text.endswith(r"\$") else text
        if text.startswith("{") and text.endswith("}") and text.count("{") == 1:
            text = text[1:-1]
        if text == before:
            break
    return text


def normal(answer: str) -> str:
    """The one form of all answers that differ in decoration only."""
    text = plain(answer)
    found = quantity(text)
    if found is not None:
        return written(found)
    if "\\" in text:
        return re.sub(r"\s*([-+=,/^_{}()])\s*", r"\1", text)
    return text.casefold()


def written(found: Quantity) -> str:
    value = shortest(found.value)
    return f"{value}%" if found.unit == "%" else f"{value} {found.unit}".rstrip()


def compared(gold: str, reply: str) -> bool | None:
    """Whether `reply` is the answer `gold`; None where that cannot be told."""
    if normal(gold) == normal(reply):
        return True
    wanted, given = quantity(plain(gold)), quantity(plain(reply))
    if wanted is None:
        return False
    if given is None:
        return None if may_be_number(reply) else False
    return same_quantity(wanted, given)


def may_be_number(reply: str) -> bool:
    """Whether a text that is no quantity may state a number all the same: an expression, a range, a sum of units."""
    text = plain(reply)
    if len(text) > LONGEST:
        return bool(_UNREAD.search(text))
    return bool(_UNREAD.search(_RUN.sub(_without_name, text)))


def _without_name(word: re.Match[str]) -> str:
    """A word with a digit behind a letter (COVID-19, H2O) is a name, from that letter on."""
    letter = _LETTER.search(word.group())
    named = letter is not None and _DIGIT.search(word.group(), letter.end()) is not None
    return word.group()[: letter.start()] if letter is not None and named else word.group()
