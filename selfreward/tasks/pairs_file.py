"""Preference pairs from outside (human or another system's), as JSON Lines.

Each row is an object with `prompt` or `messages` as in a prompt file, `chosen` and `rejected` (different texts), and
`source`, which says whose preference it is and goes onto the pair as `external:<source>`. Optional: `label`, the
probability that chosen is better, from 1/2 to 1, and `weight`, above 0. A row that cannot be used is an error that
names file and line.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.errors import DataError
from selfreward.records import Prompt, stable_id
from selfreward.tasks.prompts_file import kind_of, lines_of, read_question, text_of


@dataclass(frozen=True, slots=True)
class ExternalPair:
    """A preference as it stands in the file; the texts become tokens where it is trained on."""

    id: str
    prompt: Prompt
    chosen: str
    rejected: str
    source: str
    label: float
    weight: float


def read_pairs(path: str | Path) -> list[ExternalPair]:
    """All pairs of a file, in its order. Raises DataError for a file or row that cannot be used, or no row at all."""
    pairs: list[ExternalPair] = []
    line_of_id: dict[str, int] = {}
    for number, line in lines_of(Path(path)):
        pair = _read(line, f"{path}:{number}")
        same = line_of_id.setdefault(pair.id, number)
        if same != number:
            raise DataError(f"{path}:{number}: the same pair as line {same}; remove one of the two")
        pairs.append(pair)
    if not pairs:
        raise DataError(f"{path}: no pair in the file; expected prompt, chosen, rejected and source on each line")
    return pairs


def _read(line: str, where: str) -> ExternalPair:
    row, messages = read_question(line, where)
    chosen, rejected, source = (
        text_of(row.get(name), name, where).strip() for name in ("chosen", "rejected", "source")
    )
    if chosen == rejected:
        raise DataError(f"{where}: chosen and rejected are the same text; expected two different answers")
    label = _number(row, "label", 1.0, where)
    if not 0.5 <= label <= 1:
        raise DataError(f"{where}: label is {label:g}; expected 0.5 to 1, so that chosen is the preferred one")
    weight = _number(row, "weight", 1.0, where)
    if not 0 < weight < float("inf"):
        raise DataError(f"{where}: weight is {weight:g}; expected a finite number above 0")
    turns = [(turn.role, turn.content) for turn in messages]
    prompt = Prompt(stable_id("external prompt", turns), messages, "train", "external")
    return ExternalPair(
        id=stable_id("external", turns, *sorted((chosen, rejected))),
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        source=source,
        label=label,
        weight=weight,
    )


def _number(row: dict[str, Any], name: str, default: float, where: str) -> float:
    value = row.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where}: {name} is {kind_of(value)}; expected a number")
    return float(value)
