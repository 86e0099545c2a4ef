"""Mathematics by math-verify (the optional extra `verifiers`): "1/2", "0.5" and \\frac{1}{2} are one answer.

The gold `answer` is LaTeX or plain text. A reply in which no expression can be read is wrong. Parsing a model's LaTeX
can hang, so it is confined to a worker process (see `confined.py`).
"""

import logging
import re
from typing import Any

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.confined import ConfinedVerifier
from selfreward.tasks.verifiers.final_answer import final_answer
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.truths import decided, left_open, named, quality_of_judgment, require_answer

_FORMULA = re.compile(r"[\\^_+*/=-]")


def confined() -> ConfinedVerifier:
    return ConfinedVerifier("selfreward.tasks.verifiers.mathematics:MathVerifier")


class MathVerifier:
    def require(self, prompt: Prompt) -> None:
        gold = require_answer(prompt, "the gold answer, in LaTeX or plain,")
        if not _read(gold):
            raise DataError(f"{named(prompt)}: in answer {gold[:60]!r} no mathematical expression can be read")

    def check(self, prompt: Prompt, text: str) -> Truth:
        answer = final_answer(text)
        if prompt.answer is None:
            return left_open("no gold answer", answer)
        gold = _read(prompt.answer)
        if not gold:
            return left_open("unreadable gold answer", answer)
        # Time is limited from outside: the library's own limit needs the main thread.
        correct = _library().verify(gold, _read(text), timeout_seconds=None)
        return decided(bool(correct), answer)

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)


def _read(text: str) -> list[Any]:
    """The expressions of a text. What holds an operator or a command is tried again between dollar signs; prose is not,
    since the library reads it as a product of letters.
    """
    library = _library()
    found: list[Any] = library.parse(text, parsing_timeout=None)
    if not found and _FORMULA.search(text):
        found = library.parse(f"${text}$", parsing_timeout=None)
    # What the library can only give back as the string it was is no expression.
    return found if any(not isinstance(part, str) for part in found) else []


def _library() -> Any:
    try:
        import math_verify
    except ImportError as problem:
        raise DataError(
            "measure.verifier=mathematics needs math-verify, which is not installed; "
            "install it with: pip install 'selfreward[verifiers]'"
        ) from problem
    # It warns at every call that time is not limited; here it is, by the process around it.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    return math_verify
