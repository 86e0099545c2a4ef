"""Two texts side by side: which words stand on one side only (difflib's longest matching blocks, no junk rule).

Texts that share less than a tenth of their words are different texts; marking all of them would show nothing.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

WORD = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")
LEAST_ALIKE = 0.1
Marked = Sequence[tuple[bool, str]]
"""(whether it stands on this side only, text); the texts joined are the whole."""


def word_marks(left: str, right: str) -> tuple[Marked, Marked]:
    """Both texts in pieces."""
    sides = [WORD.findall(text) for text in (left, right)]
    bare = [[word.strip() for word in side] for side in sides]
    matcher = SequenceMatcher(None, bare[0], bare[1], autojunk=False)
    if matcher.ratio() < LEAST_ALIKE:
        return [(False, left)], [(False, right)]
    blocks = matcher.get_matching_blocks()
    return (
        _pieces(sides[0], [(block.a, block.size) for block in blocks]),
        _pieces(sides[1], [(block.b, block.size) for block in blocks]),
    )


def _pieces(words: Sequence[str], shared: Sequence[tuple[int, int]]) -> list[tuple[bool, str]]:
    pieces, place = [], 0
    for start, size in shared:
        pieces += [(True, "".join(words[place:start])), (False, "".join(words[start : start + size]))]
        place = start + size
    return [(only, text) for only, text in pieces if text]
