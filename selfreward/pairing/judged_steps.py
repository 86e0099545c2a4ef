"""The steps of an answer in its own tokens, each with the judge's P(right): what step-level pairs are made of.

A step begins where the judge saw it begin (judging/prompts/steps.py). Its tokens are the sampled ones, cut at the token
whose end lies in the white space before the next step: nothing is tokenised again, so what stands before a step is what
the policy really said before it. Where a token holds the end of one step and the beginning of the next there is no such
cut, and the answer's steps from there on are one; so are those of an answer that thought before it spoke, as what was
cut from it stands in its tokens and not in its text.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from selfreward.judging.prompts.steps import spans
from selfreward.judging.scoring.steps import by_answer
from selfreward.recipe import StepsQuestion
from selfreward.records import Response, StepVerdict

Decode = Callable[[Sequence[int]], str]
"""The answer's text of its first tokens, as the judge would read it."""


@dataclass(frozen=True, slots=True)
class JudgedStep:
    """`before` are the answer's tokens in front of the step. `right` is P(right), None where it could not be read."""

    before: tuple[int, ...]
    tokens: tuple[int, ...]
    text: str
    right: float | None


def judged_steps(
    responses: Sequence[Response], verdicts: Sequence[StepVerdict], question: StepsQuestion, decode: Decode
) -> Mapping[str, tuple[JudgedStep, ...]]:
    """By response id; an answer whose steps were not judged, or cannot be cut before the second one, has none."""
    judged = by_answer(verdicts)
    found = {}
    for response in responses:
        rows = judged.get(response.id, ())
        places = spans(response.text, question.most, question.mark)
        if not rows or response.reasoning or len(rows) != len(places):
            continue
        cuts = token_cuts(response, [begin for begin, _ in places[1:]], decode)
        if cuts:
            found[response.id] = _steps(response, rows, places, [0, *cuts])
    return found


def token_cuts(response: Response, places: Sequence[int], decode: Decode) -> list[int]:
    """How many tokens stand before each place of the text, up to the first before which no token ends."""
    tokens = response.token_ids

    def length(count: int) -> int:
        return len(decode(tokens[:count]).lstrip())

    cuts = []
    for place in places:
        shortest = len(response.text[:place].rstrip())
        count = bisect_left(range(len(tokens)), shortest, key=length)
        if not shortest <= length(count) <= place or response.text[: length(count)] != decode(tokens[:count]).lstrip():
            break
        cuts.append(count)
    return cuts


def _steps(
    response: Response, rows: Sequence[StepVerdict], places: Sequence[tuple[int, int]], cuts: Sequence[int]
) -> tuple[JudgedStep, ...]:
    """Those that were cut off; the last of them has the rest of the tokens only where it is the answer's last."""
    steps = []
    for number, begin in enumerate(cuts):
        last = number + 1 == len(places)
        if not last and number + 1 == len(cuts):
            break
        end = len(response.token_ids) if last else cuts[number + 1]
        text = response.text[slice(*places[number])].strip()
        steps.append(JudgedStep(response.token_ids[:begin], response.token_ids[begin:end], text, rows[number].right))
    return tuple(steps)
