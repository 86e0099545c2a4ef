"""Pairs from UltraFeedback (2310.01377) by the rule of Zephyr (2310.16944): the best completion against a random other.

A completion's score is the mean of its four aspect ratings (instruction following, honesty, truthfulness, helpfulness);
its `overall_score` is known to be wrong in places and is not read. One that lacks a rating, or has no text, is no
candidate. The best is the one with the highest mean, the first of several; the other is drawn by lot among the rest,
with a seed of its own for each row. Where the other has the same mean it is a tie, which makes no pair; nor does a row
with fewer than two candidates, or with two equal texts. How many rows fell away, and why, is counted.
"""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfreward.errors import DataError
from selfreward.records import seed_for
from selfreward.tasks.tables import open_table
from selfreward.tasks.texts import kind_of, text_of

ASPECTS = ("instruction_following", "honesty", "truthfulness", "helpfulness")
SOURCE = "ultrafeedback"


def ultrafeedback_pairs(path: str | Path, seed: int, dropped: Counter[str]) -> Iterator[dict[str, Any]]:
    """Rows for a file of pairs; `dropped` is told why others made none. Raises DataError for what is no such row."""
    table = open_table(path)
    for number, row in enumerate(table.rows(), start=1):
        where = table.where(number)
        if not isinstance(row, dict) or not isinstance(row.get("completions"), list):
            raise DataError(f"{where}: expected an UltraFeedback row with `instruction` and a list of `completions`")
        prompt = text_of(row.get("instruction"), "instruction", where)
        pair = _pair(prompt, row["completions"], seed, where)
        if isinstance(pair, str):
            dropped[pair] += 1
        else:
            yield pair


def _pair(prompt: str, completions: list[Any], seed: int, where: str) -> dict[str, Any] | str:
    """The pair, or why there is none."""
    candidates = [found for one in completions if (found := _candidate(one, where)) is not None]
    if len(candidates) < 2:
        return "fewer than two rated completions"
    best = max(range(len(candidates)), key=lambda position: candidates[position][0])
    others = [position for position in range(len(candidates)) if position != best]
    other = random.Random(seed_for(seed, SOURCE, prompt)).choice(others)
    (high, chosen), (low, rejected) = candidates[best], candidates[other]
    if high == low:
        return "tie"
    if chosen.strip() == rejected.strip():
        return "equal texts"
    ratings = {"chosen_rating": high, "rejected_rating": low}
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected, "source": SOURCE, **ratings}


def _candidate(completion: Any, where: str) -> tuple[float, str] | None:
    """Mean rating and text."""
    if not isinstance(completion, dict):
        raise DataError(f"{where}: a completion is {kind_of(completion)}; expected an object with annotations")
    text, annotations = completion.get("response"), completion.get("annotations") or {}
    ratings = [_rating(annotations.get(aspect)) for aspect in ASPECTS]
    known = [rating for rating in ratings if rating is not None]
    if not isinstance(text, str) or not text.strip() or len(known) < len(ASPECTS):
        return None
    return sum(known) / len(ASPECTS), text


def _rating(annotation: Any) -> float | None:
    """A number from 1 to 5, which the file has as text; "N/A" is none."""
    rating = str(annotation.get("Rating", "")) if isinstance(annotation, dict) else ""
    return float(rating) if rating in {"1", "2", "3", "4", "5"} else None
