"""How verifiers that compare with a gold answer put their word: correct, wrong, or left open with a reason."""

import re

from selfreward.errors import DataError
from selfreward.recipe.scale import HIGHEST, LOWEST
from selfreward.records import Prompt
from selfreward.tasks.verifiers.protocol import Truth

UNREADABLE = -9.0
"""Quality of a judgment without a score: below every readable one."""

_SCORE = re.compile(r"\bscore\s*[:：=]\s*([0-9]+(?:\.[0-9]+)?)", re.IGNORECASE)


def decided(correct: bool, answer: str, share: float | None = None) -> Truth:
    """A verdict; `share` of the judge's scale where there is more than right and wrong."""
    quality = LOWEST + (HIGHEST - LOWEST) * (float(correct) if share is None else share)
    return Truth(quality, correct, answer, wrong_claim=False, echoes_claim=None)


def left_open(reason: str, answer: str = "") -> Truth:
    """No verdict, and why: never correct, and never paired."""
    return Truth(LOWEST, False, answer, wrong_claim=False, echoes_claim=None, open=reason)


def quality_of_judgment(truth: Truth, judgment: str) -> float:
    """Minus the distance of the judgment's last score from the truth; what is left open tells nothing apart."""
    scores = _SCORE.findall(judgment)
    if not scores or not LOWEST <= float(scores[-1]) <= HIGHEST:
        return UNREADABLE
    return 0.0 if truth.open else -abs(float(scores[-1]) - truth.quality)


def require_answer(prompt: Prompt, what: str) -> str:
    """The gold answer. Raises DataError that names the prompt without one."""
    if prompt.answer is None:
        raise DataError(f"{named(prompt)} has no 'answer'; expected {what} on its row of the prompt file")
    return prompt.answer


def named(prompt: Prompt) -> str:
    return f"prompt {prompt.id} ({prompt.text[:40]!r}...)"
