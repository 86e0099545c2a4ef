"""The final answer of a reply: what a self-consistency vote counts, and what the verifiers compare.

What is *stated* counts, in this order: the last closed \\boxed{...}; what follows the last "####" (GSM8K) or the last
"answer is", "answer:" or "answer ="; the whole reply where it is nothing but a quantity or one short line's worth of
name ("Paris", "COVID-19"). A statement ends with its sentence, or before a reason ("because", "since", ", not"). Talk
about the answer states none ("let me know if this answer is clear", "I hope the answer is correct").

A wrong answer's statement is none, nor is somebody's against one's own, nor one that is taken back ("No: it is 6"; see
`denials.py`); then the answer is what is said instead.

Where nothing is stated, the last number of the last sentence that has one is the answer, talk about the answer and
questions apart; a range ("between 3 and 5") is none, nor is a number that is denied or only a bound ("not 5", "> 5",
"it is at most 5"); "5, not 6" states 5. Without any of these there is none (""): a whole reply is no final answer,
since two of them never agree. Forms are those of `normal_form.normal`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from selfreward.tasks.verifiers.boxed import last_boxed
from selfreward.tasks.verifiers.denials import is_no_answer, is_opposed, is_somebodys, stands_instead, taken_back
from selfreward.tasks.verifiers.last_number import SENTENCE, TALK, is_range, last_numbers
from selfreward.tasks.verifiers.normal_form import ascii_digits, normal, plain
from selfreward.tasks.verifiers.quantity import quantity

_MARK = re.compile(
    r"####[ \t]*|\banswers?\b(?:\s+(?:to|for)\s[^.\n:=]{1,80}?)?[*_]*\s*"
    r"(?:(?:is|are|was|equals|(?:should|would|must|will) be)\b|:|=)"
    r"(?:\s+(?:thus|therefore|hence|simply)(?=\s+[$\\0-9]))?[*_]*\s*:?[*_]*\s*",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"\b(?:this|that|your|whether (?:the|my|this)|if (?:the|my|this|your))(?: final)?\s*$", re.IGNORECASE
)
_HOLLOW = re.compile(
    r"(?:now |very |quite |indeed |all )*(?:clear|helpful|useful|correct|right|wrong|incorrect|satisfactory|satisfying|"
    r"understandable|good|ok|okay|fine|what you (?:were|are) (?:looking|asking) for)\b[^.!?\n]{0,40}[.!?]?",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"(?<!\s)(?:(?:\s*[,;])?\s+(?:because|since|so that|as (?:we|it|the|there)|due to|where|given that)\b"
    r"|\s*,\s+(?:not|so|as|which|where|and|but)\b"
    r"|\s+[-–—]\s+(?=[A-Za-z])|\s+\((?=[^()]*\)[.!]?\s*$))",
    re.IGNORECASE,
)
"""Begins where white space begins, so that a run of it is looked at once."""

_DOLLARS = (re.compile(r"(?<!\\)\$"), re.compile(r"(?<!\\)\$(?=[0-9])"))
_WORD = re.compile(r"[\w:/.-]+")
_SUM = re.compile(r"(?=[^-+*/×÷]*[-+*/×÷])[-+*/×÷().,0-9\s$%=]*")
_IS = re.compile(r"[A-Za-z][^.]*\b(?:is|are|equals)\s+(?!not\b)([^.]*(?:\.[0-9][^.]*)?)\.?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """`readings` are the texts that may be meant, the longest first; `by` says how they were found."""

    by: Literal["boxed", "marked", "whole", "number", "nothing"]
    readings: tuple[str, ...] = ()

    @property
    def answer(self) -> str:
        """The shortest reading in its normal form."""
        return normal(self.readings[-1]) if self.readings else ""


def final_answer(text: str) -> str:
    """The final answer in its normal form, or "" where there is none."""
    return stated(text).answer


def stated(text: str) -> Statement:
    boxed = last_boxed(text)
    if boxed is not None:
        return Statement("boxed", _with_result((boxed,)))
    marked, text = _marked(ascii_digits(text))
    if marked:
        return Statement("marked", _with_result(_readings(marked)))
    whole = text.strip()
    if "\n" not in whole and (quantity(plain(whole)) is not None or _is_name(whole)):
        return Statement("whole", (whole,))
    return _by_number(text)


def _marked(text: str) -> tuple[str, str]:
    """What the last statement of an answer says, to the end of its line; and the text, from where it is taken back."""
    start = _start(text)
    if start is None:
        return "", text
    back = taken_back(text, start)
    if back is None or back.said:
        return _line(text, start if back is None else back.place), text
    return "", text[back.place :]


def _line(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start : end if end >= 0 else len(text)].strip()


def _start(text: str) -> int | None:
    """Where the last statement of an answer begins: one's own, or somebody's that is not set against it."""
    marks = list(_MARK.finditer(text))
    hollow = others = None
    for mark in reversed(marks):
        line = _line(text, mark.end())
        if mark.group().startswith("####"):
            return mark.end()
        if not line or _ABOUT.search(text[max(0, mark.start() - 40) : mark.start()]):
            continue
        if mark.group()[:7].lower() != "answers":
            if is_no_answer(text, mark.start()):
                continue
            if is_somebodys(text, mark.start()):
                others = mark if others is None and not is_opposed(text, mark.end()) else others
                continue
        if not _HOLLOW.fullmatch(line):
            return mark.end()
        hollow = hollow or mark
    if others is not None:
        return others.end()
    # "The answer is wrong." is an answer where nothing else is one, and nobody only hopes so.
    return None if hollow is None or len(marks) > 1 or TALK.search(text) else hollow.end()


def _readings(line: str) -> tuple[str, ...]:
    """The line, its first sentence, and that without its reason: each where it is shorter and says something."""
    readings = [line]
    for end in (SENTENCE, _REASON):
        text = readings[-1]
        found = _first_outside_formulas(text, end.finditer(text))
        if found is not None:
            # "5!" may be a factorial: the mark stays with a number.
            factorial = text[found.start()] == "!" and text[found.start() - 1].isdigit()
            readings.append(text[: found.start() + factorial].strip())
    return tuple(readings)


def _with_result(readings: tuple[str, ...]) -> tuple[str, ...]:
    """Also what a sum or a sentence ends on: "3 + 4 = 7" states 7, and so does "The largest n is 7"."""
    last = plain(readings[-1])
    sum_, _, result = last.rpartition("=")
    if sum_ and _SUM.fullmatch(sum_) and quantity(result) is not None:
        return (*readings, result.strip())
    sentence = _IS.fullmatch(readings[-1])
    return readings if sentence is None else (*readings, sentence.group(1).strip())


def _first_outside_formulas(text: str, cuts: Iterator[re.Match[str]]) -> re.Match[str] | None:
    """The first of the cuts that lies in no formula, and not where the text begins."""
    last, last_before_digit = (max((one.start() for one in sign.finditer(text)), default=-1) for sign in _DOLLARS)
    dollars = rounds = curlies = seen = 0
    for cut in cuts:
        part, seen = text[seen : cut.start()], cut.start()
        dollars += part.count("$") - part.count(r"\$")
        rounds += part.count(r"\(") - part.count(r"\)")
        curlies += part.count("{") - part.count("}")
        inside = rounds > 0 or curlies > 0
        if dollars % 2 and last >= seen:
            # "$18. I hope $20 is wrong": a formula does not end with a digit's dollar sign before a digit.
            inside = last_before_digit < seen
        if seen and not inside:
            return cut
    return None


def _is_name(text: str) -> bool:
    """One word with a digit inside that is no number: COVID-19, H2O, 2024-05-01, 10:30."""
    bare = text.strip("*`_\"'")
    return bool(_WORD.fullmatch(bare) and re.search("[0-9]", bare)) and quantity(plain(text)) is None


def _by_number(text: str) -> Statement:
    """The last number of the last sentence that has one; nothing where that is a range, or no answer."""
    sentence, places = last_numbers(text)
    if not places:
        return Statement("nothing")
    if not is_range(sentence, *places[-1]):
        return Statement("number", (places[-1][0],))
    left = len(places) - 1
    while left and stands_instead(sentence, places[left][1]):
        left -= 1
    if left == len(places) - 1 or is_range(sentence, *places[left]):
        return Statement("nothing")
    return Statement("marked", (places[left][0],))


def ends_in_range(text: str) -> bool:
    """Whether the last sentence with a number gives a range or a bound, or its answer is denied or taken back."""
    text = ascii_digits(text)
    sentence, places = last_numbers(text)
    return _marked(text)[1] is not text or (bool(places) and is_range(sentence, *places[-1]))
