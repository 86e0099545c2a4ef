"""LaTeX answers made ready: one spelling for what math-verify reads differently, and the last formula of a reply.

math-verify looks for formulas in prose. Given a bare `11\\sqrt2` it finds the 2, so an answer is always handed over
whole, in a box, after these changes: `\\sqrt2` and `\\frac12` get their braces, \\dfrac, \\tfrac and \\cfrac become
\\frac, \\left, \\right and spaces go, thousands lose their commas, a trailing unit (`\\text{ cm}^2`, `^\\circ`) goes.
"""

import re

_ARGUMENT = r"(\{(?:[^{}]|\{[^{}]*\})*\}|\\[a-zA-Z]+|[0-9a-zA-Z])"
_FRACTION = re.compile(rf"\\frac\s*{_ARGUMENT}\s*{_ARGUMENT}")
_ROOT = re.compile(r"\\sqrt\s*(\[[^\]]*\])?\s*([0-9a-zA-Z]|\\[a-zA-Z]+)")
_SINGLE = re.compile(r"([\^_])\s*\{\s*([0-9a-zA-Z])\s*\}")
_SPACE = re.compile(r"(?<!\\)\\[,;:! ]|\\quad(?![a-z])|\\qquad(?![a-z])|(?<!\\)~|&nbsp;")
_GROUPS = re.compile(r"(?<![0-9.])([0-9]{1,3}(?:,[0-9]{3})+)(?![0-9])")
_UNIT = re.compile(
    r"(?<=[0-9a-zA-Z})\]])\s*(?:\\(?:text|mathrm|mbox|textrm|textnormal|rm)\s*\{\s*(?!and\b|or\b|if\b)[^{}]*\}(?:\s*\^\s*\{?[0-9]\}?)?"
    r"|\^\s*\{?\s*\\circ\s*\}?|\\degree|\\%|%)\s*\.?$"
)
_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_FORMULA = re.compile(
    r"\$\$(?P<display>[^$]+)\$\$|(?<![\\$])\$(?P<inline>(?:[^$\\]|\\.)+)\$|\\\((?P<round>(?:(?!\\\)).)+)\\\)"
    r"|\\\[(?P<square>(?:(?!\\\]).)+)\\\]",
    re.DOTALL,
)


_REPEATING = re.compile(
    r"(?<![0-9.])(?P<whole>[0-9]{0,40})\.(?P<start>[0-9]{0,40})\\(?:overline|bar|dot)\s*\{?(?P<period>[0-9]{1,40})\}?"
)


def respelled(answer: str) -> str:
    """`answer` in one spelling. The unit stays."""
    text = answer.strip().replace("−", "-")
    text = re.sub(r",\\!\s*", ",", text).replace("\\!", "")
    text = re.sub(r"^\s*(?:\$\$?|\\\(|\\\[)(.*?)(?:\$\$?|\\\)|\\\])\s*\.?\s*$", r"\1", text, flags=re.DOTALL)
    if text.count("$") - text.count(r"\$") == 2:
        # "$18$ apples" or "x is $5$": the formula's marks, not money.
        text = re.sub(r"(?<!\\)\$", "", text)
    text = text.strip().rstrip(".").replace(r"\$", "").replace("{,}", ",")
    text = re.sub(r"\\(?:left|right|displaystyle|bigl?|bigr|Bigl?|Bigr|limits)(?![a-z])\s*", "", text)
    text = re.sub(r"\\[dtc]frac(?![a-z])", r"\\frac", text)
    text = _SPACE.sub(" ", text)
    text = _GROUPS.sub(lambda found: found.group().replace(",", ""), text) if not re.search(r"[(\[{]", text) else text
    text = _ROOT.sub(lambda found: rf"\sqrt{found.group(1) or ''}{{{found.group(2)}}}", text)
    for _ in range(4):
        text = _FRACTION.sub(lambda found: rf"\frac{_braced(found.group(1))}{_braced(found.group(2))} ", text)
    text = _SINGLE.sub(r"\1\2", text)
    text = re.sub(r"\^\s*\{?\s*\\circ\s*\}?|\\degree(?![a-z])", r"^\\circ", text)
    text = _REPEATING.sub(_as_fraction, text)
    return " ".join(text.replace(r"\infinity", r"\infty").replace("∞", r"\infty").replace("π", r"\pi").split())


def _as_fraction(found: re.Match[str]) -> str:
    """0.1\\overline{6} is (16 - 1) / 90."""
    whole, start, period = found["whole"] or "0", found["start"], found["period"]
    top = int(whole + start + period) - int(whole + start)
    return rf"\frac{{{top}}}{{{'9' * len(period)}{'0' * len(start)}}}"


def as_list(answer: str) -> str:
    """Several answers behind commas: "6 and 8" and 7 \\pm 1 are 6, 8."""
    answer = re.sub(r",?\s*(?:\\text\s*\{\s*,?\s*(?:and|or)\s*\}|\b(?:and|or)\b)", ", ", answer)
    if r"\pm" not in answer:
        return answer
    plus, minus = (re.sub(r"\\pm(?![a-z])", sign, answer) for sign in "+-")
    return f"{plus}, {minus}"


def _braced(argument: str) -> str:
    return argument if argument.startswith("{") else f"{{{argument}}}"


def without_unit(answer: str) -> str:
    """A respelled answer without the unit at its end; the percent sign counts as one."""
    return _UNIT.sub("", answer).strip()


def compact(answer: str) -> str:
    """A respelled answer for comparison letter by letter: no spaces but those of texts."""
    text = _TEXT.sub(lambda found: " ".join(found.group(1).split()), answer)
    if "\\" not in text and not re.search(r"[\^_=+*/<>|]", text):
        letter = re.fullmatch(r"\(([A-Za-z])\)", text.strip())
        words = " ".join(text.split()).casefold() if is_words(text) else text
        return letter.group(1) if letter else re.sub(r"\s*([-,()\[\]{}:])\s*", r"\1", " ".join(words.split()))
    return re.sub(r"\s+", "", text)


def is_unit_text(answer: str) -> bool:
    return _TEXT.search(answer) is not None


def is_words(answer: str) -> bool:
    """Whether a respelled answer is a text: "Monday", \\text{even}, not a formula."""
    text = _TEXT.sub(r"\1", answer)
    return bool(re.fullmatch(r"[^\W\d_][^\W\d_](?:[^\W\d_]|[\s,.'’()-])*", text.strip()))


def formulas(text: str) -> list[tuple[str, int, int]]:
    """The formulas of a text in order, and where each begins and ends. Money ("$5 and $6") is no formula."""
    found = []
    for match in _FORMULA.finditer(text):
        inner = next(part for part in match.groups() if part is not None)
        after = text[match.end() : match.end() + 1]
        money = match["inline"] and (after.isdigit() or (inner.endswith(" ") and inner[0].isdigit()))
        if not money:
            found.append((inner.strip(), match.start(), match.end()))
    return found


def based(answer: str) -> tuple[str, str] | None:
    """(digits, base) of a number such as 1011_2, the base "" where none is named; None for what is no such number."""
    found = re.fullmatch(r"([0-9A-F]+)(?:_(?:\{([0-9]+)\}|([0-9])))?", answer.replace(" ", ""))
    return None if found is None else (found.group(1), found.group(2) or found.group(3) or "")
