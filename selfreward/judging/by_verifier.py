"""Stage: verifiers first, then the judge for what they leave open.

One prompt is scored by one of the two, since their scales need not agree: where the verifier decides any answer of a
prompt, its verdicts count and the answers that it leaves open have no score; where it decides none, the model is asked
about all of them.
"""

from collections.abc import Iterator, Mapping, Sequence

from selfreward.records import Judgment, Prompt, Response, stable_id
from selfreward.store.given import chunked
from selfreward.store.run import Work
from selfreward.tasks.verifiers.protocol import Verifier

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

    def compute(chunk: Sequence[Response], index: int) -> Iterator[Judgment]:
        for response in chunk:
            truth = verifier.check(prompts[response.prompt_id], response.text)
            yield Judgment(
                id=stable_id(artifact, round, response.id, 0),
                response_id=response.id,
                prompt_id=response.prompt_id,
                sample=0,
                judge=name,
                text="",
                token_ids=(),
                finish_reason="stop",
                seed=0,
                template="verifier",
                score=None if truth.open else truth.quality,
                unreadable=f"left open: {truth.open}" if truth.open else None,
                source="verifier",
            )

    return Work(
        round=round,
        artifact=artifact,
        record=Judgment,
        made_from={"version": VERSION, "round": round, "inputs": dict(made_from), "verifier": name},
        chunks=chunked(responses, 1024),
        compute=compute,
    )


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

    def compute(chunk: Sequence[Response], index: int) -> Iterator[Judgment]:
        for response in chunk:
            yield Judgment(
                id=stable_id(artifact, round, response.id, 0),
                response_id=response.id,
                prompt_id=response.prompt_id,
                sample=0,
                judge="oracle",
                text="",
                token_ids=(),
                finish_reason="stop",
                seed=0,
                template="oracle",
                score=verifier.check(prompts[response.prompt_id], response.text).quality,
                unreadable=None,
                source="oracle",
            )

    return Work(
        round=round,
        artifact=artifact,
        record=Judgment,
        made_from={"version": VERSION, "round": round, "inputs": dict(made_from), "judge": "oracle"},
        chunks=chunked(responses, 4096),
        compute=compute,
    )


def left_to_the_model(verdicts: Sequence[Judgment], responses: Sequence[Response]) -> list[Response]:
    """The answers to prompts of which the verifier decides none."""
    decided = {row.prompt_id for row in verdicts if row.score is not None}
    return [response for response in responses if response.prompt_id not in decided]


def merge(verdicts: Sequence[Judgment], opinions: Sequence[Judgment]) -> list[Judgment]:
    """One list: the model's judgments take the place of the verdicts that say nothing."""
    judged = {row.response_id for row in opinions}
    return [*(row for row in verdicts if row.response_id not in judged), *opinions]
