"""Multiple choice: the letter that the reply chooses against the gold letter.

Read in this order: the letter after the last "answer is", "answer:" or "answer ="; the letter in the last \\boxed{...};
a reply that begins with a letter and a mark ("B.", "B)", "(B)") or is one letter; the only bracketed letter in the
reply. Two different bracketed letters without any of these choose nothing: such a reply is wrong, as is one without a
letter. An article ("the answer is A large dog"), a pronoun ("is I think B") and a choice of several ("A or B") are no
letter after "answer is". Assumption: the choices are named by single capital letters.
"""

import re

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.boxed import last_boxed
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.truths import decided, left_open, named, quality_of_judgment, require_answer

_SAID = re.compile(r"\banswer\s*(?:is|:|=)[\s:*]*\(?\**([A-Z])\b(?!['’])(?=(?P<after>.{0,40}))", re.IGNORECASE)
_SEVERAL = re.compile(r"\)?\**\s*(?:or|and|/|,|&)\s*\(?\**[A-Z]\b(?![a-z'’])")
_ARTICLE = re.compile(
    r" (?!(?:because|since|as|is|was|for|with|but|so|which|due|given|in|by|and|or|on|from|option|choice)\b)[a-z]"
)
_FIRST = re.compile(r"\s*\**\(?([A-Z])(?:[.):]|\**\s*$)")
_BRACKETED = re.compile(r"\(([A-Z])\)")
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
    if said:
        return "" if _SEVERAL.match(said[-1]["after"]) else said[-1][1]
    boxed = _LETTER.fullmatch(last_boxed(reply) or "")
    found = boxed or _FIRST.match(reply)
    if found:
        return found.group(1)
    bracketed = set(_BRACKETED.findall(reply))
    return bracketed.pop() if len(bracketed) == 1 else ""


def _is_word(found: re.Match[str]) -> bool:
    return found[1] in "AI" and _ARTICLE.match(found["after"]) is not None
