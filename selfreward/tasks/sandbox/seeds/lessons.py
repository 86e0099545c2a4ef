"""What the seed model is taught: demonstrations, judgments, meta-judgments and new prompts, as token ids.

All tasks come from the training split, so no evaluation prompt is ever seen.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from selfreward.tasks.sandbox.annotator import AnnotatorDials, annotate, meta_text, read_score, read_verdict
from selfreward.tasks.sandbox.demonstrator import JUDGED_REPLIES, DemonstratorDials, demonstrate, doubted_reply
from selfreward.tasks.sandbox.draws import draw_split_task
from selfreward.tasks.sandbox.oracle import read_reply
from selfreward.tasks.sandbox.prompts import NEW_TASK_PROMPT, judge_prompt, meta_prompt, rule_prompt
from selfreward.tasks.sandbox.seeds.model import Message, encode_chat, encode_reply
from selfreward.tasks.sandbox.seeds.recipe import Mix
from selfreward.tasks.sandbox.tasks import Task
from selfreward.tasks.sandbox.words import DOUBT, FAMILIES, SYSTEM

_HARD_FAMILIES = dict(zip(FAMILIES, (0.4, 0.9, 1.3, 1.2, 0.5, 1.5, 1.3, 1.3), strict=True))
"""How often judgments are about each family: annotators look at more of the hard ones."""
_SYSTEM_SHARE = 0.05
"""Share of demonstrations that open with a system turn, so that one does not surprise the model."""
_CAREFUL_NOISE, _CARELESS_NOISE = 0.15, 0.85
_META_ON_OWN = 0.6
_EQUAL_SCORES_KEPT = 0.3
_TIE_RETRIES = 3


class OwnReply(NamedTuple):
    """A reply sampled from the model in training, with the model's own judgments of it. Inputs only, never labels."""

    task: Task
    response: str
    judgments: list[str]


class Lesson(NamedTuple):
    prompt_ids: list[int]
    completion_ids: list[int]


Draw = Callable[[], tuple[list[Message], str]]


class Teacher:
    """Draws lessons; the same seed, dials and own replies give the same lessons.

    `rule_share` of the judgments are asked for under the rule `not agree`, and are then free of the annotator's
    agreement bias (of that one only): the obedience is planted.
    """

    def __init__(
        self,
        rng: random.Random,
        demonstrator: DemonstratorDials,
        annotator: AnnotatorDials,
        own: Sequence[OwnReply] = (),
        rule_share: float = 0.0,
    ) -> None:
        self.rng = rng
        self.demonstrator = demonstrator
        self.annotator = annotator
        self.own = own
        self.rule_share = rule_share

    def lessons(self, mix: Mix, tokens: int) -> list[Lesson]:
        """Shuffled lessons that together have at least `tokens` tokens, prompts included."""
        kinds = self._kinds(mix)
        lessons, total = [], 0
        while total < tokens:
            draw = self.rng.choices(list(kinds), list(kinds.values()))[0]
            messages, reply = draw()
            lesson = Lesson(encode_chat(messages), encode_reply(reply))
            total += len(lesson.prompt_ids) + len(lesson.completion_ids)
            lessons.append(lesson)
        return lessons

    def _kinds(self, mix: Mix) -> dict[Draw, float]:
        """What draws each kind of lesson, and its share."""
        return {
            self._answer: mix.answers,
            self._judgment: mix.judgments,
            self._own_judgment: mix.own_judgments,
            self._meta_judgment: mix.meta,
            self._new_task: mix.new_tasks,
            self._second_turn: mix.second_turns,
        }

    def _answer(self) -> tuple[list[Message], str]:
        task = draw_split_task(self.rng)
        system = [turn("system", SYSTEM)] if self.rng.random() < _SYSTEM_SHARE else []
        return [*system, turn("user", task.text)], demonstrate(task, self.rng, self.demonstrator)

    def _second_turn(self) -> tuple[list[Message], str]:
        task = draw_split_task(self.rng)
        first = demonstrate(task, self.rng, self.demonstrator)
        messages = [turn("user", task.text), turn("assistant", first), turn("user", DOUBT)]
        answer = read_reply(first).items or task.gold
        return messages, doubted_reply(task, answer, self.rng, self.demonstrator)

    def _new_task(self) -> tuple[list[Message], str]:
        return [turn("user", NEW_TASK_PROMPT)], draw_split_task(self.rng).text

    def _judgment(self) -> tuple[list[Message], str]:
        return self._judge(*self._judged_reply())

    def _own_judgment(self) -> tuple[list[Message], str]:
        own = self.rng.choice(self.own)
        return self._judge(own.task, own.response)

    def _judge(self, task: Task, response: str) -> tuple[list[Message], str]:
        # Nothing is drawn where no rule is taught: the lessons of the shipped seeds are what they were.
        if self.rule_share and self.rng.random() < self.rule_share:
            obedient = replace(self.annotator, agreement_bias=0.0)
            judgment = annotate(task, response, self.rng, obedient)
            return [turn("user", rule_prompt(task.text, response))], judgment
        judgment = annotate(task, response, self.rng, self.annotator)
        return [turn("user", judge_prompt(task.text, response))], judgment

    def _meta_judgment(self) -> tuple[list[Message], str]:
        task, response, first, second = self._judgment_pair()
        for _ in range(_TIE_RETRIES):
            answer = meta_text(annotate(task, response, self.rng, self.annotator), first, second)
            if read_verdict(answer) != "ok":
                break
        return [turn("user", meta_prompt(task.text, response, first, second))], answer

    def _judgment_pair(self) -> tuple[Task, str, str, str]:
        """Two different judgments of one reply, mostly with different scores."""
        careless = replace(self.annotator, noise=_CARELESS_NOISE)
        while True:
            if self.own and self.rng.random() < _META_ON_OWN:
                task, response, judgments = self.rng.choice(self.own)
                judgments = [text for text in dict.fromkeys(judgments) if read_score(text) is not None]
                if len(judgments) == 1:
                    judgments.append(annotate(task, response, self.rng, careless))
            else:
                task, response = self._judged_reply()
                careful = replace(self.annotator, noise=_CAREFUL_NOISE)
                judgments = [annotate(task, response, self.rng, dials) for dials in (careful, careless)]
            if len(judgments) < 2:
                continue
            first, second = self.rng.sample(judgments, 2)
            differ = read_score(first) != read_score(second) or self.rng.random() < _EQUAL_SCORES_KEPT
            if first != second and differ:
                return task, response, first, second

    def _judged_reply(self) -> tuple[Task, str]:
        task = draw_judged_task(self.rng)
        return task, demonstrate(task, self.rng, JUDGED_REPLIES)


def draw_judged_task(rng: random.Random) -> Task:
    """A training task of the kind that annotators look at: hard families more often."""
    return draw_split_task(rng, family=rng.choices(FAMILIES, list(_HARD_FAMILIES.values()))[0])


def turn(role: str, content: str) -> Message:
    return {"role": role, "content": content}
