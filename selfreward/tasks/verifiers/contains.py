"""Does the reply hold the gold answer, as whole words? For short answers in free sentences: "It is Paris." for Paris.

The gold is `answer`, or several in `meta.answers` (with `answer` one more, where the row has it): any of them makes a
reply right, with `meta.needed: all` only all of them do, in whatever order.

Both sides are read as words in one way (`words`): case is folded, and all that is no letter or digit parts words, but
for what stands between two digits, before them or behind them: 1,200.50, 10:30, 1/2, 3-5, 2024-05-01, -5, 5km, COVID-19
and 50 % are one word each, so the gold 5, 19 or 50 is not in them. Grouping commas and zeros at a decimal's end are
left out (1,200.50 is 1200.5); signs of money say nothing. + and # belong to the letter before them (C++, C#). Every
character of Chinese and Japanese is a word; Thai and its like part words nowhere, and match as a whole only.

Limits. Nothing is understood: "not Paris", "Paris or Rome" and a reply that lists a hundred towns hold the gold and are
right, so a policy that is trained on this learns to name many things. Watch length, ask `exact` where a reply states
its answer, `choice` where there are choices. Accents count, and a gold number in words ("five") is another word.
"""

import re
from unicodedata import normalize

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.normal_form import ascii_digits
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.truths import decided, left_open, named, quality_of_judgment

NEEDED = ("any", "all")
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LETTER = rf"[^\W\d_{_UNSPACED}]"
_WORD = re.compile(
    rf"(?:(?<![\w.,:/%)-])-)?(?:[0-9]+|(?<![\w.])\.[0-9]+)(?:[.,:/-][0-9]+)*[^\W_{_UNSPACED}]*(?:\s?%)?"
    rf"|[{_UNSPACED}]|{_LETTER}[^\W_{_UNSPACED}]*(?:-[0-9]+|(?<=[0-9])\.[0-9]+)*[+#]*"
)
_GROUPED = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])")
_DECIMAL = re.compile(r"(-?)([0-9]*)\.([0-9]*?)0*(?![0-9.,:/-])")
_DASHES = str.maketrans("−‐‑–", "----")


class ContainsVerifier:
    def require(self, prompt: Prompt) -> None:
        meta = prompt.meta
        if meta.get("needed", "any") not in NEEDED:
            raise DataError(f"{named(prompt)}: meta.needed is {meta['needed']!r}; expected any or all")
        given = meta.get("answers", [])
        if not isinstance(given, list) or not all(isinstance(one, str | int | float) for one in given):
            raise DataError(
                f"{named(prompt)}: meta.answers is {str(given)[:40]!r}; expected a list of texts or numbers"
            )
        golds = gold_answers(prompt)
        if not golds:
            raise DataError(
                f"{named(prompt)} has no 'answer' and no meta.answers; expected one of the two on its row of the "
                "prompt file"
            )
        for gold in golds:
            if not words(gold):
                raise DataError(f"{named(prompt)}: the answer {gold[:40]!r} has no letter or digit; expected a word")

    def check(self, prompt: Prompt, text: str) -> Truth:
        golds = gold_answers(prompt)
        if not golds:
            return left_open("no gold answer")
        reply = _line(text)
        found = [gold for gold in golds if _line(gold) in reply]
        right = len(found) == len(golds) if prompt.meta.get("needed") == "all" else bool(found)
        return decided(right, " | ".join(" ".join(words(gold)) for gold in found) or reply.strip())

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)


def gold_answers(prompt: Prompt) -> list[str]:
    """Each once, `answer` first."""
    own = [] if prompt.answer is None else [prompt.answer]
    return list(dict.fromkeys([*own, *map(str, prompt.meta.get("answers", []))]))


def words(text: str) -> list[str]:
    """The words of a text in the one form in which golds and replies are compared."""
    plain = ascii_digits(normalize("NFC", text)).translate(_DASHES).casefold()
    return [_number(word) for word in _WORD.findall(plain)]


def _number(word: str) -> str:
    """A word with a number as that number is written shortest: 1,200.50 as 1200.5, .5 as 0.5, 50 % as 50%."""
    if grouped := _GROUPED.match(word):
        word = grouped[0].replace(",", "") + word[grouped.end() :]
    if decimal := _DECIMAL.match(word):
        sign, whole, digits = decimal.groups()
        word = f"{sign}{whole or 0}{'.' if digits else ''}{digits}{word[decimal.end() :]}"
    return "".join(word.split())


def _line(text: str) -> str:
    """Words between single blanks, with one before and one after: whole words are whole pieces of it."""
    return f" {' '.join(words(text))} "
