"""What says that an answer is none: denied, only a bound, taken back or somebody else's.

`final_answer.py` and `choice.py` ask. Each looks at a bounded stretch of text, so that a reply is read in linear time.
Doubt without another answer ("Wait, let me check: 12 / 4 = 3. Correct.") takes nothing back.
"""

import re
from dataclasses import dataclass

NEAR = 90
"""So many characters before a number say what it is."""

_AHEAD = 200

_NOBODYS = (
    r"wrong|incorrect|false|previous|earlier|(?:friend|classmate|colleague|neighbou?r|someone|somebody|else)['’]s"
)
_NO_ANSWER = re.compile(rf"\b(?:{_NOBODYS})(?: final)?\s*$", re.IGNORECASE)
_SOMEBODYS = re.compile(r"\b(?:his|her|their|[a-z]+['’]s)(?: final)?\s*$", re.IGNORECASE)
_AGAINST = re.compile(
    r"\bmine\b|\bmy (?:own )?answer\b|\bI (?:get|got|disagree)\b|\b(?:is|are|was|were) (?:wrong|incorrect|mistaken)\b"
    r"|\b(?:correct|right|true|actual) (?:one|answer)\b",
    re.IGNORECASE,
)

_NOT = (
    r"(?:\b(?:not|never|neither)|\b(?:is|are|was|ca|could|wo|would|does)n['’]t|\bcannot)"
    r"(?:\s+(?:be|exactly|really|necessarily|simply|equals?|equal\s+to))*"
)
_DENIED = re.compile(
    rf"(?:[<≤≥≠]=?|(?<![-=>])>=?|(?<![0-9)])!=|\\(?:neq?|geq?|leq?|geqslant|leqslant|gt|lt)|{_NOT}|"
    r"\b(?:over|under|above|below)|(?<!\bno )(?<!\bnot )\b(?:more|less|greater|smaller|fewer|larger|higher|lower) than"
    r"(?: the)?)[\s$*(]*$",
    re.IGNORECASE,
)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,60}>[\s$*(]*$")
_BOUND = r"(?:at (?:least|most)|up to|(?:no|not) (?:more|less|greater|smaller|fewer|larger|higher|lower) than)[\s$*(]*$"
_IS_BOUND = re.compile(rf"(?:\b(?:is|are|was|were|be|equals?)|['’]s|[=:])\s*{_BOUND}", re.IGNORECASE)
_ALL_BOUND = re.compile(_BOUND, re.IGNORECASE)
_DENIED_AFTER = re.compile(
    r"[*$)\s]{0,5}(?:(?:is|was|can|could)(?:n['’]t| ?not)(?: be)? (?:the )?(?:right |correct |final )?"
    r"(?:answer|result|solution|correct|right)\b|is (?:wrong|incorrect)\b)",
    re.IGNORECASE,
)
_INSTEAD = re.compile(r"(?:[,;(–—]\s*(?:(?:and|but)\s+)?|[0-9%]\s+)not[\s$*(]*$", re.IGNORECASE)

_OPENS = re.compile(
    r"[.!?…\n]\s{0,3}(?P<word>no|wait|actually|correction|sorry|oops|hmm)[,:.!]|\bbut (?:it )?(?:is|are) now\b"
    r"|[.!?…\n]\s{0,3}(?P<denial>(?:but )?(?:that|this)(?:['’]s| is) "
    r"(?:wrong|incorrect|not (?:right|correct))(?=[.,:;!\n]|$))"
    r"|\?\s{0,3}(?P<reply>wrong|incorrect)\b",
    re.IGNORECASE,
)
_SAYS = (
    r"(?:(?:the (?:correct |right |final )?(?:answer|result)|it|that|this)\s+(?:is|should be|must be|equals)\b"
    r"|it['’]s\b|(?:should|must) be\b|I meant?\b|make (?:that|it)\b)\s*:?\s*"
)
_VALUE = r"(?=[*$\\({−-]*(?-i:[0-9A-Z]))"
_OTHER_VALUE = re.compile(rf"\s*(?:{_SAYS}{_VALUE}|(?=[$*]*[0-9][0-9.,]*[\s*.!]*$))", re.IGNORECASE)
_OTHER_WORD = re.compile(
    rf"\s*{_SAYS}(?!not\b|correct\b|right\b|wrong\b|incorrect\b|clear\b|easy\b|true\b)(?=\w)", re.IGNORECASE
)
_LATER_VALUE = re.compile(rf"\b{_SAYS}{_VALUE}", re.IGNORECASE)
_WRONG = re.compile(
    r"^\s*no(?:[,.:!]|$)"
    r"|\b(?:that|this|it)(?:['’]s| is| was)\s+(?:\w+ly\s+)?(?:wrong|incorrect|a mistake|not (?:right|correct))\b"
    r"|\bI made an? (?:\w+ )?(?:mistake|error)\b|\bI (?:forgot|misread|miscalculated|miscounted)\b",
    re.IGNORECASE,
)
_CONFIRMED = re.compile(r"\b(?:correct|right|yes|checks? out|stands|confirmed)\b", re.IGNORECASE)
_BUT_WRONG = re.compile(
    r"(?:[^.\n!?]|\.(?=[0-9])){0,120}?\bbut\s+(?:they|he|she|it|that|this)(?:['’](?:s|re)| is| are| was| were)"
    r"\s+(?:\w+ly\s+)?(?:wrong|incorrect|mistaken|not (?:right|correct|true))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Retraction:
    """Where a reply goes on that took its answer back, and whether the other answer stands right there."""

    place: int
    said: bool


def is_no_answer(text: str, start: int) -> bool:
    """Whether "answer" at this place is a wrong or another one: "the wrong answer is"."""
    return _NO_ANSWER.search(text[max(0, start - 40) : start]) is not None


def is_somebodys(text: str, start: int) -> bool:
    """Whether "answer" at this place is somebody's: "Tom's answer is"."""
    return _SOMEBODYS.search(text[max(0, start - 40) : start]) is not None


def is_opposed(text: str, end: int) -> bool:
    """Whether somebody's answer that begins here is set against one's own: "his answer is 5, mine is 6"."""
    return _AGAINST.search(text, end, end + _AHEAD) is not None


def is_denied(text: str, start: int, end: int) -> bool:
    """Whether the number between two places of a sentence is denied or a bound: "not 5", "> 5", "it is at most 5".

    "She needs at least 12 boxes" answers with 12.
    """
    before = text[max(0, start - NEAR) : start]
    after = text[end : end + NEAR]
    if _DENIED_AFTER.match(after) or _IS_BOUND.search(before):
        return True
    if _ALL_BOUND.match(text, 0, start) and not re.search(r"\w", after):
        return True
    tag = _TAG.search(before) or (before.rstrip("$ ").endswith("<") and after.startswith(">"))
    return not tag and _DENIED.search(before) is not None


def stands_instead(text: str, start: int) -> bool:
    """Whether the number before the one at this place is said instead of it: "5, not 6"."""
    return _INSTEAD.search(text[max(0, start - NEAR) : start]) is not None


def taken_back(text: str, start: int) -> Retraction | None:
    """The last retraction of the answer that begins at a place."""
    wrong = _BUT_WRONG.match(text, start)
    found = Retraction(wrong.end(), False) if wrong else None
    for opens in _OPENS.finditer(text, wrong.end() if wrong else start):
        number = re.search("[0-9]", text[start : min(opens.start(), start + _AHEAD)]) is not None
        found = _retraction(text, opens, number) or found
    return found


def _retraction(text: str, opens: re.Match[str], number: bool) -> Retraction | None:
    """`number`: whether a number is to be taken back; "The answer is false. That is wrong" does not take it back."""
    word, begin, end = (opens["word"] or "").lower(), opens.end(), opens.end() + _AHEAD
    if opens["denial"] or opens["reply"]:
        later = _LATER_VALUE.search(text, begin, end)
        return (Retraction(later.end(), True) if later else Retraction(begin, False)) if number else None
    if not word:
        return Retraction(begin, True)
    firm = word in ("no", "correction", "oops")
    other = _OTHER_VALUE.match(text, begin, end) or (_OTHER_WORD.match(text, begin, end) if firm else None)
    if other:
        return Retraction(other.end(), True)
    rest = text[begin:end]
    if wrong := _WRONG.search(rest):
        later = _LATER_VALUE.search(text, begin + wrong.end(), end)
        return Retraction(later.end(), True) if later else Retraction(begin, False)
    if not firm or _CONFIRMED.search(rest):
        return None
    says_other = number and re.search("[0-9]", rest) is not None
    denies = word == "no" and (opens.group().startswith("?") or not rest.strip())
    return Retraction(begin, False) if says_other or denies else None
