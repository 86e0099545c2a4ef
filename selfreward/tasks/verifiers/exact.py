"""Exact match of final answers, in their normal form (see `normal_form.py`).

The gold `answer` may be a worked solution that marks its end ("#### 42", \\boxed{42}). The whole reply, and then every
reading of what it states, is compared with it; so a bare "Paris" can be right, and "Paris, 2 million people" is not.
Left open is a gold number against a statement that holds digits and is no single number ("18 or 19", \\sqrt{2}), and a
reply that states nothing, ends on another number and has the gold one beside it.
"""

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.boxed import last_boxed
from selfreward.tasks.verifiers.final_answer import stated
from selfreward.tasks.verifiers.last_number import other_numbers
from selfreward.tasks.verifiers.normal_form import compared, normal, plain
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.quantity import quantity
from selfreward.tasks.verifiers.truths import decided, left_open, named, quality_of_judgment, require_answer


class ExactVerifier:
    def require(self, prompt: Prompt) -> None:
        gold = require_answer(prompt, "the gold answer, a string or a number,")
        if not normal(gold_answer(gold)):
            raise DataError(f"{named(prompt)}: answer is {gold[:40]!r}; expected an answer that is not empty")

    def check(self, prompt: Prompt, text: str) -> Truth:
        found = stated(text)
        if prompt.answer is None:
            return left_open("no gold answer", found.answer)
        gold = gold_answer(prompt.answer)
        answer = found.answer or normal(text)
        if found.by in ("nothing", "whole", "number"):
            if normal(text) == normal(gold):
                return decided(True, answer)
            if found.by == "nothing" and quantity(plain(gold)) is None:
                return decided(False, answer)
        verdicts = [compared(gold, reading) for reading in found.readings or (text,)]
        if True in verdicts:
            return decided(True, answer)
        if verdicts[-1] is None:
            return left_open(f"{answer[:60]!r} cannot be compared with the gold number", answer)
        if found.by == "number" and any(compared(gold, number) for number in other_numbers(text)):
            return left_open("no answer is stated, and the gold number is among others", answer)
        return decided(False, answer)

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)


def gold_answer(gold: str) -> str:
    """The final answer of a gold solution as it is written there; one that marks nothing is an answer as it stands."""
    if last_boxed(gold) is None and "####" not in gold:
        return gold
    readings = stated(gold).readings
    return readings[-1] if readings else gold
