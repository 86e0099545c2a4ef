"""The final answer of a reply: what a self-consistency vote counts, and what the verifiers compare.

What is *stated* counts, in this order: the last closed \\boxed{...}; what follows the last "####" (GSM8K) or the last
"answer is", "answer:" or "answer ="; the whole reply where it is nothing but a quantity or one short line's worth of
name ("Paris", "COVID-19"). A statement ends with its sentence, or before a reason ("because", "since", ", not"). Talk
about the answer states none ("let me know if this answer is clear", "I hope the answer is correct").

A statement of somebody else's or a wrong answer is none, nor is one that is taken back ("No: it is 6").

Where nothing is stated, the last number of the last sentence that has one is the answer, talk about the answer and
questions apart; a range ("between 3 and 5") is none, nor is a number that is denied or only a bound ("not 5", "> 5",
"at most 5"). Without any of these there is none (""): a whole reply is no final answer, since two
of them never agree. Forms are those of `normal_form.normal`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from selfreward.tasks.verifiers.boxed import last_boxed
from selfreward.tasks.verifiers.normal_form import ascii_digits, normal, plain
from selfreward.tasks.verifiers.quantity import quantity

_MARK = re.compile(
    r"####[ \t]*|\banswers?\b(?:\s+(?:to|for)\s[^.\n:=]{1,80}?)?[*_]*\s*"
    r"(?:(?:is|are|was|equals|(?:should|would|must|will) be)\b|:|=)[*_]*\s*:?[*_]*\s*",
    re.IGNORECASE,
)
_ELSE = r"wrong|incorrect|false|previous|earlier|his|her|their|[a-z]+['’]s"
_ABOUT = re.compile(
    rf"\b(?:this|that|your|whether (?:the|my|this)|if (?:the|my|this|your)|{_ELSE})(?: final)?\s*$", re.IGNORECASE
)
_OTHER = re.compile(
    rf"(?:is|could|might|would|can) (?:the|it|this|that)\b|.*\b(?:{_ELSE}) (?:final )?answers?\b", re.IGNORECASE
)
"""A question, or a sentence about another answer than one's own."""

_TAKEN_BACK = re.compile(
    r"[.!?…\n]\s*(?:no|wait|actually|correction|sorry|oops|hmm)[,:.!]|\bbut (?:it )?(?:is|are) now\b", re.IGNORECASE
)
_DENIED = re.compile(
    r"(?:[<>≤≥≠]=?|\b(?:not|never|neither|(?:is|are|was|ca|could|wo|would|does)n['’]t(?: be)?|cannot(?: be)?|not be|"
    r"at (?:least|most)|up to|over|under|above|below|(?:more|less|greater|smaller|fewer|larger|higher|lower) than))"
    r"[\s$*(]*$",
    re.IGNORECASE,
)
"""What stands before a number that is no answer."""

_HOLLOW = re.compile(
    r"(?:now |very |quite |indeed |all )*(?:clear|helpful|useful|correct|right|wrong|incorrect|satisfactory|satisfying|"
    r"understandable|good|ok|okay|fine|what you (?:were|are) (?:looking|asking) for)\b[^.!?\n]{0,40}[.!?]?",
    re.IGNORECASE,
)
_TALK = re.compile(
    r"(?:I am|I['’]m|I (?:hope|believe|think|trust)|hope(?:fully)?|let me|please|feel free|thank|do you|if you)\b",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"(?<!\s)(?:(?:\s*[,;])?\s+(?:because|since|so that|as (?:we|it|the|there)|due to|where|given that)\b"
    r"|\s*,\s+(?:not|so|as|which|where|and|but)\b"
    r"|\s+[-–—]\s+(?=[A-Za-z])|\s+\((?=[^()]*\)[.!]?\s*$))",
    re.IGNORECASE,
)
"""Begins where white space begins, so that a run of it is looked at once."""

