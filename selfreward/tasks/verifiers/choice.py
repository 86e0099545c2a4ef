"""Multiple choice: the letter that the reply chooses against the gold letter.

Read in this order: the letter after the last "answer is", "answer:", "answer =" or "answer should be"; the letter in
the last \\boxed{...}; a reply that begins with a letter and a mark ("B.", "B)", "(B)") or is one letter; the one letter
of "Option B is correct"; the only bracketed letter that nothing denies. Two different bracketed letters without any of
these choose nothing: such a reply is wrong, as is one without a letter. An article ("the answer is A large dog"), a
pronoun ("is I think B"), a choice of several ("A or B"), a question ("A?") and another answer than one's own ("the
wrong answer is A") are no letter after "answer is"; "A. is wrong" begins with none, while "A. No" gives an option's
text. Assumption: the choices are named by single capital letters.
"""

import re

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.boxed import last_boxed
from selfreward.tasks.verifiers.denials import is_no_answer, is_opposed, is_somebodys
from selfreward.tasks.verifiers.normal_form import plain
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.truths import decided, left_open, named, quality_of_judgment, require_answer

_SAID = re.compile(
    r"\banswer\s*(?:(?:should|must|will)\s+be\b|is|:|=)[\s:*$\\]*(?:(?:option|choice|letter)\s+\**)?(?:\(\**)?([A-Z])\b"
    r"(?!['’])(?=(?P<after>.{0,40}))",
    re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"\)?\**\s*(?:or|and|/|,|&|→|->|=>)\s*\(?\**[A-Z]\b(?![a-z'’])"
    r"(?!\)?\s+(?:is|was)(?:n['’]t|(?: \w*ly)? (?:wrong|incorrect|false|not))\b)"
)
_ASKED = re.compile(r"[)* ]*\?(?!\s*(?:[Yy]es|[Cc]orrect|[Rr]ight)\b)")
_ARTICLE = re.compile(
    r" (?!(?:because|since|as|is|was|for|with|but|so|which|due|given|in|by|and|or|on|from|option|choice)\b)[a-z]"
)
_FIRST = re.compile(r"\s*\**\(?([A-Z])(?:[.):]|\**\s*$)")
_CORRECT = re.compile(
    r"(?:^|[.!?:\n]\s?)[ *]{0,3}(?:(?:[Ss]o|[Tt]hus|[Tt]herefore|[Hh]ence),? )?(?:[Tt]he )?"
    r"(?:[Oo]ption|[Cc]hoice|[Aa]nswer) \(?\**([A-Z])\**\)? is (?:the )?(?:\w*ly )?(?:correct|right)\b(?! ?\?)"
)
_BRACKETED = re.compile(r"\(([A-Z])\)")
_WRONG = r"(?:wrong|incorrect|false|not (?:right|correct|true|the)\b|not(?=\s*[.,;!]|\s*$))"
_DENIED = re.compile(
    rf"[\s*]*(?:(?:(?:is|was|seems)\s+(?:\w+ly\s+)?{_WRONG}|(?:isn|can|wasn)['’]?t\s*(?:be\s+)?(?:it|right|correct|true|the|[.,;!]|$))"
    rf"|(?:no|{_WRONG})\s*(?:[.,;!]|$)|(?:[Nn]o|[Ww]rong|[Ii]ncorrect|[Ff]alse)[.,;!]?\s+\(?[A-Z][.):])"
)
"""What denies the letter before it; "No" and "Not enough information" are an option's text."""

_DENIAL = re.compile(
    r"\b(?:not\b(?! (?:true|correct|accurate) is\b)|neither\b|never\b|cannot\b"
    r"|(?:wrong|incorrect|false)\b(?! (?:statement|sentence|claim|equation|pair)\b))|n['’]t\b",
    re.IGNORECASE,
)
"""What denies the letter after it; "the incorrect statement is (C)" answers a question."""

_LATER = re.compile(
    r"\b(?:it|that|this)(?:['’]s| is| was) (?:\w+ly )?(?:wrong|incorrect|mistaken|not (?:right|correct|it|true))\b"
    r"|[?]\s*(?:no|wrong|incorrect)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[^.,;:!?\n]*$")
_LETTER = re.compile(r"\s*\(?([A-Z])[.)]?\s*")


class ChoiceVerifier:
    def require(self, prompt: Prompt) -> None:
        gold = require_answer(prompt, "the letter of the right choice")
        if not _LETTER.fullmatch(gold):
            raise DataError(f"{named(prompt)}: answer is {gold[:40]!r}; expected one capital letter")

    def check(self, prompt: Prompt, text: str) -> Truth:
        gold = _LETTER.fullmatch(prompt.answer or "")
        letter = chosen(text)
        if gold is None:
            return left_open("no gold letter", letter)
        return decided(letter == gold.group(1), letter)

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)


def chosen(reply: str) -> str:
    """The letter, or "" where none can be read."""
    said = [found for found in _SAID.finditer(reply) if found[1].isupper() and not _is_word(found)]
    said = [found for found in said if not _ASKED.match(found["after"]) and not _is_anothers(reply, found)]
    if said:
        return "" if _SEVERAL.match(said[-1]["after"]) else said[-1][1]
    boxed = _LETTER.fullmatch(plain(last_boxed(reply) or ""))
    first = _FIRST.match(reply)
    if boxed or (first and not _DENIED.match(reply, first.end())):
        return (boxed or first).group(1)  # type: ignore[union-attr]
    if correct := set(_CORRECT.findall(reply)):
        return correct.pop() if len(correct) == 1 else ""
    bracketed = list(_BRACKETED.finditer(reply))
    if len({found[1] for found in bracketed}) != 1 or _LATER.search(reply, bracketed[0].end()):
        return ""
    return "" if any(_is_denied(reply, found) for found in bracketed) else bracketed[0][1]


def _is_anothers(reply: str, found: re.Match[str]) -> bool:
    start = found.start()
    return is_no_answer(reply, start) or (is_somebodys(reply, start) and is_opposed(reply, found.end()))


def _is_denied(reply: str, found: re.Match[str]) -> bool:
    """Whether a bracketed letter is denied: before it in its clause, or right after it."""
    clause = _CLAUSE.search(reply[max(0, found.start() - 80) : found.start()])
    return _DENIED.match(reply, found.end()) is not None or bool(clause and _DENIAL.search(clause.group()))


def _is_word(found: re.Match[str]) -> bool:
    return found[1] in "AI" and _ARTICLE.match(found["after"]) is not None
