"""Where the verdict of a reply stands: at its end, in the judge's own words.

Read from the end: rulers and a closing pleasantry are passed over; the last line left must be the verdict. A verdict
whose value stands on the line below its label is one line. A reply that is a JSON object, or ends with one, has its
verdict under the label's key.

The lines above it are asked twice. The one directly above must not hand the word to somebody else (`The response
says:`, `If it were longer:`). Verdicts that stand directly above must agree; prose in between means that they were
quoted or thought better of, and then the last one counts, as the judge was told.

Quotations are no verdicts: a code fence beside other text, unless the judge's own words lead to it or it holds the
verdict alone; lines with `>`, unless the only one is the verdict; what stands inside quotation marks that are opened
above and closed before the last line. A judge that quotes several lines often marks the first with `>` only: after such
a quotation a verdict that looks otherwise than the last one counts as quoted.

Limit: a judge that copies `Score: 5` from the response as its own last line has given that verdict; no parser can tell.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from selfreward.judging.prompts.doubts import in_doubt, is_pleasantry, is_reported
from selfreward.judging.prompts.json_replies import json_verdict
from selfreward.judging.prompts.verdicts import Grammar, is_label, leads, plain, read_line
from selfreward.roles.unreadable import Unreadable, without_verdict

V = TypeVar("V")

_MOST_VERDICTS = 100
"""Lines above the last one that are compared with it; a reply with more is no verdict."""

_LONGEST = 1_000_000
"""Characters."""

_WORD = re.compile(r"[^\W_]")
_FENCE = re.compile(r" {0,3}(`{3,9}|~{3,9})[ \t]{0,9}([\w+-]{0,20})[ \t]*$")
_OWN = re.compile(r"\b(?:my|evaluation|assessment|judge?ment|verdict|grading|review)\b.{0,80}:$", re.IGNORECASE)
_VALUE = re.compile(r"[0-9]+(?:\.[0-9]+)?(?: ?/ ?5)?|\b(?:tie|[ab])\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """`block`: the number of its code fence, 0 outside. What stands before it: `opened` quotation marks (straight ones,
    curly ones), and whether a line with `>` does."""

    text: str
    block: int
    opened: tuple[int, int] = (0, 0)
    after_quotation: bool = False

    @property
    def is_quoted(self) -> bool:
        return self.text.lstrip().startswith(">")


def lines_of(text: str) -> list[Line]:
    """The lines that hold a word, without the fences around them. A fence that nothing closes is none."""
    raw = text.splitlines()
    fences = _fences(raw)
    found: list[Line] = []
    block = straight = curly = 0
    quoted = False
    for number, line in enumerate(raw):
        if number in fences:
            block = fences[number]
            continue
        if not line:
            continue
        if _WORD.search(line):
            found.append(Line(line, block, (straight % 2, curly), quoted))
        quoted = quoted or line.lstrip().startswith(">")
        straight += line.count('"')
        curly += line.count("“") - line.count("”")
    return found


def is_endless(text: str) -> bool:
    """Longer than any judgment: a served body may be of any size, and nobody reads this one."""
    return len(text) > _LONGEST and len(text.strip()) > _LONGEST


def own_lines(lines: Sequence[Line]) -> list[Line]:
    """The lines outside fences; those of a fence that is all there is, or to which the judge's own words lead."""
    outside = [line for line in lines if not line.block]
    blocks = {line.block for line in lines} - {0}
    if len(blocks) != 1:
        return outside
    start = next(number for number, line in enumerate(lines) if line.block)
    before = plain(lines[start - 1].text)[-400:] if start else ""
    is_own = not outside or (_OWN.search(before) and not in_doubt(before))
    return [line for line in lines if line.block] if is_own else outside


def read_end(text: str, kind: Grammar[V]) -> V | Unreadable:
    """The verdict that a finished reply ends with, or why there is none."""
    if is_endless(text):
        return without_verdict(text)
    every = lines_of(text)
    while every and _is_pleasantry(every[-1].text, kind):
        every.pop()
    found = json_verdict(text, kind)
    if found is not None:
        shown, before = found
        value = read_line(shown, kind)
        handed = before and _is_handed_on(Line(shown, 1), Line(before, 0))
    else:
        lines = _in_reach(every, kind)
        shown, start = _verdict_at(lines, len(lines), kind)
        value = read_line(shown, kind)
        before_it = lines[start - 1] if start > 0 else _before(every, lines)
        handed = before_it is not None and bool(lines) and _is_handed_on(lines[start], before_it)
        is_read = value is not None and not isinstance(value, Unreadable) and not handed
        if is_read and not _agree(value, lines, start, kind):
            return Unreadable("contradiction", text.strip()[-80:])
    if value is None or handed or (isinstance(value, Unreadable) and value.reason == "no verdict"):
        return without_verdict(text)
    return value


