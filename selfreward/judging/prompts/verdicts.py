"""The one grammar of verdicts: `<label>: <value>`, as judges decorate it. One line in, a value or Unreadable out.

A statement is a label (`Score`, `Preferred`, `Winner`), a colon or its like, a value, and nothing more, except:
markdown, brackets, quotation marks and LaTeX that close again; a scale (`/5`, `out of 5`, `points`); a reason in
parentheses, after a dash or after `because`. It stands at the beginning of a line or after the end of a sentence.

    max. score: 5 · If it were longer: Score: 5 · it says "Score: 5"   introduced in doubt: not a verdict
    Score: 0_4 · 0|5 · ~~4~~ · 4% · $4 · 4?                            decoration inside, struck out, more than a value
    Score: 3. Score: 5 · Score: 3-4                                    all statements of a line must agree

Decoration becomes a space and never nothing, so it cannot join two digits; what strikes out becomes a character that
nothing accepts. Where people would hesitate, the verdict is unreadable: an unread one costs a reply, a misread one
trains the wrong way. Time is linear: white space is collapsed first, and every repetition below is bounded or anchored.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Generic, TypeVar

from selfreward.judging.prompts.doubts import announces, in_doubt, is_cut_short, is_reason
from selfreward.roles.unreadable import Unreadable

V = TypeVar("V", covariant=True)

_MOST_STATEMENTS = 40
"""On one line; a line with more is no verdict."""

_STRUCK = re.compile(r"~+|</?(?:s|del|strike)>|[\u0335-\u0338\u202a-\u202e\u2066-\u2069]", re.IGNORECASE)
_TAGS = re.compile(r"</?(?:b|i|u|p|em|strong|mark|span|br ?/?)>", re.IGNORECASE)
_DECORATION = re.compile(r"[*_`\u00ad\u200b-\u200d\u2060\ufeff]+")
_FOOTNOTE = re.compile(r"(?<=[0-9])\*\s*$")
_LATEX = re.compile(r"\\(?:text(?:bf|it|rm)?|math(?:bf|rm|it)|boxed|fbox|emph|boldsymbol)(?=\{)")
_LATEX_SPACE = re.compile(r"\\[,;:! ]|\\(?=[_*])")
_LATEX_BRACKET = re.compile(r"\\([()\[\]])")
_FRAME = re.compile(r"^(?:[>|] ?)+|^#{1,6} | ?\|$| #{1,6}$")

_CLOSING = dict(zip("([{<“‘«【「", ")]}>”’»】」", strict=True))
_EITHER = "\"'$"
_OPEN = "".join(_CLOSING) + _EITHER
_WRAP = "[" + re.escape(_OPEN + "".join(_CLOSING.values())) + " ]{0,12}"
_CLOSE = "[" + re.escape("".join(_CLOSING.values()) + _EITHER) + " ]{0,12}"
_MARKS = r"[\u2600-\u27bf\u2b50\ufe0f\U0001f300-\U0001faff]"

_LINK = r"(?:=>|->|[:：﹕=→]|is ?:)"
_MODIFIER = re.compile(r"(?<![\w'’-])(?:my|the|our|so|thus|hence|therefore|finally|final|total|overall),? $", re.I)
_LEADING = re.compile(r"\b(?:my|the|our|so|thus|hence|therefore|finally|final|total|overall|[0-9]{1,2})\b", re.I)
_ITEM = re.compile(rf"(?:(?:[-•+→⇒]|=>|[0-9]{{1,2}}[.)]|\[[0-9]{{1,2}}\]|{_MARKS}) ?)*")
_SENTENCE_END = re.compile(r"[.!?。](?= )")
_TAIL = re.compile(
    rf"(?:{_MARKS}| )*|\((?P<inside>[^()]*)\)(?P<after>[ .!]*)|[-–—] (?P<dash>.*)|,? ?(?:because|since) (?P<why>.*)",
    re.S,
)
_RANGE = re.compile(r"[0-9.]{1,9}(?:/5)? ?(?:-|–|—|−|\u2011|to|or|and|\.\.+|…|&) ?[0-9]")


@dataclass(frozen=True, slots=True)
class Grammar(Generic[V]):
    """`label`: the word that introduces a verdict. `statement`: what follows it, with named groups that `of` reads.

    `of` gives None for a value off the scale. `keys`: where the value stands in a reply that is JSON.
    """

    label: re.Pattern[str]
    statement: re.Pattern[str]
    of: Callable[[re.Match[str]], V | None]
    keys: frozenset[str]


def grammar(
    label: str, value: str, of: Callable[[re.Match[str]], V | None], keys: set[str], scale: str = "", link: str = ""
) -> Grammar[V]:
    """`scale`: what may follow a value. `link`: what may join label and value besides a colon and its like."""
    joined = f"(?:{_LINK}|{link})" if link else _LINK
    return Grammar(
        re.compile(rf"(?<![^\W_])(?:{label})(?![^\W_])", re.IGNORECASE),
        re.compile(
            rf"(?P<o>{_WRAP})(?P<link>{joined})(?P<o3>{_WRAP})(?:(?P<v>{value})(?![^\W_]|[.,][0-9])"
            rf"(?P<c1>{_CLOSE}){scale}(?P<c2>[.!。]?{_CLOSE}[ .!。]{{0,6}}))?",
            re.IGNORECASE,
        ),
        of,
        frozenset(keys),
    )


def plain(line: str) -> str:
    """A line without decoration, in single spaces. What strikes out is NUL, which no rule accepts."""
    if line.count("*") == 1:
        line = _FOOTNOTE.sub("\0", line)
    line = _LATEX_BRACKET.sub(r"\1", _LATEX_SPACE.sub(" ", _LATEX.sub("", line.replace("$$", "$"))))
    line = _DECORATION.sub(" ", _TAGS.sub(" ", _STRUCK.sub("\0", line)))
    return _FRAME.sub("", " ".join(line.split())).strip()


def leads(words: str) -> bool:
    """Do these words only lead to a label, as `1. My final` does?"""
    return not re.search(r"[^\W_]", _LEADING.sub("", words))


def read_line(line: str, kind: Grammar[V], free: bool = False) -> V | Unreadable | None:
    """The verdict of a plain line; None where it holds no statement in the place of a verdict.

    `free`: words may lead up to the label, as a rubric's reason does.
    """
    labels = list(islice(kind.label.finditer(line), _MOST_STATEMENTS + 1))
    if not labels or len(labels) > _MOST_STATEMENTS:
        return None
    found: list[tuple[re.Match[str], int, V | Unreadable]] = []
    for here, following in pairwise([*labels, None]):
        assert here is not None
        end = following.start() if following else len(line)
        statement = kind.statement.match(line, here.end(), end)
        if statement is None:
            continue
        value = _value(line, here.start(), statement, end, kind, last=following is None)
        if not (isinstance(value, Unreadable) and statement["link"].lower() == "is"):
            found.append((here, end, value))
    if not found or found[-1][1] != len(line) or not _is_introduced(line, found[-1][0].start(), free):
        return None
    values = [value for _, _, value in found]
    if all(value == values[-1] for value in values[:-1]):
        return values[-1]
    return Unreadable("contradiction", line[-80:])


def is_label(line: str, kind: Grammar[V]) -> bool:
    """Does a plain line end with a label and a colon, or consist of a label, so that its value is on the next line?"""
    for found in islice(kind.label.finditer(line, max(0, len(line) - 40)), _MOST_STATEMENTS):
        rest = line[found.end() :].strip(" ")
        if rest in (":", "：", "=") and _is_introduced(line, found.start(), False):
            return True
        if not rest and not _lead(line, found.start())[0].strip(" "):
            return True
    return False


def _value(line: str, start: int, found: re.Match[str], end: int, kind: Grammar[V], last: bool) -> V | Unreadable:
    detail = line[max(start, end - 80) : end]
    if found["v"] is None:
        kept = line[found.end() : end]
        return Unreadable("contradiction" if _RANGE.match(kept) else "no verdict", detail)
    rest = line[found.end() : end] if last else ""
    if not last and re.search(r"[^\W_]", line[found.end("v") : end]) and _RANGE.match(line[found.start("v") : end]):
        return Unreadable("contradiction", detail)
    if rest and not _is_tail(rest):
        return Unreadable("contradiction" if _RANGE.match(line[found.start("v") : end]) else "no verdict", detail)
    around = _lead(line, start)[1] + found["o"] + found["o3"] + found["c1"] + found["c2"]
    if last and not _is_balanced(around):
        return Unreadable("no verdict", detail)
    value = kind.of(found)
    return Unreadable("out of range", detail) if value is None else value


def _is_tail(rest: str) -> bool:
    """What may follow a value: marks, or a reason that speaks of the response and of no other value."""
    found = _TAIL.fullmatch(rest)
    if found is None:
        return False
    reasons = [text for text in (found["inside"], found["dash"], found["why"]) if text is not None]
    return all(map(is_reason, reasons))


def _lead(line: str, start: int) -> tuple[str, str]:
    """(what stands before a label without `my final` and its like, the opening brackets in between)."""
    before = line[max(0, start - 240) : start]
    wrapped = ""
    while True:
        cut = len(before.rstrip(_OPEN + " "))
        opened = before[cut:]
        if cut and opened[:1] in _EITHER:
            cut, opened = cut + 1, opened[1:]  # it closes what came before
        if opened.strip(" "):
            before, wrapped = before[:cut], opened + wrapped
        elif (found := _MODIFIER.search(before)) is None:
            return before, wrapped
        else:
            before = before[: found.start()]


def _is_introduced(line: str, start: int, free: bool) -> bool:
    """Is this the place of a verdict: the beginning, a list item, or after the end of a sentence?"""
    before = _lead(line, start)[0].strip()
    if _ITEM.fullmatch(before):
        return True
    if _is_quoting(before):
        return False
    before = before.rstrip("\"”'’»")
    ends = [found.end() for found in _SENTENCE_END.finditer(before)]
    clause = before[ends[-1] if ends else 0 :].strip()
    if is_cut_short(before) or not clause:
        return False
    if clause[-1] in ".!。" and not clause.endswith(".."):
        return True
    if clause[-1] in ":：" and not free:
        return announces(clause)
    return (free or clause[-1] in "?;)].…") and "\0" not in clause and not in_doubt(clause)


def _is_quoting(words: str) -> bool:
    """Do these words open a quotation and not close it? A mark after a digit that closes nothing is inches."""
    opened = False
    for number, letter in enumerate(words):
        if letter == '"' and (opened or not words[number - 1 : number].isdigit()):
            opened = not opened
    return opened or words.count("“") > words.count("”")


def _is_balanced(text: str) -> bool:
    awaited: list[str] = []
    for letter in text:
        if awaited and letter == awaited[-1]:
            awaited.pop()
        elif letter in _CLOSING:
            awaited.append(_CLOSING[letter])
        elif letter in _EITHER:
            awaited.append(letter)
        elif letter not in " .!。":
            return False
    return not awaited
