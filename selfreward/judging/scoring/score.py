"""What the judges' replies come to: the score of an answer, and how judgments stand after their battles."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """What the judge thinks of one answer: `value` over its `readable` judgments; `unreadable` ones are only counted.

    `spread` is the sample variance (n - 1) of the readable scores, or None for a single one.
    """

    value: float
    readable: int
    unreadable: int
    spread: float | None


def counted(value: float) -> Score:
    """A score that no judge gave: votes, a verdict, a win rate."""
    return Score(value, 1, 0, None)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the judgments of one response stand after their battles: `wins[m][n]` is the weight of m's wins over n."""

    response_id: str
    judgment_ids: tuple[str, ...]
    strengths: tuple[float, ...]
    wins: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class MetaSummary:
    """The meta-judge over a whole run. A battle is one pair of judgments, asked in both orders.

    `agreed` battles have the same readable winner in both orders; `agreement` is their share of all battles, ties and
    unreadable verdicts counting against it, or None without battles. The other counts are of single verdicts.
    `weights` are what a win from the first and from the second slot counts.
    """

    battles: int
    agreed: int
    agreement: float | None
    first_wins: int
    second_wins: int
    ties: int
    unreadable: int
    weights: tuple[float, float]