def is_verdict(line: str, kind: Grammar[V]) -> bool:
    """Is this line, as it was written, nothing but a verdict?"""
    if not kind.label.search(line, 0, 200):
        return False
    shown = plain(line)
    found = kind.label.search(shown, 0, 60)
    return found is not None and leads(shown[: found.start()]) and read_line(shown[found.start() :], kind) is not None


def without_end(text: str, kind: Grammar[V]) -> str:
    """A reply without the verdict that it ends with, as the beginning of another reply."""
    lines = text.rstrip().splitlines()
    while lines:
        if len(lines) > 1 and len(lines[-1]) < 40 and is_label(plain(lines[-2]), kind):
            lines.pop()
        elif _WORD.search(lines[-1]) and not is_verdict(lines[-1], kind) and not is_label(plain(lines[-1]), kind):
            break
        lines.pop()
    return "\n".join(lines)


def _fences(raw: Sequence[str]) -> dict[int, int]:
    """Line number of each fence that belongs to a pair -> number of the block after it (0 after a closing one)."""
    found: dict[int, int] = {}
    opened: tuple[int, str] | None = None
    for number, line in enumerate(raw):
        fence = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if fence is None:
            continue
        if opened is None:
            opened = (number, fence[1][0])
        elif fence[1][0] == opened[1] and not fence[2]:
            found |= {opened[0]: len(found) // 2 + 1, number: 0}
            opened = None
    return found


def _is_pleasantry(line: str, kind: Grammar[V]) -> bool:
    shown = plain(line[:400])
    return len(line) < 300 and is_pleasantry(shown) and not kind.label.search(shown)


def _in_reach(lines: list[Line], kind: Grammar[V]) -> list[Line]:
    """What the last line is read with: its fence, or all that stands outside of fences."""
    block = lines[-1].block if lines else 0
    if not block:
        return [line for line in lines if not line.block]
    inside = [line for line in lines if line.block == block]
    if len(inside) <= 2 and (is_verdict(inside[0].text, kind) or is_label(plain(inside[0].text), kind)):
        return inside
    own = own_lines(lines)
    return own if own and own[-1].block else []


def _before(every: Sequence[Line], lines: Sequence[Line]) -> Line | None:
    """The line that leads to the fence which `lines` are."""
    start = len(every) - len(lines)
    return every[start - 1] if lines and lines[0].block and start > 0 else None


def _verdict_at(lines: Sequence[Line], end: int, kind: Grammar[V]) -> tuple[str, int]:
    """(the plain line before `end`, together with the label above it if it has none itself; where that starts)."""
    if not end:
        return "", 0
    shown = plain(lines[end - 1].text)
    if end > 1 and len(shown) < 300 and not kind.label.search(shown):
        label = plain(lines[end - 2].text)
        if is_label(label, kind):
            return f"{label}{'' if label[-1] in ':：=' else ':'} {shown}", end - 2
    return shown, end - 1


def _is_handed_on(line: Line, before: Line) -> bool:
    """Does the line before give the word to somebody else, or to a case that is not this one?"""
    if line.is_quoted and before.is_quoted:
        return True
    clause = re.split(r"[.!?] ", plain(before.text[-400:]))[-1]
    if clause.endswith((":", "：", "…", "...")):
        return in_doubt(clause)
    shown = line.is_quoted or line.block or line.text.lstrip(" *_")[:1] in "\"“'‘«"
    return bool(shown and is_reported(clause))


def _agree(value: object, lines: Sequence[Line], end: int, kind: Grammar[V]) -> bool:
    """Do the verdicts directly above say the same?"""
    last, compared = lines[-1], 0
    look = _VALUE.sub("#", last.text.strip())
    while end > 0:
        line = lines[end - 1]
        if line.is_quoted or line.opened[0] > last.opened[0] or line.opened[1] > max(0, last.opened[1]):
            end -= 1
            continue
        above, end = _verdict_at(lines, end, kind)
        other = read_line(above, kind)
        if other is None and not (above.startswith("\0") and kind.label.search(above)):
            return True
        compared += 1
        is_quoted = last.after_quotation and _VALUE.sub("#", line.text.strip()) != look
        if (other != value and not is_quoted) or compared > _MOST_VERDICTS:
            return False
    return True
