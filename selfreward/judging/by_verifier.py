"""Stage: verifiers first, then the judge for what they leave open.

One prompt is scored by one of the two, since their scales need not agree: where the verifier decides any answer of a
prompt, its verdicts count and the answers that it leaves open have no score; where it decides none, the model is asked
about all of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

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
) -> Work[Response, Judgment]:
    """Work that yields one Judgment per response: the verifier's quality, or why the answer is left open."""

    def row(response: Response, truth: Truth) -> Judgment:
        why = f"left open: {truth.open}" if truth.open else None
        score = None if truth.open else truth.quality
        return _row(stable_id(artifact, round, response.id, 0), response, name, "verifier", score, why)

    made = {"version": VERSION, "round": round, "inputs": dict(made_from), "verifier": name}
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
        return _row(stable_id(artifact, round, response.id, 0), response, "oracle", "oracle", truth.quality, None)

    made = {"version": VERSION, "round": round, "inputs": dict(made_from), "judge": "oracle"}
    return _work(verifier, prompts, responses, row, round, artifact, made, size=4096)


def _row(
    name: str,
    response: Response,
    judge: str,
    source: Literal["verifier", "oracle"],
    score: float | None,
    unreadable: str | None,
) -> Judgment:
    """A judgment that nobody wrote."""
    return Judgment(
        id=name,
        response_id=response.id,
        prompt_id=response.prompt_id,
        sample=0,
        judge=judge,
        text="",
        token_ids=(),
        finish_reason="stop",
        seed=0,
        template=source,
        score=score,
        unreadable=unreadable,
        source=source,
    )


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


def merge(verdicts: Sequence[Judgment], opinions: Sequence[Judgment]) -> list[Judgment]:
    """One list: the model's judgments take the place of the verdicts that say nothing."""
    judged = {row.response_id for row in opinions}
    return [*(row for row in verdicts if row.response_id not in judged), *opinions]
