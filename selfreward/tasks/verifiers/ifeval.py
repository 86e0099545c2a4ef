"""Instruction following by IFEval's verifiable instructions: correct means that every one of them is followed (strict).

`meta.instruction_id_list` names the instructions and `meta.kwargs` their arguments, as in the data set; null arguments
are absent ones. The quality is the share followed on the judge's scale. An empty reply follows nothing. An instruction
about the language needs langdetect (the optional extra `verifiers`); a text whose language cannot be told is left open.
Patterns over a model's text can take long, so the check is confined to a worker process (see `confined.py`).
"""

import importlib.util
import inspect
from collections.abc import Mapping
from typing import Any

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.confined import ConfinedVerifier
from selfreward.tasks.verifiers.instructions import INSTRUCTIONS, RELATIONS, UnknownLanguageError
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.truths import decided, left_open, named, quality_of_judgment

_LANGUAGE = "language:response_language"
_KINDS: dict[str, type] = {"keywords": list, "forbidden_words": list}
_WHOLE = ("num_", "nth_", "frequency", "let_frequency", "capital_frequency")


def confined() -> ConfinedVerifier:
    return ConfinedVerifier("selfreward.tasks.verifiers.ifeval:InstructionVerifier")


class InstructionVerifier:
    def require(self, prompt: Prompt) -> None:
        names, arguments = prompt.meta.get("instruction_id_list"), prompt.meta.get("kwargs")
        if not isinstance(names, list) or not names:
            raise DataError(
                f"{named(prompt)} has no 'meta.instruction_id_list'; expected a list of IFEval instructions"
            )
        if not isinstance(arguments, list) or len(arguments) != len(names):
            raise DataError(f"{named(prompt)}: meta.kwargs must be a list with one object for each instruction")
        for name, given in zip(names, arguments, strict=True):
            if name not in INSTRUCTIONS:
                raise DataError(f"{named(prompt)}: instruction {name!r} is unknown; expected one of IFEval's 25 kinds")
            problem = _problem(name, given)
            if problem:
                raise DataError(f"{named(prompt)}: instruction {name}: {problem}")
            if name == _LANGUAGE and importlib.util.find_spec("langdetect") is None:
                raise DataError(
                    f"{named(prompt)}: instruction {name} needs langdetect, which is not installed; "
                    "install it with: pip install 'selfreward-loop[verifiers]'"
                )

    def check(self, prompt: Prompt, text: str) -> Truth:
        names, arguments = prompt.meta.get("instruction_id_list"), prompt.meta.get("kwargs")
        if not names or not arguments:
            return left_open("no instructions", text)
        if not text.strip():
            return decided(False, "")
        try:
            followed = [
                INSTRUCTIONS[name](text, **_present(given)) for name, given in zip(names, arguments, strict=True)
            ]
        except UnknownLanguageError as problem:
            return left_open(f"language unknown: {problem}", text.strip())
        return decided(all(followed), text.strip(), sum(followed) / len(followed))

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)


def _present(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _problem(name: str, given: Any) -> str:
    """What is wrong with the arguments of an instruction, or ""."""
    if not isinstance(given, dict):
        return f"its arguments are {given!r}; expected an object"
    present = _present(given)
    expected = [item for item in inspect.signature(INSTRUCTIONS[name]).parameters if item != "text"]
    if sorted(present) != sorted(expected):
        return f"its arguments are {sorted(present)}; expected {sorted(expected)}"
    for key, value in present.items():
        if key.endswith("relation") and value not in RELATIONS:
            return f"{key} is {value!r}; expected one of {', '.join(RELATIONS)}"
        whole = key.startswith(_WHOLE)
        kind = int if whole else _KINDS.get(key, str)
        if not isinstance(value, kind) or isinstance(value, bool):
            return f"{key} is {value!r}; expected {'a whole number' if whole else f'a {kind.__name__}'}"
    return ""
