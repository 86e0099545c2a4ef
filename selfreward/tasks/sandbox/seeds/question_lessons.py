"""What a seed under the dial `questions` is taught beside the rest: to judge in more ways than by one score.

A share of all lessons, the dial's value, is about two replies, a list, a principle, a rubric or a step
(tasks/sandbox/questions.py); the others are those of any seed. The label of a question is the annotator's, careless as
often as that of a score; of a rubric every criterion is misjudged a third as often. Half of the replies are the
model's own where a stage sampled some. A rubric of a lesson is mostly about what the reply may have or not, whatever
the task says, so that it is the rubric that is followed.
"""

import random
from collections import defaultdict
from collections.abc import Sequence

from selfreward.tasks.sandbox.annotator import AnnotatorDials
from selfreward.tasks.sandbox.demonstrator import JUDGED_REPLIES, DemonstratorDials, demonstrate
from selfreward.tasks.sandbox.oracle import read_reply
from selfreward.tasks.sandbox.prompts import (
    comparison_prompt,
    list_prompt,
    principle_prompt,
    rubric_prompt,
    step_prompt,
)
from selfreward.tasks.sandbox.questions import (
    PRINCIPLES,
    RIGHT,
    Criterion,
    checklist,
    comparison_text,
    list_text,
    principle_text,
    reference_of,
    rubric_text,
    step_text,
    steps_of,
    worth,
)
from selfreward.tasks.sandbox.seeds.lessons import Draw, OwnReply, Teacher, draw_judged_task, turn
from selfreward.tasks.sandbox.seeds.model import Message
from selfreward.tasks.sandbox.seeds.recipe import Mix
from selfreward.tasks.sandbox.tasks import Task
from selfreward.tasks.sandbox.words import BRACKETS, COMMAS, LETTERS

_COMPARISONS, _PRINCIPLES, _LISTS, _RUBRICS, _STEPS = 0.26, 0.32, 0.14, 0.16, 0.12
"""Shares of the lessons about questions."""
_ON_OWN = 0.5
_EQUAL_KEPT = 0.15
_CHECKLIST = 0.3
_FEWEST, _MOST = 2, 4
"""Replies in a list; a longer one would not fit into what the model reads."""


class QuestionTeacher(Teacher):
    """The lessons of any seed, and those about further questions."""

    def __init__(
        self,
        rng: random.Random,
        demonstrator: DemonstratorDials,
        annotator: AnnotatorDials,
        own: Sequence[OwnReply] = (),
        rule_share: float = 0.0,
        *,
        questions: float,
    ) -> None:
        super().__init__(rng, demonstrator, annotator, own, rule_share)
        self.questions = questions
        of_task: defaultdict[str, list[OwnReply]] = defaultdict(list)
        for one in own:
            of_task[one.task.text].append(one)
        self.own_groups = [group for group in of_task.values() if len(group) > 1]

    def _kinds(self, mix: Mix) -> dict[Draw, float]:
        usual = super()._kinds(mix)
        total, rest = sum(usual.values()), 1 - self.questions
        return {
            **{draw: rest * share / total for draw, share in usual.items()},
            self._comparison: self.questions * _COMPARISONS,
            self._principle: self.questions * _PRINCIPLES,
            self._list: self.questions * _LISTS,
            self._rubric: self.questions * _RUBRICS,
            self._step: self.questions * _STEPS,
        }

    def _comparison(self) -> tuple[list[Message], str]:
        task, (first, second) = self._unequal_replies(2)
        reference = self._reference(task, (first, second))
        reply = comparison_text(task, first, second, reference, self.rng)
        return [turn("user", comparison_prompt(task.text, first, second))], reply

    def _principle(self) -> tuple[list[Message], str]:
        principle = self.rng.choice(PRINCIPLES)
        task, (first, second) = self._unequal_replies(2, principle)
        reference = self._reference(task, (first, second))
        reply = principle_text(principle, task, first, second, reference, self.rng)
        return [turn("user", principle_prompt(principle, task.text, first, second))], reply

    def _list(self) -> tuple[list[Message], str]:
        task, responses = self._unequal_replies(self.rng.randint(_FEWEST, _MOST))
        reference = self._reference(task, responses)
        return [turn("user", list_prompt(task.text, responses))], list_text(task, responses, reference, self.rng)

    def _rubric(self) -> tuple[list[Message], str]:
        task, (response,) = self._replies(1)
        criteria = checklist(task) if self.rng.random() < _CHECKLIST else self._criteria(task, response)
        question = rubric_prompt([criterion.text for criterion in criteria], task.text, response)
        return [turn("user", question)], rubric_text(criteria, response, self.rng, self.annotator.noise / 3)

    def _step(self) -> tuple[list[Message], str]:
        while True:
            task, (response,) = self._replies(1)
            items, steps = read_reply(response).items, steps_of(response)
            if items and len(items) == len(steps):
                break
        number = self.rng.randint(1, len(steps))
        reference = self._reference(task, (response,))
        question = step_prompt(task.text, steps[: number - 1], steps[number - 1])
        return [turn("user", question)], step_text(reference, items[:number])

    def _reference(self, task: Task, responses: Sequence[str]) -> tuple[str, ...]:
        return reference_of(task, responses, self.rng, self.annotator.noise)

    def _criteria(self, task: Task, response: str) -> list[Criterion]:
        """Two to five criteria in any order, about what this reply has, what the task wants, or neither."""
        items = read_reply(response).items or task.gold
        values = {
            "how_many": str(self.rng.choice((len(items), len(task.gold), self.rng.randint(1, 6)))),
            "first": self.rng.choice((items[0], task.gold[0], self.rng.choice(LETTERS))),
            "second": self.rng.choice((items[-1], items[:2][-1], self.rng.choice(LETTERS))),
            "has": self.rng.choice((self.rng.choice(items), self.rng.choice(LETTERS))),
            "form": self.rng.choice((BRACKETS, COMMAS)),
        }
        names = self.rng.sample(list(values), self.rng.randint(2, len(values)))
        return [Criterion(name, values[name]) for name in names]

    def _unequal_replies(self, count: int, principle: str = RIGHT) -> tuple[Task, list[str]]:
        """Distinct replies to one task, mostly not all equally good: under a principle that few tell apart, too."""
        keep = self.rng.random() < _EQUAL_KEPT
        while True:
            task, responses = self._replies(count)
            if keep or len({worth(principle, task, response) for response in responses}) > 1:
                return task, responses

    def _replies(self, count: int) -> tuple[Task, list[str]]:
        """Distinct replies to one task: the model's own, or as the judge is taught on."""
        if self.own_groups and self.rng.random() < _ON_OWN:
            group = self.rng.choice(self.own_groups)
            if len(group) >= count:
                return group[0].task, [one.response for one in self.rng.sample(group, count)]
        task, found = draw_judged_task(self.rng), dict[str, None]()
        while len(found) < count:
            found[demonstrate(task, self.rng, JUDGED_REPLIES)] = None
        return task, list(found)
