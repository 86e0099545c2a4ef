"""What metrics of text count: words, n-grams, and texts as points on the unit sphere.

A word is a run of letters and digits or a single other visible character, in lower case: nothing of the model's
tokenizer, so that models can be compared.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

from scipy.sparse import csr_array

WORD = re.compile(r"\w+|[^\w\s]")
Embedder = Callable[[Sequence[str]], csr_array]
"""Texts → rows of length 1 (a text without any feature is a row of zeros). Dense vectors go through `csr_array` too."""


@lru_cache(maxsize=20_000)
def words(text: str) -> tuple[str, ...]:
    """Remembered: a round's metrics read the same answers again and again."""
    return tuple(WORD.findall(text.lower()))


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(tokens[start:] for start in range(n)), strict=False))


def tfidf_embedder(fitted_on: Sequence[str]) -> Embedder:
    """Unigrams and bigrams, (1 + ln tf) · (1 + ln((1 + N) / (1 + df))), rows of length 1; needs no model, no network.

    The document frequencies are those of `fitted_on`, frozen: what is followed over rounds must not be measured with a
    ruler made of the round itself. Features that `fitted_on` has not have df = 0 and count most.
    """
    frequency = Counter(feature for text in fitted_on for feature in set(_features(text)))
    documents = len(fitted_on)

    def embed(texts: Sequence[str]) -> csr_array:
        columns: dict[str, int] = {}
        values: list[float] = []
        indices: list[int] = []
        starts = [0]
        for text in texts:
            weights = {
                feature: (1 + math.log(count)) * (1 + math.log((1 + documents) / (1 + frequency[feature])))
                for feature, count in Counter(_features(text)).items()
            }
            norm = math.sqrt(math.fsum(weight**2 for weight in weights.values()))
            for feature, weight in weights.items():
                indices.append(columns.setdefault(feature, len(columns)))
                values.append(weight / norm)
            starts.append(len(indices))
        return csr_array((values, indices, starts), shape=(len(texts), max(1, len(columns))))

    return embed


def _features(text: str) -> list[str]:
    tokens = words(text)
    return [*tokens, *map(" ".join, ngrams(tokens, 2))]
