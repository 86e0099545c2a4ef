"""The judge: one response, graded 0 to 5 after a justification (SRLM, 2401.10020, pointwise additive rubric).

Only the judge's new tokens are read, and of these only the end. `last_line`: the last line that is not empty must end
with the verdict `Score: <n>`, at its beginning or after the end of a sentence; markdown around it, `/5` and `out of 5`
are accepted. So a quotation of the response further up is never a verdict, and the last verdict counts. `last_words`:
the last two words are `Score:` and a number.

Decisions. The scale is 0..5; a decimal such as 3.5 is a value, since a judge between two grades says more than its
rounding; another scale (`8/10`) is out of range. Two different scores on the last line, or a range (`3-4`), are a
contradiction. A reply cut by its token limit is truncated, even where a verdict seems to stand at the cut.

Limit: a judge that copies `Score: 5` from the response as its own last line has given that verdict, and no parser can
tell. The fence and the instruction in the prompt are there to keep it from doing so.
"""

import re

from selfreward.engines.protocol import Completion
from selfreward.records import HIGHEST, LOWEST, Message, Prompt
from selfreward.roles.catalogue import template as look_up
from selfreward.roles.fences import as_question, fill
from selfreward.roles.unreadable import Unreadable, unfinished, without_verdict

_DECORATION = re.compile(r"[*_`#~|]+|^\s*(?:>|-|•)\s+")
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_ANCHOR = r"(?<![A-Za-z0-9])score[\s*_`]*[:：=][\s*_`]*"
_VERDICT = re.compile(
    rf"{_ANCHOR}[<\[(]?\s*({_NUMBER})(?:\s*(?:/|out\s+of)\s*({_NUMBER}))?(?:\s*points?)?\s*[>\])]?", re.IGNORECASE
)
_RANGE = re.compile(rf"{_ANCHOR}{_NUMBER}\s*(?:-|–|to|or|and)\s*{_NUMBER}", re.IGNORECASE)
_GRADE = re.compile(rf"{_NUMBER}\s*(?:(?:/|out\s+of)\s*5\b|points?\b)", re.IGNORECASE)
_BEFORE = re.compile(
    r"(?:^|[.!?;:)\]])\s*(?:(?:so|thus|hence|therefore),?\s+)?(?:my\s+|the\s+)?(?:(?:final|total|overall)\s+)?$", re.I
)
_RULER = re.compile(r"^[\W_]*$")


def ask(template: str, prompt: Prompt, answer: str) -> tuple[Message, ...]:
    """One user turn: rubric, then the prompt, then the answer, so that what is constant comes first."""
    return as_question(fill("judge", template, prompt.messages, response=answer))


def opening(template: str, rationale: str) -> str:
    """The beginning of a reply up to `Score:`, so that what comes next is the score; its own verdict is cut off."""
    if look_up("judge", template).reply == "last_words":
        before, found, _ = rationale.rpartition("Score:")
        return f"{(before if found else rationale).strip()} Score:".strip()
    lines = rationale.rstrip().splitlines()
    while lines and (_RULER.match(lines[-1]) or _is_verdict_line(lines[-1])):
        lines.pop()
    return "\n".join([*lines, "Score:"])


def read(template: str, completion: Completion) -> float | Unreadable:
    """The score of a reply, or why there is none."""
    cut = unfinished(completion)
    if cut is not None:
        return cut
    if look_up("judge", template).reply == "last_words":
        return _read_last_words(completion.text)
    return _read_last_line(completion.text)


def without_scores(judgment: str) -> str:
    """A judgment without its numbers of points, for a meta-judge that must weigh the reasons and not the grades."""
    lines = [line for line in judgment.splitlines() if not _is_verdict_line(line)]
    return _GRADE.sub("[grade]", _VERDICT.sub("[grade]", "\n".join(lines))).strip()


def _is_verdict_line(line: str) -> bool:
    plain = _DECORATION.sub("", line).strip()
    found = _VERDICT.search(plain)
    return found is not None and bool(_BEFORE.fullmatch(plain[: found.start()]))


def _read_last_line(text: str) -> float | Unreadable:
    lines = [line for line in text.splitlines() if not _RULER.match(line)]
    last = _DECORATION.sub("", lines[-1]).strip() if lines else ""
    verdicts = list(_VERDICT.finditer(last))
    if _RANGE.search(last):
        return Unreadable("contradiction", last[-80:])
    if not verdicts or last[verdicts[-1].end() :].strip(" .!") or not _BEFORE.search(last[: verdicts[-1].start()]):
        return without_verdict(text)
    values = {_value(verdict) for verdict in verdicts}
    if len(values) > 1:
        return Unreadable("contradiction", last[-80:])
    (value,) = values
    return Unreadable("out of range", last[-80:]) if value is None else value


def _value(verdict: re.Match[str]) -> float | None:
    """The points, None when they are off the scale or on another one."""
    points, scale = float(verdict.group(1)), float(verdict.group(2) or HIGHEST)
    return points if scale == HIGHEST and LOWEST <= points <= HIGHEST else None


def _read_last_words(text: str) -> float | Unreadable:
    spoken = text.split()
    scores = {spoken[i + 1] for i, word in enumerate(spoken[:-1]) if word == "Score:"}
    if len(spoken) < 2 or spoken[-2] != "Score:" or not re.fullmatch(r"[0-9]+", spoken[-1]):
        return without_verdict(text)
    if len(scores) > 1:
        return Unreadable("contradiction", text[-80:])
    value = float(spoken[-1])
    return value if LOWEST <= value <= HIGHEST else Unreadable("out of range", text[-80:])