_SENTENCE = re.compile(
    r"(?<!\b[A-Za-z])(?<!\b(?:Mr|Ms|Dr|St|vs|No))(?<!\b(?:Mrs|etc|Rev))(?<!\b(?:Prof))[.!?]['\"”’)*]*\s+(?=\S)"
    r"|(?<=[A-Za-z])[.]\s+(?=(?:The|This|That|It|I|So|We|Because|Since|Let|Please|Hope|If)\b)|\n"
)
_DOLLARS = (re.compile(r"(?<!\\)\$"), re.compile(r"(?<!\\)\$(?=[0-9])"))
_WORD = re.compile(r"[\w:/.-]+")
_SUM = re.compile(r"(?=[^-+*/×÷]*[-+*/×÷])[-+*/×÷().,0-9\s$%=]*")
_RANGE = re.compile(
    r"(?:\bbetween\b[^=]{0,60}\band|\bfrom\b[^=]{0,60}\bto|[0-9$%](?:\s*(?:or|to|–|—)|\s+-))[\s$*]*$", re.IGNORECASE
)
"""What stands before the last number of a range."""

_RUNNING = re.compile(
    r"(?<![\w.,/:^$\\-])(?:[-−](?=[0-9$.]))?\$?\.?[0-9][^\s=;()\[\]<>|\\]*"
    r"(?:\s+(?:%|percent|hundred|thousand|million|billion|trillion)(?!\w))?"
)
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
    text = ascii_digits(text)
    marked = _marked(text)
    if marked and not _TAKEN_BACK.search(text, text.rindex(marked)):
        return Statement("marked", _with_result(_readings(marked)))
    whole = text.strip()
    if "\n" not in whole and (quantity(plain(whole)) is not None or _is_name(whole)):
        return Statement("whole", (whole,))
    number = _last_number(text)
    return Statement("number", (number,)) if number else Statement("nothing")


def _marked(text: str) -> str:
    """What the last statement of an answer says, to the end of its line."""
    marks = list(_MARK.finditer(text))
    hollow = ""
    for mark in reversed(marks):
        line = text[mark.end() :].split("\n", 1)[0].strip()
        if mark.group().startswith("####"):
            return line
        if not line or _ABOUT.search(text[max(0, mark.start() - 40) : mark.start()]):
            continue
        if not _HOLLOW.fullmatch(line):
            return line
        hollow = hollow or line
    # "The answer is wrong." is an answer where nothing else is one, and nobody only hopes so.
    return "" if len(marks) > 1 or _TALK.search(text) else hollow


def _readings(line: str) -> tuple[str, ...]:
    """The line, its first sentence, and that without its reason: each where it is shorter and says something."""
    readings = [line]
    for end in (_SENTENCE, _REASON):
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


def _last_number(text: str) -> str:
    """The last number of the last sentence that has one; "" where that is a range, or no answer."""
    for part in reversed(_sentences(text)):
        if numbers := _numbers(part):
            return "" if _is_range(part, numbers[-1]) else numbers[-1]
    return ""


def ends_in_range(text: str) -> bool:
    """Whether the last sentence with a number gives a range or a bound: "between 3 and 5", "at most 5"."""
    last = next((part for part in reversed(_sentences(text)) if _numbers(part)), "")
    return bool(last) and _is_range(last, _numbers(last)[-1])


def _is_range(sentence: str, last: str) -> bool:
    before = sentence[: sentence.rindex(last)]
    # "30 - 5 = 25" has a minus sign in it, no dash.
    return "=" not in before and (_RANGE.search(before[-90:]) or _DENIED.search(before[-90:])) is not None


def other_numbers(text: str) -> list[str]:
    """The numbers of a reply that states no answer, each at the place where it comes last."""
    numbers = [number for part in _sentences(text) for number in _numbers(part)]
    return list(dict.fromkeys(reversed(numbers)))[::-1]


def _numbers(text: str) -> list[str]:
    """The words of a text that begin with a digit, their sign and magnitude with them."""
    found = (match.group().strip().rstrip(".,;:?\"'”’*_`") for match in _RUNNING.finditer(text))
    return [word[:-1] if word.endswith("$") and word.count("$") == 1 else word for word in found]


def _sentences(text: str) -> list[str]:
    """The sentences of a text, talk about the answer, questions and other answers than one's own left out."""
    parts = (part.strip() for part in _SENTENCE.split(text))
    return [part for part in parts if part and not _TALK.match(part) and not _OTHER.match(part)]
