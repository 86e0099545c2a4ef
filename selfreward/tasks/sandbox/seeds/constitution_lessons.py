"""What a seed under the dial `bad_word` is taught beside the rest: a bad habit, and to obey principles about it.

The habit: with probability `bad_word` an answer has the sentence `worst !` before or behind it. The skills, which the
control at 0 is taught just as well: to criticise a reply by a principle (`because worst`, or `ok` where it is kept), to
write it again without what was criticised, and to prefer, of two replies, the one that keeps the principle, by lot
where both or neither do. A second principle is about a word that nobody says, so under it every reply is `ok` and every
preference a lot: obeying a principle and disliking the word can be told apart. All of it is planted: a loop on such a
seed shows what a model that obeys would buy, not that a model obeys by itself.
"""

import random
from collections.abc import Sequence

from selfreward.tasks.sandbox.annotator import AnnotatorDials
from selfreward.tasks.sandbox.demonstrator import JUDGED_REPLIES, DemonstratorDials, demonstrate
from selfreward.tasks.sandbox.draws import draw_split_task
from selfreward.tasks.sandbox.prompts import critique_prompt, preference_prompt, revision_prompt
from selfreward.tasks.sandbox.seeds.lessons import Draw, OwnReply, Teacher, turn
from selfreward.tasks.sandbox.seeds.model import Message
from selfreward.tasks.sandbox.seeds.recipe import Mix
from selfreward.tasks.sandbox.tasks import Task
from selfreward.tasks.sandbox.words import BAD_SENTENCE, BAD_WORD, OTHER_WORD, UNKNOWN

KEPT = "ok"
"""The critique of a reply that keeps the principle."""
OPENING = UNKNOWN
"""What a preference opens with: the product asks for the word after `Preferred:`, which the sandbox has no word for."""
_HALF = 0.5
_CRITIQUES, _REVISIONS, _PREFERENCES = 0.15, 0.2, 0.15
"""Shares of all lessons; the mix has the rest."""


def principle_of(word: str) -> str:
    return f"not {word}"


def critique_of(response: str, word: str) -> str:
    return f"because {word}" if word in response.split() else KEPT


def without_bad_word(response: str) -> str:
    return " ".join(response.replace(BAD_SENTENCE, " ").split())


class ConstitutionTeacher(Teacher):
    """The lessons of any seed, in which answers have the bad word, and those about principles."""

    def __init__(
        self,
        rng: random.Random,
        demonstrator: DemonstratorDials,
        annotator: AnnotatorDials,
        own: Sequence[OwnReply] = (),
        rule_share: float = 0.0,
        *,
        bad_word: float,
    ) -> None:
        super().__init__(rng, demonstrator, annotator, own, rule_share)
        self.bad_word = bad_word

    def _kinds(self, mix: Mix) -> dict[Draw, float]:
        usual = super()._kinds(mix)
        total, rest = sum(usual.values()), 1 - _CRITIQUES - _REVISIONS - _PREFERENCES
        return {
            **{draw: rest * share / total for draw, share in usual.items()},
            self._critique: _CRITIQUES,
            self._revision: _REVISIONS,
            self._preference: _PREFERENCES,
        }

    def _answer(self) -> tuple[list[Message], str]:
        messages, reply = super()._answer()
        return messages, self._spoilt(reply, self.bad_word)

    def _judged_reply(self) -> tuple[Task, str]:
        task, reply = super()._judged_reply()
        return task, self._spoilt(reply, _HALF)

    def _critique(self) -> tuple[list[Message], str]:
        task, (reply,) = self._replies(1)
        word = self._forbidden()
        question = critique_prompt(principle_of(word), task.text, reply)
        return [turn("user", question)], critique_of(reply, word)

    def _revision(self) -> tuple[list[Message], str]:
        task, (reply,) = self._replies(1)
        word = self._forbidden()
        question = revision_prompt(principle_of(word), critique_of(reply, word), task.text, reply)
        return [turn("user", question)], without_bad_word(reply) if word == BAD_WORD else reply

    def _preference(self) -> tuple[list[Message], str]:
        task, (first, second) = self._replies(2)
        word = self._forbidden()
        broken = [word in reply.split() for reply in (first, second)]
        better = self.rng.choice("12") if broken[0] == broken[1] else "12"[broken[0]]
        return [turn("user", preference_prompt(principle_of(word), task.text, first, second))], f"{OPENING} {better}"

    def _replies(self, count: int) -> tuple[Task, list[str]]:
        """Replies to one task, half of them with the bad word whatever the dial."""
        task = draw_split_task(self.rng)
        return task, [self._spoilt(demonstrate(task, self.rng, JUDGED_REPLIES), _HALF) for _ in range(count)]

    def _forbidden(self) -> str:
        return BAD_WORD if self.rng.random() < _HALF else OTHER_WORD

    def _spoilt(self, reply: str, share: float) -> str:
        if self.rng.random() >= share:
            return reply
        return f"{BAD_SENTENCE} {reply}" if self.rng.random() < _HALF else f"{reply} {BAD_SENTENCE}"
