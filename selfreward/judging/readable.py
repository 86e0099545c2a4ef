"""A judge whose replies cannot be read must stop a round before anything is paired."""

from collections.abc import Sequence

from selfreward.errors import GateError
from selfreward.records import Judgment

NO_MASS = "no score mass"


def require_readable(judgments: Sequence[Judgment], minimum: float, number: int) -> None:
    """Raise GateError when the share of readable verdicts of round `number` is below `minimum` (or there are none)."""
    readable = sum(judgment.score is not None for judgment in judgments)
    share = readable / len(judgments) if judgments else 0.0
    if judgments and share >= minimum:
        return
    reasons: dict[str, int] = {}
    for judgment in judgments:
        if judgment.unreadable is not None:
            reasons[judgment.unreadable] = reasons.get(judgment.unreadable, 0) + 1
    counted = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items(), key=lambda item: -item[1]))
    # Where probabilities are read there is no reply to look at, and no length of one to raise.
    advice = (
        "The judge gives the words of the scores little probability: another judge.question.template or judge.model, "
        "or judge.reading=verdict, which reads what it says, may help"
        if max(reasons, key=lambda reason: reasons[reason], default="") == NO_MASS
        else "Look at the judge's replies in judgments.jsonl; a larger judge.reading.sampling.max_tokens or another "
        "judge.question.template usually helps"
    )
    raise GateError(
        f"round {number}: {readable} of {len(judgments)} verdicts could be read ({share:.0%}); expected at least "
        f"{minimum:.0%} (gates.min_readable). Reasons: {counted or 'no verdict was asked for'}. {advice}"
    )
