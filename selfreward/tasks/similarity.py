"""ROUGE-L F1 between short texts: how Self-Instruct (2212.10560 §2.2) tells a new instruction from a known one.

    F1 = 2 * LCS / (m + n)      LCS: longest common subsequence of words, m and n: the numbers of words

Words are casefolded and split at white space. The number of common words (with multiplicity) bounds the LCS from above,
so only texts whose bound exceeds the limit are aligned, and those by Hyyrö's bit-parallel recurrence: one machine-word
operation per word of the other text.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence


def words_of(text: str) -> list[str]:
    return text.casefold().split()


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence (Hyyrö 2004): each zero bit of `row` is a match taken."""
    places: defaultdict[str, int] = defaultdict(int)
    for position, word in enumerate(one):
        places[word] |= 1 << position
    every = (1 << len(one)) - 1
    row = every
    for word in other:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & every
    return len(one) - row.bit_count()


def rouge_l(one: Sequence[str], other: Sequence[str]) -> float:
    """F1 of two word lists; 0 where one is empty."""
    total = len(one) + len(other)
    return 2 * common_subsequence(one, other) / total if one and other else 0.0


class SimilarityIndex:
    """Texts that are kept so far; says whether a new one is too similar to any of them."""

    def __init__(self) -> None:
        self._texts: list[list[str]] = []
        self._postings: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)

    def add(self, text: str) -> None:
        words = words_of(text)
        for word, count in Counter(words).items():
            self._postings[word].append((len(self._texts), count))
        self._texts.append(words)

    def more_similar_than(self, text: str, limit: float) -> tuple[float, str] | None:
        """(similarity, text) of a kept text above `limit`, or None. The likeliest are tried first."""
        words = words_of(text)
        common: defaultdict[int, int] = defaultdict(int)
        for word, count in Counter(words).items():
            for index, other in self._postings.get(word, ()):
                common[index] += count if count < other else other
        texts, length = self._texts, len(words)
        bounds = ((2 * shared / (length + len(texts[index])), index) for index, shared in common.items())
        for _, index in sorted((bound for bound in bounds if bound[0] > limit), reverse=True):
            similarity = rouge_l(words, texts[index])
            if similarity > limit:
                return similarity, " ".join(texts[index])
        return None
