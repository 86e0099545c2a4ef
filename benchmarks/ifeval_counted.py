"""Texts for `ifeval_answers.py`, and its answers to instructions that count something and compare it with a limit."""

import json
import random
from pathlib import Path
from typing import Any

TEXTS = json.loads((Path(__file__).parent / "ifeval_texts.json").read_text(encoding="utf-8"))
SENTENCES: list[str] = TEXTS["sentences"]
WORDS: list[str] = TEXTS["words"]
LANGUAGES: dict[str, str] = TEXTS["languages"]


def prose(rng: random.Random, count: int) -> str:
    """Sentences side by side."""
    return " ".join(rng.choices(SENTENCES, k=count))


def held(relation: str, limit: int) -> tuple[int, int]:
    """A count that holds the relation, and the nearest that does not."""
    return (limit - 1, limit) if relation == "less than" else (limit, limit - 1)


def _keywords_counted(given: dict[str, Any], rng: random.Random, count: int) -> str:
    parts = [*rng.choices(WORDS, k=12), *[given["keyword"]] * count]
    rng.shuffle(parts)
    return " ".join(parts) + "."


def _letters(given: dict[str, Any], rng: random.Random, count: int) -> str:
    letter = given["letter"]
    plain = "".join(one for one in prose(rng, 4) if one.lower() != letter.lower())
    return plain + " " + " ".join([letter.upper() if place % 2 else letter for place in range(count)])


def _capitals(given: dict[str, Any], rng: random.Random, count: int) -> str:
    parts = [*rng.choices(WORDS, k=15), *(word.upper() for word in rng.choices(WORDS, k=count))]
    rng.shuffle(parts)
    return " ".join(parts) + ". It isn't far."


def _words(given: dict[str, Any], rng: random.Random, count: int) -> str:
    return ", ".join(rng.choices(WORDS, k=count)) + "!"


def _plain_sentences(given: dict[str, Any], rng: random.Random, count: int) -> str:
    return " ".join(rng.choices([one for one in SENTENCES if not set(".?!") & set(one[:-1])], k=count))


def _sentences(given: dict[str, Any], rng: random.Random, count: int) -> str:
    # Some of these are two for a splitter, so that these answers lie on both sides of the limit.
    return " ".join(rng.choices(SENTENCES, k=count))


COUNTED = {
    "frequency": [_keywords_counted],
    "letter_frequency": [_letters],
    "capital_word_frequency": [_capitals],
    "number_words": [_words],
    "number_sentences": [_plain_sentences, _sentences],
}
