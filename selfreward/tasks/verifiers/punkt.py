"""Where sentences end, as Punkt decides (Kiss and Strunk 2006): the splitter that IFEval's own checker counts with.

A full stop, ? or ! before a space or closing punctuation may end a sentence. It does not behind an abbreviation or an
ellipsis, unless the next word begins sentences (often, or is a common word with a capital); nor behind an initial
before a capitalised name; nor behind an initial or a number before a small letter. Closing quotes and brackets belong
to the sentence before. The steps and the regular expressions are those of NLTK's tokenizer (3.10: curly quotes close,
too).

The abbreviations and sentence starters are those of its English model, as facts. Its third table, 20,000 words and
where a newspaper of the 1980s wrote them with a capital, is replaced by 480 common words (`punkt_english.txt`), since
it is asked only behind an abbreviation, an initial, a number or an ellipsis; so are its pairs of an initial and a name.
With that table this code splits 5,844 English texts (prompts and chat models' replies) into as many sentences as NLTK
does; with the common words, 5,841 of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise

_ENDS = ".?!"
_NON_WORD = r"(?:[?!)\";}\]*:@'({\[‘’“”«»])"
_MULTIPLE = r"(?:-{2,}|\.{2,}|(?:\.\s){2,}\.)"
_WORD = re.compile(
    rf"({_MULTIPLE}|(?=[^(\"`{{\[:;&#*@)}}\]\-,])\S+?(?=\s|$|{_NON_WORD}|{_MULTIPLE}|,(?=$|\s|{_NON_WORD}|{_MULTIPLE}))|\S)"
)
_CANDIDATE = re.compile(rf"[.?!](?=(?P<after>{_NON_WORD}|\s+(?P<next>\S+)))")
_CLOSING = re.compile(r"[\"')\]}‘’“”«»]+?(?:\s+|(?=--)|$)", re.MULTILINE)
_NUMBER = re.compile(r"-?[.,]?\d[\d,.-]*\.?$")
_INITIAL = re.compile(r"[^\W\d]\.$")
_MARKS = ";:,.!?"


@dataclass(frozen=True, slots=True)
class Words:
    """The sections of punkt_english.txt, in their order."""

    abbreviations: frozenset[str]
    starters: frozenset[str]
    after_numbers: frozenset[str]
    capital_at_the_beginning: frozenset[str]
    capital_anywhere: frozenset[str]


@lru_cache(maxsize=1)
def english() -> Words:
    text = (files("selfreward.tasks.verifiers") / "punkt_english.txt").read_text(encoding="utf-8")
    return Words(*(frozenset(section.split("\n", 1)[1].split()) for section in text.split("# ")[1:]))


@dataclass(slots=True)
class _Token:
    text: str
    breaks: bool = False
    short: bool = False

    @property
    def type(self) -> str:
        lower = self.text.lower()
        return "##number##" if _NUMBER.match(lower) else lower


def sentences(text: str) -> list[str]:
    """The sentences of a text, without the white space between them."""
    return [text[start:end] for start, end in _realigned(text, list(_slices(text))) if text[start:end]]


def _slices(text: str) -> Iterator[tuple[int, int]]:
    begin = 0
    for found, context in _contexts(text):
        if _holds_break(context):
            yield begin, found.end()
            begin = found.start("next") if found["next"] else found.end()
    yield begin, len(text.rstrip())


def _contexts(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Each run of possible ends, the word before it and what follows it."""
    before: re.Match[str] | None = None
    start = stop = 0
    for found in _CANDIDATE.finditer(text):
        space = max((text.rfind(mark, stop, found.start()) for mark in " \t\n\r\x0b\x0c"), default=-1)
        # A space at the very beginning of the stretch counts as none, as it does in NLTK.
        word = space + 1 if space > stop else start
        if before is not None and stop <= word:
            yield before, text[start:stop] + before.group() + before["after"]
        before, start, stop = found, word, found.start()
    if before is not None:
        yield before, text[start:stop] + before.group() + before["after"]


def _holds_break(context: str) -> bool:
    tokens = [_Token(word) for line in context.split("\n") for word in _WORD.findall(line)]
    for token in tokens:
        _judge_alone(token)
    for token, following in pairwise(tokens):
        _judge_before(token, following)
    return any(token.breaks for token in tokens[:-1])


def _judge_alone(token: _Token) -> None:
    text = token.text
    if text in _ENDS:
        token.breaks = True
    elif text.endswith(".") and not text.endswith(".."):
        word = text[:-1].lower()
        token.short = word in english().abbreviations or word.split("-")[-1] in english().abbreviations
        token.breaks = not token.short


def _judge_before(token: _Token, following: _Token) -> None:
    """What the next word says about a word that ends with a full stop."""
    if not token.text.endswith("."):
        return
    if token.type == "##number##" and _bare(following) in english().after_numbers:
        token.breaks = False
        return
    initial = _INITIAL.match(token.text) is not None
    ellipsis = re.match(r"\.\.+$", token.text) is not None
    upper = following.text[0].isupper()
    starts = _begins(following) is True or (upper and _bare(following) in english().starters)
    if (token.short or ellipsis) and not initial and starts:
        token.breaks = True
        return
    if initial or token.type == "##number##":
        begins = _begins(following)
        if begins is False or (begins is None and initial and upper and _bare(following) not in _lower()):
            token.breaks = False


def _bare(token: _Token) -> str:
    kind = token.type
    return kind[:-1] if token.breaks and len(kind) > 1 and kind.endswith(".") else kind


def _begins(token: _Token) -> bool | None:
    """Whether a word is the first of a sentence, by its first letter; None where it may be."""
    if token.text in _MARKS:
        return False
    if token.text[0].isupper() and _bare(token) in english().capital_at_the_beginning:
        return True
    return False if token.text[0].islower() else None


def _lower() -> frozenset[str]:
    """Words that are also written without a capital."""
    return english().capital_at_the_beginning | english().capital_anywhere


def _realigned(text: str, slices: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Closing punctuation at the beginning of a slice goes to the one before."""
    moved = 0
    for (start, end), following in zip(slices, [*slices[1:], None], strict=True):
        start += moved
        found = _CLOSING.match(text[following[0] : following[1]]) if following else None
        if following and found:
            yield start, following[0] + len(found.group().rstrip())
            moved = found.end()
        else:
            moved = 0
            yield start, end
