"""Numbers with tolerance: |answer - gold| <= max(absolute, relative * |gold|).

The tolerances stand in the row's `meta` as `absolute_tolerance` and `relative_tolerance` (defaults 0 and 1e-6). The
answer is the number of the reply's final answer, the last one where a unit or a phrase stands around it. Thousands
separators and a dollar sign are dropped; a percent sign is, too, and not divided by 100: say in the prompt which is
wanted. A reply without any number is wrong.
"""

import re
from decimal import Decimal

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.exact import gold_answer
from selfreward.tasks.verifiers.final_answer import final_answer, number_in
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.truths import decided, left_open, named, quality_of_judgment, require_answer

RELATIVE, ABSOLUTE = 1e-6, 0.0

_NUMBER = re.compile(r"[-−+]?\$?(?:[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)(?:e[-+]?[0-9]{1,3})?", re.IGNORECASE)


class NumericVerifier:
    def require(self, prompt: Prompt) -> None:
        gold = require_answer(prompt, "the gold number")
        if number_in(gold_answer(gold)) is None:
            raise DataError(f"{named(prompt)}: answer is {gold[:40]!r}; expected a number")
        for name in ("absolute_tolerance", "relative_tolerance"):
            value = prompt.meta.get(name, 0.0)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise DataError(f"{named(prompt)}: meta.{name} is {value!r}; expected a number of at least 0")

    def check(self, prompt: Prompt, text: str) -> Truth:
        answer = final_answer(text)
        gold = number_in(gold_answer(prompt.answer)) if prompt.answer is not None else None
        if gold is None:
            return left_open("no gold number", answer)
        value = last_number(answer)
        if value is None:
            return decided(False, answer)
        relative = Decimal(str(prompt.meta.get("relative_tolerance", RELATIVE)))
        absolute = Decimal(str(prompt.meta.get("absolute_tolerance", ABSOLUTE)))
        return decided(abs(value - gold) <= max(absolute, relative * abs(gold)), answer)

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)


def last_number(answer: str) -> Decimal | None:
    """The number that the answer is, or the last that stands in it."""
    whole = number_in(answer)
    if whole is not None:
        return whole
    found = _NUMBER.findall(answer)
    return number_in(found[-1]) if found else None
