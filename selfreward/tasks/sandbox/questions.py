"""Further questions to a judge of the sandbox: their careful replies, and the truth that they are held against.

    comparison   two judgments by one reference, then the verdict     `... Score: 3 ; ... Score: 5 better 2`
    list         a judgment of each, then the slots, best first       `... best 2 3 1`
    principle    `right answer` as a comparison; `longer` and `shorter` by filler sentences, whose ends are written
                 down; `in brackets` and `with commas` by form        `: ! 2 ; . 1 better 1`
    rubric       the items, then every criterion with what was found  `b f h ; first b b yes ; how many 4 3 no`
    step         reference and items up to the step                   `b b ok f x bad is wrong`

A step is an item of the answer and what stands behind it; it is right where the right answer has that item in that
place. So what is missing at the end of an answer is nobody's step, and a judge of steps cannot see it. Where two
replies are truly equal a verdict is a lot: over both orders it cancels.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from selfreward.tasks.sandbox.annotator import MOST_POSITIONS, judgment_text
from selfreward.tasks.sandbox.draws import plausible_mistake
from selfreward.tasks.sandbox.oracle import check_reply, oracle_score, read_reply
from selfreward.tasks.sandbox.tasks import Answer, Task
from selfreward.tasks.sandbox.words import BRACKETS, COMMAS, FILLER_ENDS

STEP_MARK = r"(?<!\S)(?:[a-p]|[0-9][0-9]?)(?!\S)"
"""Where a step of an answer begins: at a letter or a number. No filler word is one."""
RIGHT, LONGER, SHORTER = "right answer", "longer", "shorter"
PRINCIPLES = (RIGHT, LONGER, SHORTER, BRACKETS, COMMAS)
_RUBBER_STAMP = 0.4
"""Share of careless references that are one of the replies; the others are a plausible mistake."""


def reference_of(task: Task, responses: Sequence[str], rng: random.Random, noise: float) -> Answer:
    """What an annotator takes for right, one for all replies of a question: careless with probability `noise`."""
    if rng.random() >= noise:
        return task.gold
    given = [items for response in responses if (items := read_reply(response).items)]
    if given and rng.random() < _RUBBER_STAMP:
        return rng.choice(given)[:MOST_POSITIONS]
    return plausible_mistake(task, rng)


def judgments(task: Task, responses: Sequence[str], reference: Answer) -> tuple[str, list[int]]:
    """(a judgment of every reply by the same reference, their scores)."""
    checks = [check_reply(task, response, reference) for response in responses]
    texts = [
        judgment_text(reference, read_reply(response).items or (), ticks, sum(ticks))
        for response, ticks in zip(responses, checks, strict=True)
    ]
    return " ; ".join(texts), [sum(ticks) for ticks in checks]


def comparison_text(task: Task, first: str, second: str, reference: Answer, rng: random.Random) -> str:
    text, scores = judgments(task, (first, second), reference)
    return f"{text} better {_slot(scores, rng)}"


def list_text(task: Task, responses: Sequence[str], reference: Answer, rng: random.Random) -> str:
    text, scores = judgments(task, responses, reference)
    slots = rng.sample(range(len(scores)), len(scores))
    ranked = sorted(slots, key=lambda slot: -scores[slot])
    return f"{text} best {' '.join(str(slot + 1) for slot in ranked)}"


def worth(principle: str, task: Task, response: str) -> int:
    """What a principle says of a reply; more is better."""
    reply = read_reply(response)
    if principle == RIGHT:
        return oracle_score(task, response)
    if principle in (LONGER, SHORTER):
        return reply.filler_sentences if principle == LONGER else -reply.filler_sentences
    return int(reply.modifier == principle)


def principle_text(principle: str, task: Task, first: str, second: str, reference: Answer, rng: random.Random) -> str:
    """The careful reply of a judge that reads the principle."""
    if principle == RIGHT:
        return comparison_text(task, first, second, reference, rng)
    found = " ; ".join(_evidence(principle, response) for response in (first, second))
    return f"{found} better {_slot([worth(principle, task, one) for one in (first, second)], rng)}"


def _evidence(principle: str, response: str) -> str:
    if principle in (LONGER, SHORTER):
        ends = [word for word in response.split() if word in FILLER_ENDS]
        return " ".join([*ends, str(len(ends))])
    return "yes" if read_reply(response).modifier == principle else "no"


def _slot(values: Sequence[int], rng: random.Random) -> int:
    """The slot of the greater of two values, by lot where they are equal."""
    return rng.choice((1, 2)) if values[0] == values[1] else 1 + (values[1] > values[0])


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of a checklist: `how_many 3`, `first b`, `second f`, `has h`, `form in brackets`."""

    name: str
    value: str

    @property
    def text(self) -> str:
        words = {"how_many": "how many", "has": "with", "form": ""}
        return f"{words.get(self.name, self.name)} {self.value}".strip()


def checklist(task: Task) -> list[Criterion]:
    """What whoever knows the right answer would look for. The middle of long answers is left out."""
    gold = task.gold
    criteria = [Criterion("how_many", str(len(gold))), Criterion("first", gold[0])]
    if len(gold) > 1:
        criteria += [Criterion("second", gold[1]), Criterion("has", gold[-1])]
    return [*criteria, Criterion("form", task.modifier)] if task.modifier else criteria


def finding(criterion: Criterion, response: str) -> tuple[str, bool]:
    """(what a reply has instead or as well, whether the criterion is met); it needs no task."""
    reply = read_reply(response)
    items = reply.items or ()
    if criterion.name == "form":
        return "", reply.modifier == criterion.value
    if criterion.name == "has":
        return "", criterion.value in items
    if criterion.name == "how_many":
        return str(len(items)), str(len(items)) == criterion.value
    found = items[("first", "second").index(criterion.name) :][:1]
    return (found[0] if found else "-"), found == (criterion.value,)


def rubric_text(criteria: Sequence[Criterion], response: str, rng: random.Random, noise: float) -> str:
    parts = [" ".join((read_reply(response).items or ("-",))[:MOST_POSITIONS])]
    for criterion in criteria:
        found, met = finding(criterion, response)
        said = met != (rng.random() < noise)
        parts.append(" ".join(f"{criterion.text} {found} {'yes' if said else 'no'}".split()))
    return " ; ".join(parts)


def steps_of(response: str) -> list[str]:
    """The steps of a reply; what stands before the first item belongs to the first."""
    cuts = [0, *(found.start() for found in re.finditer(STEP_MARK, response))][2:]
    return [response[begin:end].strip() for begin, end in zip([0, *cuts], [*cuts, len(response)], strict=True)]


def step_is_right(task: Task, response: str, number: int) -> bool:
    """Whether step `number`, counted from 1, is the item that the right answer has there."""
    items = read_reply(response).items or ()
    return items[number - 1 : number] == task.gold[number - 1 : number] != ()


def step_text(reference: Answer, items: Answer) -> str:
    """The reply about the last of `items`."""
    pairs = zip_longest(reference[: len(items)], items, fillvalue="-")
    compared = [f"{own} {given} {'ok' if own == given else 'bad'}" for own, given in pairs]
    right = reference[: len(items)][len(items) - 1 :] == items[-1:]
    return f"{' '.join(compared)} is {'right' if right else 'wrong'}"
