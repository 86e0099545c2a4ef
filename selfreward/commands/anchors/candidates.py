"""What could be put on a sheet: a policy's distinct answers with the judge's score, or two policies' answers as a pair.

Equal texts of one prompt are one candidate with `copies`. What has no readable score is left out and counted: there is
nothing to hold a label against.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from selfreward.errors import DataError
from selfreward.measuring.evidence import PoolRows
from selfreward.measuring.metrics.answers import Answer, join
from selfreward.records import Judgment, Message, Prompt, Response, stable_id
from selfreward.store.view import RunView


@dataclass(frozen=True, slots=True)
class Candidate:
    """One answer (`texts` has one) or a pair (two, the round's own first). `judge` is on the labels' scale.

    For an answer that is the mean score, for a pair 2 where the judge prefers the first, 1 for a tie, 0 the second.
    `template` names the versions of the judge's prompt. `certain` is a label that needs nobody: two equal texts tie.
    """

    id: str
    prompt_id: str
    messages: tuple[Message, ...]
    cohort: str
    texts: tuple[str, ...]
    round: int
    judge: float
    template: str
    copies: int = 1
    certain: float | None = None

    @property
    def point(self) -> int:
        """The judge's whole point, half up."""
        return math.floor(self.judge + 0.5)


def pool_answers(view: RunView, number: int, pool: str) -> tuple[list[Candidate], int]:
    """The distinct answers of round `number`'s policy on an evaluation pool, and how many have no readable score.

    Raises DataError where there is none.
    """
    answers, unread = _on_pool(view, number, pool)
    return _distinct(answers, number), unread


def pool_pairs(view: RunView, number: int, against: int, pool: str) -> tuple[list[Candidate], int]:
    """Each answer of round `number` beside the equally numbered answer of round `against`, scored by its own judge."""
    now, unread = _on_pool(view, number, pool)
    then, more = _on_pool(view, against, pool)
    earlier = {(answer.prompt.id, answer.response.sample): answer for answer in then}
    pairs: dict[str, Candidate] = {}
    copies: Counter[str] = Counter()
    for answer in now:
        other = earlier.get((answer.prompt.id, answer.response.sample))
        if other is None or answer.score is None or other.score is None:
            continue
        texts = (answer.response.text, other.response.text)
        name = stable_id("anchor pair", number, against, answer.prompt.id, texts)
        preference = float((answer.score > other.score) - (answer.score < other.score) + 1)
        same = texts[0].strip() == texts[1].strip()
        copies[name] += 1
        pairs.setdefault(
            name,
            Candidate(
                id=name,
                prompt_id=answer.prompt.id,
                messages=answer.prompt.messages,
                cohort=answer.prompt.cohort,
                texts=texts,
                round=number,
                judge=1.0 if same else preference,
                template=_templates([answer, other]),
                certain=1.0 if same else None,
            ),
        )
    return [replace(pair, copies=copies[name]) for name, pair in sorted(pairs.items())], unread + more


def training_answers(view: RunView, number: int) -> list[Candidate]:
    """The distinct judged answers that round `number`'s policy was trained on or could have been."""
    if not (view.seal(number, "responses") and view.seal(number, "judgments")):
        return []
    rows = PoolRows(
        view.read(number, "prompts", Prompt),
        view.read(number, "responses", Response),
        view.read(number, "judgments", Judgment),
    )
    return _distinct([one for one in join(rows, f"round {number}") if one.score is not None], number)


def _on_pool(view: RunView, number: int, pool: str) -> tuple[list[Answer], int]:
    rows = PoolRows(
        view.read(0, "pools", Prompt),
        view.read(number, "eval_responses", Response),
        view.read(number, "eval_judgments", Judgment),
    )
    answers = [one for one in join(rows, f"the pools of round {number}") if one.prompt.pool == pool]
    scored = [one for one in answers if one.score is not None]
    if not scored:
        raise DataError(
            f"run {view.name!r}, round {number}: none of its {len(answers)} answers on the {pool} pool has a readable "
            "score; expected some that a human label could be held against; choose another round or pool"
        )
    return scored, len(answers) - len(scored)


def _distinct(answers: Iterable[Answer], number: int) -> list[Candidate]:
    found: dict[str, Candidate] = {}
    copies: Counter[str] = Counter()
    for answer in answers:
        name = stable_id("anchor answer", number, answer.prompt.id, answer.response.text)
        copies[name] += 1
        if name not in found and answer.score is not None:
            found[name] = Candidate(
                id=name,
                prompt_id=answer.prompt.id,
                messages=answer.prompt.messages,
                cohort=answer.prompt.cohort,
                texts=(answer.response.text,),
                round=number,
                judge=answer.score,
                template=_templates([answer]),
            )
    return [replace(one, copies=copies[name]) for name, one in sorted(found.items())]


def _templates(answers: Sequence[Answer]) -> str:
    return ", ".join(sorted({judgment.template for answer in answers for judgment in answer.judgments}))
