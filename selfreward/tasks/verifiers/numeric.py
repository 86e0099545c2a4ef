"""Numbers with tolerance: |answer - gold| <= max(absolute, relative * |gold|), in exact arithmetic.

The tolerances stand in the row's `meta` as `absolute_tolerance` and `relative_tolerance` (defaults 0 and 1e-6). Two
whole numbers are compared exactly where the row names no tolerance. The answer is the quantity that the reply states
(`final_answer.py`, `quantity.py`): fractions, signs and magnitudes are read, and a unit that one side lacks is taken to
be the other's. A percent sign that stands on one side only: `50 %` is 50 and 0.5 (see `quantity.py`).

A statement without a digit is wrong. One that has digits and is no single quantity (`5 feet 6`, `3 ± 2`, `2x`) is left
open, and so is a reply that states nothing, ends on another number and has the gold one beside it.
"""

from fractions import Fraction

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.exact import gold_answer
from selfreward.tasks.verifiers.final_answer import stated
from selfreward.tasks.verifiers.last_number import other_numbers
from selfreward.tasks.verifiers.normal_form import may_be_number, plain
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.quantity import Quantity, quantity, within
from selfreward.tasks.verifiers.truths import decided, left_open, named, quality_of_judgment, require_answer

RELATIVE, ABSOLUTE = 1e-6, 0.0
_TOLERANCES = ("absolute_tolerance", "relative_tolerance")


class NumericVerifier:
    def require(self, prompt: Prompt) -> None:
        gold = require_answer(prompt, "the gold number")
        if _number(gold_answer(gold)) is None:
            raise DataError(f"{named(prompt)}: answer is {gold[:40]!r}; expected a number, with its unit or without")
        for name in _TOLERANCES:
            value = prompt.meta.get(name, 0.0)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise DataError(f"{named(prompt)}: meta.{name} is {value!r}; expected a number of at least 0")

    def check(self, prompt: Prompt, text: str) -> Truth:
        found = stated(text)
        gold = _number(gold_answer(prompt.answer)) if prompt.answer is not None else None
        if gold is None:
            return left_open("no gold number", found.answer)
        values = [value for reading in found.readings if (value := _number(reading)) is not None]
        if not values:
            unread = found.readings[-1] if found.readings else text
            if may_be_number(unread):
                return left_open(f"{unread[:60]!r} is not one number", found.answer)
            return decided(False, found.answer)
        near = self._near(prompt, gold, values[-1])
        if near is None:
            return left_open("the units differ", found.answer)
        if not near and found.by == "number":
            others = [value for number in other_numbers(text) if (value := _number(number)) is not None]
            if any(self._near(prompt, gold, value) for value in others):
                return left_open("no answer is stated, and the gold number is among others", found.answer)
        return decided(near, found.answer)

    def _near(self, prompt: Prompt, gold: Quantity, value: Quantity) -> bool | None:
        relative = Fraction(str(prompt.meta.get("relative_tolerance", RELATIVE)))
        absolute = Fraction(str(prompt.meta.get("absolute_tolerance", ABSOLUTE)))
        whole = gold.value.denominator == value.value.denominator == 1
        if whole and not any(name in prompt.meta for name in _TOLERANCES):
            relative = absolute = Fraction(0)
        return within(gold, value, absolute, relative)

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)


def _number(text: str) -> Quantity | None:
    return quantity(plain(text))
