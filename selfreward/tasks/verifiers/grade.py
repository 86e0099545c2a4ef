"""Stage: what the verifier says of each answer, for the pair rules and filters that ask it.

The grades are written down, not asked again: a verifier with a time limit need not say the same twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from selfreward.records import Prompt, Response
from selfreward.store.given import chunked
from selfreward.store.run import Work
from selfreward.tasks.verifiers.final_answer import final_answer
from selfreward.tasks.verifiers.protocol import Grade, Verifier

VERSION = 2


@dataclass(frozen=True, slots=True)
class GradeRow:
    """A grade on disk; `id` is the response's. `open` says why `correct` is None."""

    id: str
    answer: str
    correct: bool | None
    quality: float
    open: str

    @property
    def grade(self) -> Grade:
        return Grade(self.answer, self.correct, self.quality)


def grade(
    verifier: Verifier | None,
    name: str,
    prompts: Mapping[str, Prompt],
    responses: Sequence[Response],
    *,
    made_from: Mapping[str, str],
    round: int,
) -> Work[Response, GradeRow]:
    """Work that yields a GradeRow per response; without a verifier only the final answer is known."""

    def compute(chunk: Sequence[Response], index: int) -> Iterator[GradeRow]:
        for response in chunk:
            if verifier is None:
                yield GradeRow(response.id, final_answer(response.text), None, 0.0, "no verifier")
                continue
            truth = verifier.check(prompts[response.prompt_id], response.text)
            yield GradeRow(response.id, truth.answer, None if truth.open else truth.correct, truth.quality, truth.open)

    return Work(
        round=round,
        artifact="grades",
        record=GradeRow,
        made_from={"version": VERSION, "round": round, "inputs": dict(made_from), "verifier": name},
        chunks=chunked(responses, 1024),
        compute=compute,
    )
