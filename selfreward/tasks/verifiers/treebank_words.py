"""The words of a sentence as the Penn Treebank cuts them: the cut that IFEval's count of capital words is made with.

Punctuation stands alone, contractions are two words ("DON'T" is DO and N'T), a hyphen joins, a full stop is cut off at
the end of the sentence only. The steps and their order are those of NLTK's `word_tokenize`.
"""

import re

from selfreward.tasks.verifiers.punkt import sentences

_STEPS = [
    (re.compile(pattern), written)
    for pattern, written in [
        # Quotes that open.
        (r"([«“‘„]|`+)", r" \1 "),
        (r"^\"", "``"),
        (r"(``)", r" \1 "),
        (r"([ (\[{<])(\"|'{2})", r"\1 `` "),
        (r"(?i)(?<!\w)(')(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w)", r"\1 "),
        # Punctuation; the full stop only where nothing but closing marks follows.
        (r"([^.])(\.)([\])}>\"' »”’]*+)\s*$", r"\1 \2 \3 "),
        (r"([:,])([^\d])", r" \1 \2"),
        (r"([:,])$", r" \1 "),
        (r"\.{2,}", r" \g<0> "),
        (r"[;@#$%&‒-―?!*]", r" \g<0> "),
        (r"([^.])(\.)([\])}>\"']*)\s*$", r"\1 \2\3 "),
        (r"([^'])' ", r"\1 ' "),
        (r"[\]\[(){}<>]", r" \g<0> "),
        (r"--", " -- "),
        (r"\A|\Z", " "),
        # Quotes that close, and endings.
        (r"([»”’])", r" \1 "),
        (r"''|\"", " '' "),
        (r"\s+", " "),
        (r"([^' ])('[sS]|'[mM]|'[dD]|') ", r"\1 \2 "),
        (r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", r"\1 \2 "),
        # Contractions.
        (r"(?i)\b(can)(not)\b|\b(d)('ye)\b|\b(gim)(me)\b|\b(gon)(na)\b|\b(got)(ta)\b|\b(lem)(me)\b", None),
        (r"(?i)\b(more)('n)\b|\b(wan)(na)(?=\s)| ('t)(is)\b| ('t)(was)\b", None),
    ]
]


def words(text: str) -> list[str]:
    return [word for sentence in sentences(text) for word in _cut(sentence)]


def _cut(sentence: str) -> list[str]:
    for pattern, written in _STEPS:
        sentence = pattern.sub(written if written is not None else _apart, sentence)
    return sentence.split()


def _apart(found: re.Match[str]) -> str:
    return " ".join(["", *(part for part in found.groups() if part), ""])
