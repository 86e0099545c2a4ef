"""Stage: verifiers first, then the judge for what they leave open, or among what passed.

`judge.source=verifier_then_model`: one prompt is scored by one of the two, since their scales need not agree: where the
verifier decides any answer of a prompt, its verdicts count and the answers that it leaves open have no score; where it
decides none, the model is asked about all of them.

`judge.source=verifier_and_model`: the verifier alone says which answers pass, and the model is asked about those that
do, where a prompt has two or more of them (and, for a pair rule that needs one, one that fails). An answer that is left
open has no score. What ranks and what passes become one scale in scoring/passing.py.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from selfreward.judging.stage import unwritten
from selfreward.recipe.scale import HIGHEST, LOWEST
from selfreward.records import Judgment, Prompt, Response, stable_id
from selfreward.store.given import chunked
from selfreward.store.run import Work
from selfreward.tasks.verifiers.protocol import Truth, Verifier

VERSION = 2


def ask_verifier(
    verifier: Verifier,
    name: str,
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    *,
    made_from: Mapping[str, str],
    round: int,
    artifact: str = "verdicts",
    passing: bool = False,
) -> Work[Response, Judgment]:
    """Work that yields one Judgment per response: the verifier's quality, or why the answer is left open.

    `passing`: the score is the scale's highest for an answer that is correct and its lowest for every other.
    """

    def row(response: Response, truth: Truth) -> Judgment:
        why = f"left open: {truth.open}" if truth.open else None
        quality = (HIGHEST if truth.correct else LOWEST) if passing else truth.quality
        score = None if truth.open else quality
        row_id = stable_id(artifact, round, response.id, 0)
        return unwritten(row_id, response, judge=name, template="verifier", source="verifier", score=score, why=why)

    made = {"version": VERSION, "round": round, "inputs": dict(made_from), "verifier": name}
    made |= {"passing": True} if passing else {}
    return _work(verifier, prompts, responses, row, round, artifact, made, size=1024)


def ask_oracle(
    verifier: Verifier,
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    *,
    made_from: Mapping[str, str],
    round: int,
    artifact: str = "judgments",
) -> Work[Response, Judgment]:
    """The control `judge.source=oracle`: one judgment per response, its score the verifier's quality."""

    def row(response: Response, truth: Truth) -> Judgment:
        row_id, who = stable_id(artifact, round, response.id, 0), "oracle"
        return unwritten(row_id, response, judge=who, template=who, source=who, score=truth.quality, why=None)

    made = {"version": VERSION, "round": round, "inputs": dict(made_from), "judge": "oracle"}
    return _work(verifier, prompts, responses, row, round, artifact, made, size=4096)


def _work(
    verifier: Verifier,
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    row: Callable[[Response, Truth], Judgment],
    round: int,
    artifact: str,
    made_from: Mapping[str, Any],
    *,
    size: int,
) -> Work[Response, Judgment]:
    def compute(chunk: Sequence[Response], index: int) -> Iterator[Judgment]:
        for response in chunk:
            yield row(response, verifier.check(prompts[response.prompt_id], response.text))

    return Work(round, artifact, Judgment, made_from, chunked(responses, size), compute)


def left_to_the_model(verdicts: Sequence[Judgment], responses: Sequence[Response]) -> list[Response]:
    """The answers to prompts of which the verifier decides none."""
    decided = {row.prompt_id for row in verdicts if row.score is not None}
    return [response for response in responses if response.prompt_id not in decided]


def passed(verdicts: Sequence[Judgment], responses: Sequence[Response], failing_too: bool) -> list[Response]:
    """The answers that pass, of prompts where another text passes too, and one fails where that is needed."""
    verdict = {row.response_id: row.score for row in verdicts}
    texts: defaultdict[str, set[str]] = defaultdict(set)
    fails: set[str] = set()
    for response in responses:
        if verdict[response.id] == HIGHEST:
            texts[response.prompt_id].add(response.text)
        elif verdict[response.id] is not None:
            fails.add(response.prompt_id)
    ranked = {prompt for prompt, several in texts.items() if len(several) > 1 and (prompt in fails or not failing_too)}
    return [row for row in responses if row.prompt_id in ranked and verdict[row.id] == HIGHEST]


def merge(verdicts: Sequence[Judgment], opinions: Sequence[Judgment]) -> list[Judgment]:
    """One list: the model's judgments take the place of the verdicts that say nothing."""
    judged = {row.response_id for row in opinions}
    return [*(row for row in verdicts if row.response_id not in judged), *opinions]
