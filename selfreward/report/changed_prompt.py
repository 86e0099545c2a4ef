"""One prompt in two rounds, or one pair: its numbers, and two of its answers side by side with their words marked."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from selfreward.measuring.metrics.answers import Answer
from selfreward.records import Pair, Prompt, stable_id
from selfreward.report.answers import PromptRound
from selfreward.report.reading import Reading
from selfreward.report.tables import DASH
from selfreward.report.word_marks import Marked, word_marks
from selfreward.tasks.verifiers.protocol import Truth

LONGEST_TEXT = 1500


@dataclass(frozen=True, slots=True)
class Seen:
    """The answers of one prompt in one round, each with the truth about it (None without a verifier, or left open)."""

    prompt: Prompt
    round: int
    answers: Sequence[Answer]
    truths: Mapping[str, Truth]

    @classmethod
    def of(cls, reading: Reading, row: PromptRound) -> "Seen":
        truths = {}
        if reading.verifier:
            checked = {one.response.id: reading.verifier.check(row.prompt, one.response.text) for one in row.answers}
            truths = {name: truth for name, truth in checked.items() if not truth.open}
        return cls(row.prompt, row.round, row.answers, truths)

    @property
    def right(self) -> float | None:
        """Share of right answers."""
        known = [truth.correct for truth in self.truths.values()]
        return sum(known) / len(known) if known else None

    @property
    def score(self) -> float | None:
        known = [answer.score for answer in self.answers if answer.score is not None]
        return sum(known) / len(known) if known else None

    @property
    def tokens(self) -> float | None:
        return sum(map(self.tokens_of, self.answers)) / len(self.answers) if self.answers else None

    @staticmethod
    def tokens_of(answer: Answer) -> float:
        return len(answer.response.token_ids)

    @staticmethod
    def score_of(answer: Answer) -> float | None:
        return answer.score

    def is_right(self, answer: Answer) -> bool | None:
        truth = self.truths.get(answer.response.id)
        return truth.correct if truth else None

    def quality(self, answer: Answer) -> float | None:
        truth = self.truths.get(answer.response.id)
        return truth.quality if truth else None

    def gap(self, answer: Answer) -> float | None:
        """Points that the judge gives above the quality."""
        quality = self.quality(answer)
        return None if quality is None or answer.score is None else answer.score - quality

    def by_id(self, response_id: str) -> Answer | None:
        return next((answer for answer in self.answers if answer.response.id == response_id), None)

    def first(self, *, correct: bool) -> Answer:
        """The first answer that is right (or wrong); the first one where none is."""
        return next((answer for answer in self.answers if self.is_right(answer) is correct), self.answers[0])

    def typical(self, of: Callable[[Answer], float | None]) -> Answer:
        """The answer nearest to the mean of all."""
        known = [(value, answer) for answer in self.answers if (value := of(answer)) is not None]
        if not known:
            return self.answers[0]
        mean = sum(value for value, _ in known) / len(known)
        return min(known, key=lambda item: abs(item[0] - mean))[1]


@dataclass(frozen=True, slots=True)
class Side:
    """One of two answers. `pieces` are its words, marked where they stand on this side only."""

    title: str
    facts: str
    right: bool | None
    pieces: Marked


@dataclass(frozen=True, slots=True)
class Case:
    """`order` holds what the list can be sorted by; `anchor` ends the address of a link to it."""

    prompt_id: str
    anchor: str
    asked: str
    cohort: str
    numbers: str
    order: Mapping[str, float]
    left: Side
    right: Side


def seen_rounds(reading: Reading, number: int) -> dict[str, Seen]:
    """The report pool's prompts that have answers in this round."""
    rows = reading.pool_answers(number).values()
    return {row.prompt.id: Seen.of(reading, row) for row in rows if row.prompt.pool == "report" and row.answers}


def case(before: Seen, after: Seen, early: Answer, late: Answer, *, left: Seen | None = None) -> Case:
    """A prompt of a pool; `left` is the round that the answer on the left is of, unless it is the first one."""
    shown, moved = [], {}
    for name, one, other, digits in (
        ("right", before.right, after.right, 2),
        ("judge", before.score, after.score, 1),
        ("tokens", before.tokens, after.tokens, 0),
    ):
        if one is not None or other is not None:
            shown.append(f"{name} {_short(one, digits)} → {_short(other, digits)}")
        moved[name] = 0.0 if one is None or other is None else other - one
    moved["gap"] = after.gap(late) or 0.0
    beside = left or before
    marks = word_marks(_cut(early.response.text), _cut(late.response.text))
    sides = (
        Side(f"Round {beside.round}", _facts(beside, early), beside.is_right(early), marks[0]),
        Side(f"Round {after.round}", _facts(after, late), after.is_right(late), marks[1]),
    )
    return _made(after.prompt, " · ".join(shown), moved, *sides)


def pair_case(seen: Seen, chosen: Answer, rejected: Answer, pair: Pair) -> Case:
    """A pair that was trained on."""
    marks = word_marks(_cut(chosen.response.text), _cut(rejected.response.text))
    gap = pair.chosen_score - pair.rejected_score
    numbers = [f"scores {pair.chosen_score:.1f} and {pair.rejected_score:.1f}"]
    if pair.label != 1:
        numbers.append(f"P(chosen is better) {pair.label:.2f}")
    known = [value for value in (seen.quality(chosen), seen.quality(rejected)) if value is not None]
    if len(known) == 2:
        numbers.append(f"truth {known[0]:g} and {known[1]:g}")
    moved = {
        "right": known[0] - known[1] if len(known) == 2 else 0.0,
        "judge": gap,
        "tokens": Seen.tokens_of(chosen) - Seen.tokens_of(rejected),
        "gap": gap - (known[0] - known[1]) if len(known) == 2 else gap,
    }
    sides = (
        Side("Chosen", _facts(seen, chosen), seen.is_right(chosen), marks[0]),
        Side("Rejected", _facts(seen, rejected), seen.is_right(rejected), marks[1]),
    )
    return _made(seen.prompt, " · ".join(numbers), moved, *sides)


def _made(prompt: Prompt, numbers: str, moved: Mapping[str, float], left: Side, right: Side) -> Case:
    turns = [f"{message.role}: {message.content}" for message in prompt.messages]
    asked = _cut(prompt.text if len(turns) == 1 else "\n".join(turns))
    anchor = prompt.id if re.fullmatch(r"[\w.-]+", prompt.id) else stable_id(prompt.id)
    return Case(prompt.id, anchor, asked, prompt.cohort, numbers, moved, left, right)


def _facts(seen: Seen, answer: Answer) -> str:
    parts = [f"judge {_short(answer.score, 1)}"]
    quality = seen.quality(answer)
    if quality is not None:
        parts.append(f"truth {quality:g}, {'right' if seen.is_right(answer) else 'wrong'}")
    cut = ", cut off" if answer.response.finish_reason == "length" else ""
    return " · ".join([*parts, f"{len(answer.response.token_ids)} tokens{cut}"])


def _short(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{value:.{digits}f}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… (cut)"
