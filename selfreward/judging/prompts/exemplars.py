"""Few-shot exemplars of a judge: judged answers that are shown before the question, as turns of a conversation.

A row of the file has a question in one of the forms of a prompt file, a `response` and a `judgment`, the reply that a
judge should give. Each exemplar is the judge's own question about that response and the judgment as its answer, so an
exemplar can be no other template's, and what it teaches of the form is what the parser reads: a judgment that cannot
be read is refused. RLAIF (2309.00267) saw examples help in one task and hurt in another.

`shots` of them are taken, the same for every question, by a lot that depends on the rows alone. They are balanced over
the scores that the file has: no score has two more than another, and fewer than two scores are refused, since a judge
copies what it sees most. Prompts of the exemplars must be in no pool and in no training prompt
(`commands/prompt_checks.py`): a judge that has seen the answer is no judge of it. File and lot are in the version.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, zip_longest

from selfreward.engines.protocol import Completion
from selfreward.errors import DataError
from selfreward.judging.prompts.prompt import JudgePrompt
from selfreward.records import Message, Prompt, stable_id
from selfreward.roles.unreadable import Unreadable
from selfreward.tasks.row_forms import Form
from selfreward.tasks.tables import open_table
from selfreward.tasks.texts import text_of


@dataclass(frozen=True, slots=True)
class Exemplar:
    prompt: Prompt
    response: str
    judgment: str
    where: str


def with_exemplars(wording: JudgePrompt, file: str, shots: int) -> JudgePrompt:
    """The same judge, shown `shots` exemplars of the file first. Raises DataError for a file that cannot be used."""
    drawn = draw(read_exemplars(file), shots, lambda one: _score(wording, one), file)
    shown: list[Message] = []
    for one in drawn:
        shown += [*wording.ask(one.prompt, one.response), Message("assistant", one.judgment)]

    def ask(prompt: Prompt, answer: str) -> tuple[Message, ...]:
        return (*shown, *wording.ask(prompt, answer))

    digest = hashlib.sha256(json.dumps([(turn.role, turn.content) for turn in shown]).encode()).hexdigest()[:8]
    return replace(wording, version=f"{wording.version}+{len(drawn)} exemplars@{digest}", ask=ask)


@cache
def read_exemplars(file: str) -> tuple[Exemplar, ...]:
    """All rows. Raises DataError that names file and row for one that cannot be used."""
    table, form = open_table(file), Form()
    found = []
    for number, row in enumerate(table.rows(), start=1):
        where = table.where(number)
        columns, messages, _ = form.question(row, where)
        response, judgment = (text_of(columns.get(name), name, where) for name in ("response", "judgment"))
        prompt = Prompt(stable_id("exemplar", messages), messages, "train", "exemplars")
        found.append(Exemplar(prompt, response, judgment, where))
    return tuple(found)


def draw(exemplars: Sequence[Exemplar], shots: int, score: Callable[[Exemplar], float], file: str) -> list[Exemplar]:
    """`shots` exemplars, as many of each score as can be: by turns, in an order of scores by lot."""
    of_score: defaultdict[float, list[Exemplar]] = defaultdict(list)
    for one in sorted(exemplars, key=_lot):
        of_score[score(one)].append(one)
    if len(of_score) < 2:
        raise DataError(f"{file}: its judgments have {len(of_score)} different scores; expected two at least")
    levels = sorted(of_score, key=lambda level: _lot(of_score[level][0]))
    turns = zip_longest(*(of_score[level] for level in levels))
    whole = chain.from_iterable(turns)
    drawn = list(zip(whole, range(shots), strict=False))
    if len(drawn) < shots or any(one is None for one, _ in drawn):
        least = min(map(len, of_score.values())) * len(levels)
        raise DataError(
            f"{file}: {len(exemplars)} exemplars of {len(levels)} scores make no {shots} that are balanced; expected "
            f"judge.question.shots of at most {least}, or more rows of the rarest score"
        )
    return sorted((one for one, _ in drawn if one is not None), key=_lot)


def _lot(one: Exemplar) -> str:
    return stable_id("shown", one.prompt.id, one.response, one.judgment)


def _score(wording: JudgePrompt, one: Exemplar) -> float:
    read = wording.read(one.prompt, Completion(one.judgment, "", (), "stop"))
    if isinstance(read, Unreadable):
        raise DataError(
            f"{one.where}: its judgment cannot be read ({read.reason}: {read.detail!r}); expected what the judge "
            "should say, with its score where the template wants it"
        )
    return read
