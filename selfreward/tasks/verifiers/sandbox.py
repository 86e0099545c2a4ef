"""The sandbox's truth: a prompt is read back into its task, and the world's oracle grades the answer from 0 to 5.

Correct means the full score. The answer is the items alone, without format and filler, so that two phrasings of one
answer count once. A prompt that is no task of the world (self-written nonsense) has no right answer: quality 0,
never correct, no claim; every judgment of such an answer is measured by its distance from 0.
"""

from functools import lru_cache

from selfreward.records import Prompt
from selfreward.tasks.sandbox.annotator import UNREADABLE_QUALITY, judgment_quality, read_score
from selfreward.tasks.sandbox.oracle import FULL_SCORE, oracle_score, read_reply
from selfreward.tasks.sandbox.tasks import parse_task
from selfreward.tasks.verifiers.protocol import Truth


class SandboxVerifier:
    """Implements `Verifier`. Pure: the same prompt and text always get the same truth, so truths are remembered."""

    def require(self, prompt: Prompt) -> None:
        """Any prompt will do: one that is no task has no right answer."""

    def check(self, prompt: Prompt, text: str) -> Truth:
        return _check(prompt.text, text)

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        """Minus the error of the score, plus a little for right ticks and a right reference; -9 when unreadable."""
        task = parse_task(prompt.text)
        if task is not None:
            return judgment_quality(task, answer, judgment)
        score = read_score(judgment)
        return UNREADABLE_QUALITY if score is None else -float(score)


@lru_cache(maxsize=100_000)
def _check(prompt: str, text: str) -> Truth:
    task = parse_task(prompt)
    items = read_reply(text).items
    answer = text.strip() if items is None else " ".join(items)
    if task is None:
        return Truth(quality=0.0, correct=False, answer=answer, wrong_claim=False, echoes_claim=None)
    score = oracle_score(task, text)
    return Truth(
        quality=float(score),
        correct=score == FULL_SCORE,
        answer=answer,
        wrong_claim=task.claim is not None and not task.claim_is_right,
        echoes_claim=None if task.claim is None else items == task.claim,
    )
