"""What an answer is worth, from -1 to 1, from what the judge and the verifier said of it: pure.

    score                the judge's score, its scale mapped to [-1, 1]
    verdict              the verifier's: 1 correct, -1 wrong
    quality              the verifier's, mapped like a score
    verifier_and_judge   wrong -1; correct 1/2 + 1/2 judge, the judge's score in [0, 1]
    votes                1 where the final answer has the most votes of the prompt's samples, else -1 (TTRL, 2504.16084)

`verifier_and_judge` is lexicographic: no judge lifts a wrong answer over a right one, and points of judge and verifier
are never added up. Where the verifier decides no answer of a prompt, the judge's score alone counts there, on its own
scale, since rewards are compared within a prompt only; where it decides some, those that it leaves open have none.
Several answers may have the most votes: all are right then, and where nobody agrees with anybody nothing is learned.

An answer without a readable judgment, or left open, or without a final answer, has no reward: it is never 0. A
truncated answer has none either (`exclude`), or the lowest (`floor`), whatever anybody says of its beginning.

The length penalty takes off `weight` times the share by which an answer is longer than `soft_length` tokens.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from selfreward.judging.scoring.score import Score
from selfreward.recipe.scale import HIGHEST, LOWEST
from selfreward.records import Drop, Response, Reward, stable_id
from selfreward.tasks.verifiers.protocol import Grade
from selfreward.training.weighing.advantages import answer_drop

WORST, BEST = -1.0, 1.0


@dataclass(frozen=True, slots=True)
class Opinions:
    """What is known of the answers, by response id. An answer that is missing in one has no such opinion."""

    scores: Mapping[str, Score]
    grades: Mapping[str, Grade]


@dataclass(frozen=True, slots=True)
class Shaping:
    """What every reward goes through, whoever gave it."""

    truncated: Literal["exclude", "floor"] = "exclude"
    length_weight: float = 0.0
    soft_length: int = 1


def scaled(score: float) -> float:
    """A score of the judges' scale from -1 to 1."""
    return WORST + (BEST - WORST) * (score - LOWEST) / (HIGHEST - LOWEST)


def by_score(answers: Sequence[Response], opinions: Opinions) -> dict[str, float]:
    return {one.id: scaled(opinions.scores[one.id].value) for one in answers if one.id in opinions.scores}


def by_verdict(answers: Sequence[Response], opinions: Opinions) -> dict[str, float]:
    """The verifier's word: correct or not."""
    return {one.id: BEST if correct else WORST for one, correct in _decided(answers, opinions)}


def by_quality(answers: Sequence[Response], opinions: Opinions) -> dict[str, float]:
    """The verifier's finer word, on the judges' scale."""
    return {one.id: scaled(opinions.grades[one.id].quality) for one, _ in _decided(answers, opinions)}


def by_verifier_and_judge(answers: Sequence[Response], opinions: Opinions) -> dict[str, float]:
    """Of one prompt's answers."""
    decided = _decided(answers, opinions)
    if not decided:
        return by_score(answers, opinions)
    judged = by_score([one for one, correct in decided if correct], opinions)
    right = {response_id: (3 + reward) / 4 for response_id, reward in judged.items()}
    return right | {one.id: WORST for one, correct in decided if not correct}


def by_votes(answers: Sequence[Response], opinions: Opinions) -> dict[str, float]:
    """Of one prompt's answers; equal texts vote as often as they were sampled."""
    voted = {one.id: opinions.grades[one.id].answer for one in answers if one.id in opinions.grades}
    votes = Counter(answer for answer in voted.values() if answer)
    most = max(votes.values(), default=0)
    return {one: BEST if votes[answer] == most else WORST for one, answer in voted.items() if answer}


def _decided(answers: Sequence[Response], opinions: Opinions) -> list[tuple[Response, bool]]:
    known = [(one, opinions.grades[one.id].correct) for one in answers if one.id in opinions.grades]
    return [(one, correct) for one, correct in known if correct is not None]


REWARDS = {
    "score": by_score,
    "verdict": by_verdict,
    "quality": by_quality,
    "verifier_and_judge": by_verifier_and_judge,
    "votes": by_votes,
}
"""Name -> function of one prompt's complete answers."""

GRADED = frozenset({"verdict", "quality", "verifier_and_judge", "votes"})
"""Those that read what a verifier says, or the final answer."""


def rewards(
    answers: Sequence[Response], opinions: Opinions, kind: str, shaping: Shaping
) -> tuple[list[Reward], list[Drop]]:
    """The rewards of one prompt's answers, in their order; a Drop for every answer that has none."""
    complete = [one for one in answers if one.finish_reason == "stop"]
    values = REWARDS[kind](complete, opinions)
    if shaping.truncated == "floor":
        values |= {one.id: WORST for one in answers if one.finish_reason != "stop"}
    found, drops = [], []
    for one in answers:
        if one.id in values:
            value = values[one.id] - length_penalty(len(one.token_ids), shaping)
            found.append(Reward(stable_id("reward", one.id), one.prompt_id, one.id, value, kind))
        else:
            drops.append(answer_drop(one.id, "unreadable" if one.finish_reason == "stop" else "truncated"))
    return found, drops


def length_penalty(tokens: int, shaping: Shaping) -> float:
    return shaping.length_weight * max(0, tokens - shaping.soft_length) / shaping.soft_length


def with_kl(reward: float, old: Sequence[float], reference: Sequence[float], weight: float) -> float:
    """RLOO's reward: what the answer costs in KL to the reference is taken off (k1 of the answer; may be negative).

    weight * sum over its tokens of log pi_old - log pi_ref, under the policy that sampled it.
    """
    return reward - weight * sum(mine - its for mine, its in zip(old, reference, strict=True))
