"""The final answer of a reply: what a self-consistency vote counts, and what the verifiers compare.

What is *stated* counts, in this order: the last closed \\boxed{...}; what follows the last "####" (GSM8K) or the last
"answer is", "answer:" or "answer ="; the whole reply where it is nothing but a quantity or one short line's worth of
name ("Paris", "COVID-19"). A statement ends with its sentence, or before a reason ("because", "since", ", not"). Talk
about the answer states none ("let me know if this answer is clear", "I hope the answer is correct").

Where nothing is stated, the last number of the last sentence that has one is the answer, talk about the answer apart; a
range ("between 3 and 5") is none. Without any of these there is none (""): a whole reply is no final answer, since two
of them never agree. Forms are those of `normal_form.normal`.
"""

import re
from dataclasses import dataclass
from typing import Literal

from selfreward.tasks.verifiers.boxed import last_boxed
from selfreward.tasks.verifiers.normal_form import normal, plain
from selfreward.tasks.verifiers.quantity import quantity

_MARK = re.compile(
    r"####[ \t]*|\banswers?\b(?:\s+(?:to|for)\s[^.\n:=]{1,80}?)?[*_]*\s*"
    r"(?:(?:is|are|was|equals|(?:should|would|must|will) be)\b|:|=)[*_]*\s*:?[*_]*\s*",
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
_TALK = re.compile(
    r"(?:I am|I['’]m|I (?:hope|believe|think|trust)|hope(?:fully)?|let me|please|feel free|thank|do you|if you)\b",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"\s*[,;]?\s+(?:because|since|so that|as (?:we|it|the|there)|due to|where|given that)\b"
    r"|\s*,\s+(?:not|so|as|which|where|and|but)\b"
    r"|\s+[-–—]\s+(?=[A-Za-z])|\s+\((?=[^()]*\)[.!]?\s*$)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(
    r"(?<!\b[A-Za-z])(?<!\b(?:Mr|Ms|Dr|St|vs|No))(?<!\b(?:Mrs|etc|Rev))(?<!\b(?:Prof))[.!?]['\"”’)*]*\s+(?=\S)"
    r"|(?<=[A-Za-z])[.]\s+(?=(?:The|This|That|It|I|So|We|Because|Since|Let|Please|Hope|If)\b)|\n"
)
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
    marked = _marked(text)
    if marked:
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
        cuts = (cut for cut in end.finditer(text) if cut.start() and not _inside_formula(text, cut.start()))
        found = next(cuts, None)
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


def _inside_formula(text: str, position: int) -> bool:
    before, after = text[:position].replace(r"\$", ""), text[position:].replace(r"\$", "")
    if before.count("$") % 2 and "$" in after:
        # "$18. I hope $20 is wrong": a formula does not end with a digit's dollar sign before a digit.
        return not re.search(r"\$(?=[0-9])", after)
    return before.count(r"\(") > before.count(r"\)") or before.count("{") > before.count("}")


def _is_name(text: str) -> bool:
    """One word with a digit inside that is no number: COVID-19, H2O, 2024-05-01, 10:30."""
    return bool(re.fullmatch(r"[*`_\"']*[\w:/.-]*[0-9][\w:/.-]*[*`_\"']*", text)) and quantity(plain(text)) is None


def _last_number(text: str) -> str:
    """The last number of the last sentence that has one; "" where that is a range."""
    for part in reversed(_sentences(text)):
        if numbers := _numbers(part):
            return "" if _is_range(part, numbers[-1]) else numbers[-1]
    return ""


def ends_in_range(text: str) -> bool:
    """Whether the last sentence with a number gives a range: "between 3 and 5"."""
    last = next((part for part in reversed(_sentences(text)) if _numbers(part)), "")
    return bool(last) and _is_range(last, _numbers(last)[-1])


def _is_range(sentence: str, last: str) -> bool:
    before = sentence[: sentence.rindex(last)]
    # "30 - 5 = 25" has a minus sign in it, no dash.
    return "=" not in before and _RANGE.search(before[-90:]) is not None


def other_numbers(text: str) -> list[str]:
    """The numbers of a reply that states no answer, each at the place where it comes last."""
    numbers = [number for part in _sentences(text) for number in _numbers(part)]
    return list(dict.fromkeys(reversed(numbers)))[::-1]


def _numbers(text: str) -> list[str]:
    """The words of a text that begin with a digit, their sign and magnitude with them."""
    found = (match.group().strip().rstrip(".,;:?\"'”’*_`") for match in _RUNNING.finditer(text))
    return [word[:-1] if word.endswith("$") and word.count("$") == 1 else word for word in found]


def _sentences(text: str) -> list[str]:
    """The sentences of a text, talk about the answer left out."""
    return [part for part in _SENTENCE.split(text) if part and not _TALK.match(part.strip())]
