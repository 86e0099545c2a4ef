"""Multiple choice: the letter that the reply chooses against the gold letter.

Read in this order: the letter after the last "answer is", "answer:" or "answer ="; the letter in the last \\boxed{...};
a reply that begins with a letter and a mark ("B.", "B)", "(B)") or is one letter; the only bracketed letter in a reply
that denies nothing. Two different bracketed letters without any of these choose nothing: such a reply is wrong, as is
one without a letter. An article ("the answer is A large dog"), a pronoun ("is I think B"), a choice of several ("A or
B"), a question ("A?") and another answer than one's own ("the wrong answer is A") are no letter after "answer is", and
"A. is wrong" begins with none. Assumption: the choices are named by single capital letters.
"""

import re

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.boxed import last_boxed
from selfreward.tasks.verifiers.normal_form import plain
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.truths import decided, left_open, named, quality_of_judgment, require_answer

_SAID = re.compile(
    r"\banswer\s*(?:is|:|=)[\s:*]*(?:(?:option|choice|letter)\s+\**)?(?:\(\**)?([A-Z])\b(?!['’])(?=(?P<after>.{0,40}))",
    re.IGNORECASE,
)
_SEVERAL = re.compile(r"\)?\**\s*(?:or|and|/|,|&|→|->|=>)\s*\(?\**[A-Z]\b(?![a-z'’])")
_ARTICLE = re.compile(
    r" (?!(?:because|since|as|is|was|for|with|but|so|which|due|given|in|by|and|or|on|from|option|choice)\b)[a-z]"
)
_FIRST = re.compile(r"\s*\**\(?([A-Z])(?:[.):]|\**\s*$)")
_BRACKETED = re.compile(r"\(([A-Z])\)")
_NO_ANSWER = re.compile(r"\b(?:wrong|incorrect|false|previous|earlier|his|her|their|[a-z]+['’]s)\s*$", re.IGNORECASE)
_DENIED = re.compile(
    r"[\s*]*(?:(?:is|was|seems)\s+)?(?:\w+ly\s+)?(?:no|not|wrong|incorrect|false)\b|\s*(?:isn|can)['’]?t\b", re.I
)
_DENIAL = re.compile(r"\b(?:not|neither|never|cannot|wrong|incorrect|false)\b|n['’]t\b", re.IGNORECASE)
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
    said = [found for found in said if not _NO_ANSWER.search(reply[max(0, found.start() - 40) : found.start()])]
    said = [found for found in said if not found["after"].lstrip(")* ").startswith("?")]
    if said:
        return "" if _SEVERAL.match(said[-1]["after"]) else said[-1][1]
    boxed = _LETTER.fullmatch(plain(last_boxed(reply) or ""))
    first = _FIRST.match(reply)
    if boxed or (first and not _DENIED.match(reply, first.end())):
        return (boxed or first).group(1)  # type: ignore[union-attr]
    if _DENIAL.search(reply):
        return ""
    bracketed = set(_BRACKETED.findall(reply))
    return bracketed.pop() if len(bracketed) == 1 else ""


def _is_word(found: re.Match[str]) -> bool:
    return found[1] in "AI" and _ARTICLE.match(found["after"]) is not None
