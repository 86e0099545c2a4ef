"""A round in one line: the few numbers that one looks at first, with their intervals, from its measurements alone."""

from collections.abc import Iterable, Mapping

from selfreward.records import Measurement
from selfreward.report.catalogue import words
from selfreward.report.tables import DASH, number_text

KEYS = (
    ("true_accuracy", "report"),
    ("judge_mean", "report"),
    ("judge_minus_truth", "report"),
    ("held_out_win_rate_initial", "report"),
    ("length_tokens", "report"),
    ("unreadable_rate", "report"),
    ("pairs_kept", "train"),
)
"""Metric and pool; what a run does not measure is left out."""


def key_measurements(rows: Iterable[Measurement]) -> dict[tuple[str, str], Measurement]:
    """Those of `KEYS` that have a value, in their order."""
    known = {(row.metric, row.pool): row for row in rows if row.cohort == "all" and row.value is not None}
    return {key: known[key] for key in KEYS if key in known}


def value_text(row: Measurement | None) -> str:
    """The value with its interval; a count is a whole number."""
    if row is None:
        return DASH
    if row.metric.endswith("_kept") and row.low is None:
        return f"{row.value:.0f}"
    return number_text(row.value, row.low, row.high, signed=row.metric == "judge_minus_truth")


def key_line(number: int, rows: Iterable[Measurement]) -> str:
    """round 1: true accuracy 0.612 [0.55, 0.67], judge's mean score 3.91 [3.7, 4.1], ..."""
    found = key_measurements(rows)
    return f"round {number}: " + ", ".join(f"{words(metric)} {value_text(row)}" for (metric, _), row in found.items())


def key_rows(rounds: Mapping[int, Iterable[Measurement]]) -> tuple[list[str], list[list[str]]]:
    """The same as a table: a column of names, then one for each round."""
    found = {number: key_measurements(rows) for number, rows in rounds.items()}
    present = [key for key in KEYS if any(key in rows for rows in found.values())]
    header = ["metric", *(f"round {number}" for number in found)]
    return header, [[words(key[0]), *(value_text(rows.get(key)) for rows in found.values())] for key in present]
