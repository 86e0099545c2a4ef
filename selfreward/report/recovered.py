"""How much of the gap between a weak teacher and the ceiling a student closes, of a grid's arms.

Asked of each arm's judge at round 0, about the start policy's answers on the report pool, which steer nothing: of every
two distinct answers of one prompt that differ in true quality, does the judge put the better one higher? Equal scores
are half right, and so is a pair of which it reads one answer or none. All three arms must have judged the same answers;
a prompt whose answers are all equally good says nothing. A value for each prompt, so that all prompts weigh the same.

A teacher that is recovered may still be one whose labels are worth nothing: what a student does without any teacher
(its own word, labels by its own judge, labels turned by lot) belongs beside it as arms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

from selfreward.errors import DataError
from selfreward.measuring.stats.clustered import Estimate
from selfreward.measuring.stats.nested_difference import NestedDifference, nested_paired_difference
from selfreward.measuring.stats.recovered import gap, gap_recovered
from selfreward.report.compare import POOL
from selfreward.report.reading import Reading
from selfreward.report.tables import Table, number_text
from selfreward.store.view import RunView

UNDEFINED = "undefined: the ceiling is not resolved above the weak teacher"
Cell = tuple[str, int]
Values = dict[tuple[str, str, str], float]


class Runs(Protocol):
    """Where runs are looked up: the store."""

    def existing(self, name_or_path: str) -> RunView: ...


@dataclass(frozen=True, slots=True)
class RecoveredRow:
    """Three arms' share of pairs put right, what there is to recover, and what was; None where it is not defined."""

    student: str
    weak: str
    ceiling: str
    levels: tuple[NestedDifference, NestedDifference, NestedDifference]
    gap: NestedDifference
    recovered: Estimate | None

    @property
    def text(self) -> str:
        one = self.recovered
        return UNDEFINED if one is None else number_text(one.value, one.low, one.high)


def recovered_rows(
    store: Runs, grid: Mapping[str, Mapping[Cell, str]], wanted: Sequence[Sequence[str]]
) -> list[RecoveredRow]:
    """Of every (student, weak, ceiling). Raises DataError where they judged different answers or no truth is known."""
    known: dict[str, Values] = {}
    answered: dict[Cell, tuple[str, object]] = {}
    for arm in dict.fromkeys(arm for three in wanted for arm in three):
        known[arm] = {}
        for cell, name in grid[arm].items():
            reading = Reading(store.existing(name))
            told = _answers(reading)
            other, theirs = answered.setdefault(cell, (name, told))
            if told != theirs:
                raise DataError(
                    f"runs {other!r} and {name!r} judged different answers on the report pool of round 0, so that no "
                    "gap stands between them; give all arms the same model, seed, generate and measure sections"
                )
            model, seed = cell
            known[arm].update({(model, str(seed), prompt): value for prompt, value in pairs_right(reading).items()})
    found = []
    for student, weak, ceiling in wanted:
        three = known[student], known[weak], known[ceiling]
        levels = tuple(nested_paired_difference(one, (0.0, 1.0)) for one in three)
        assert len(levels) == 3
        there = gap(three[1], three[2])
        found.append(RecoveredRow(student, weak, ceiling, levels, there, gap_recovered(*three)))
    return found


def _answers(reading: Reading) -> object:
    rows = reading.pool_answers(reading.rounds[0]).values()
    return {
        (row.prompt.id, answer.response.id): answer.response.text
        for row in rows
        if row.prompt.pool == POOL
        for answer in row.answers
    }


def pairs_right(reading: Reading) -> dict[str, float]:
    """Prompt of the report pool → share of its pairs that the run's judge puts the right way round at round 0."""
    if reading.verifier is None:
        raise DataError(f"run {reading.name!r}: measure.verifier is none, so that no pair is known to be right")
    found = {}
    for name, row in reading.pool_answers(reading.rounds[0]).items():
        if row.prompt.pool != POOL:
            continue
        distinct = {answer.response.text: answer for answer in reversed(row.answers)}
        truths = {text: reading.verifier.check(row.prompt, text) for text in distinct}
        right = []
        for one, other in combinations(sorted(text for text, truth in truths.items() if not truth.open), 2):
            apart = truths[one].quality - truths[other].quality
            mine, its = distinct[one].score, distinct[other].score
            if apart:
                told = 0.0 if mine is None or its is None else (mine - its) * apart
                right.append(0.5 if told == 0 else float(told > 0))
        if right:
            found[name] = sum(right) / len(right)
    return found


def recovered_table(rows: Sequence[RecoveredRow]) -> Table:
    header = ["student", "weak teacher", "ceiling", "student's", "teacher's", "ceiling's", "gap", "recovered"]
    body = [
        [row.student, row.weak, row.ceiling, *map(_level, row.levels), _level(row.gap, signed=True), row.text]
        for row in rows
    ]
    return Table("Performance gap recovered: pairs put right at round 0, report pool", header, body)


def _level(one: NestedDifference, *, signed: bool = False) -> str:
    return number_text(one.estimate.value, one.estimate.low, one.estimate.high, signed=signed)
