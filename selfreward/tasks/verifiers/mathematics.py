"""Mathematics by math-verify (the optional extra `verifiers`): "1/2", "0.5" and \\frac{1}{2} are one answer.

The gold `answer` is LaTeX or plain text, bare, between dollar signs, in a box, or a worked solution with one. The
answer of a reply is what it states (`final_answer.py`), else its last formula or number. Both are compared whole:
letter by letter in one spelling (`latex.py`), then as quantities with their units (`quantity.py`), then as expressions
by math-verify, which takes decimals that agree to six places for equal. An answer in words is right when the words are
the same.

A gold accepts its own boxed form; `require` tries that for every row. A reply without any answer is wrong; one whose
statement holds mathematics that cannot be read is left open. Several boxes are one list of answers where the gold is
a list. Parsing a model's LaTeX can hang, so it is confined to a worker process (see `confined.py`).
"""

import logging
import re
from functools import lru_cache
from typing import Any

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.boxed import all_boxed, listed_boxes
from selfreward.tasks.verifiers.confined import ConfinedVerifier
from selfreward.tasks.verifiers.exact import gold_answer
from selfreward.tasks.verifiers.final_answer import ends_in_range, stated
from selfreward.tasks.verifiers.last_number import other_numbers
from selfreward.tasks.verifiers.latex import (
    as_list,
    based,
    compact,
    formulas,
    is_unit_text,
    is_words,
    respelled,
    without_unit,
)
from selfreward.tasks.verifiers.normal_form import may_be_number, plain
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.quantity import Quantity, quantity, same_quantity
from selfreward.tasks.verifiers.truths import decided, left_open, named, quality_of_judgment, require_answer
from selfreward.tasks.verifiers.units import is_known_unit

_DECIMAL_COMMA = re.compile(r"-?[0-9]+,[0-9]+")


def confined() -> ConfinedVerifier:
    return ConfinedVerifier("selfreward.tasks.verifiers.mathematics:MathVerifier")


class MathVerifier:
    def require(self, prompt: Prompt) -> None:
        gold = _gold(require_answer(prompt, "the gold answer, in LaTeX or plain,"))
        if not (is_words(respelled(gold)) or _quantity(gold) or _expression(gold)):
            raise DataError(f"{named(prompt)}: in answer {gold[:60]!r} no mathematical expression can be read")
        own = self.check(prompt, rf"\boxed{{{gold}}}")
        if not own.correct:
            raise DataError(
                f"{named(prompt)}: answer {gold[:60]!r} does not accept its own boxed form"
                f"{' (' + own.open + ')' if own.open else ''}; expected an answer that can be verified"
            )

    def check(self, prompt: Prompt, text: str) -> Truth:
        found = stated(text)
        if prompt.answer is None:
            return left_open("no gold answer", found.answer)
        gold = _gold(prompt.answer)
        readings, others = list(found.readings), []
        if found.by in ("number", "nothing"):
            candidates = _candidates(text)
            readings, others = candidates[-1:], candidates[:-1]
        if not readings:
            same = compact(respelled(text)) == compact(respelled(gold))
            return decided(same, found.answer or compact(respelled(text))[:200])
        answer = found.answer or compact(respelled(readings[-1]))
        if len(boxes := listed_boxes(text)) > 1:
            readings.append(", ".join(boxes))
        verdicts = [same_answer(gold, reading) for reading in readings]
        if True in verdicts and found.by == "nothing" and ends_in_range(text):
            return left_open("the reply ends in a range", answer)
        if True in verdicts:
            return decided(True, answer)
        if None in verdicts:
            return left_open(f"{readings[-1][:60]!r} cannot be compared with the gold answer", answer)
        if len(boxes := all_boxed(text)) > 1 and same_answer(gold, ", ".join(boxes)):
            return left_open("the gold answer is spread over boxes that stand apart", answer)
        if any(same_answer(gold, other) for other in others):
            return left_open("no answer is stated, and the gold one is among others", answer)
        return decided(False, answer)

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)


def _gold(gold: str) -> str:
    boxes = listed_boxes(gold)
    return ", ".join(boxes) if len(boxes) > 1 else gold_answer(gold)


def _candidates(text: str) -> list[str]:
    """The formulas of a reply that states nothing and the numbers between them, in order."""
    found, position = [], 0
    for formula, start, end in formulas(text):
        found += [*other_numbers(text[position:start]), formula]
        position = end
    return [*found, *other_numbers(text[position:])]


def same_answer(gold: str, reply: str) -> bool | None:
    """Whether two answers are one; None where the reply's mathematics cannot be read or the units leave it open."""
    one, other = respelled(gold), respelled(reply)
    if not other:
        return False
    if compact(one) == compact(other):
        return True
    wanted, given = _quantity(gold), _quantity(reply)
    if wanted is not None and given is not None:
        same = same_quantity(wanted, given)
        # Two decimals may agree to six places.
        if same is not False or wanted.value.denominator == given.value.denominator == 1 or wanted.unit != given.unit:
            return same
    if is_words(one) or is_words(other):
        return False
    number, digits = based(one), based(other)
    if number and digits and number[1] != digits[1]:
        # A base on one side only, or two bases: the question says which is wanted.
        return None if "" not in (number[1], digits[1]) or number[0] == digits[0] else False
    expected, read = _expression(gold), _expression(reply)
    if not expected or not read:
        return None if may_be_number(reply) or not expected else False
    # Time is limited from outside: the library's own limit needs the main thread.
    same = bool(_library().verify(list(expected), list(read), allow_set_relation_comp=True, timeout_seconds=None))
    # "0,5" is two answers, or a decimal in another country's spelling.
    return same or (None if _other_spelling(one, other) or _other_spelling(other, one) else False)


def _other_spelling(one: str, other: str) -> bool:
    written = _DECIMAL_COMMA.fullmatch(one)
    return bool(written) and _quantity(one.replace(",", ".")) == _quantity(other) is not None


def _quantity(answer: str) -> Quantity | None:
    """The quantity that an answer is. In mathematics `2 ab` is a product, unless its letters are said to be text."""
    found = quantity(plain(answer))
    if found is None or (len(found.unit) < 3 and not is_known_unit(found.unit) and not is_unit_text(answer)):
        return None
    return found


@lru_cache(maxsize=10_000)
def _expression(answer: str) -> tuple[Any, ...]:
    """The whole of an answer as math-verify reads it; empty where it reads none."""
    library = _library()
    text = as_list(without_unit(respelled(answer)))
    if not text or is_words(text):
        return ()
    from latex2sympy2_extended import NormalizationConfig

    # Its own removal of units takes letters off a product.
    normalization = NormalizationConfig(units=False, boxed="all", equations=False)
    latex = library.LatexExtractionConfig(boxed_match_priority=0, normalization_config=normalization)
    found = library.parse(rf"\boxed{{{text}}}", [latex], fallback_mode="no_fallback", parsing_timeout=None)
    # What the library can only give back as the string it was is no expression.
    return tuple(part for part in found if not isinstance(part, str))


def _library() -> Any:
    try:
        import math_verify
    except ImportError as problem:
        raise DataError(
            "measure.verifier=mathematics needs math-verify, which is not installed; "
            "install it with: pip install 'selfreward-loop[verifiers]'"
        ) from problem
    # It warns at every call that time is not limited; here it is, by the process around it.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    return math_verify
