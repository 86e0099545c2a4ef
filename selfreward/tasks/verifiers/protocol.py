"""What a verifier is, and what it says of an answer. A verifier needs no model."""

import inspect
import json
from dataclasses import dataclass
from typing import Protocol

from selfreward.errors import RecipeError
from selfreward.recipe.code import CodeRecipe
from selfreward.recipe.doors import identity, load
from selfreward.recipe.section import as_dict
from selfreward.records import Prompt
from selfreward.tasks.verifiers import VERIFIERS, VERSIONS


@dataclass(frozen=True, slots=True)
class Truth:
    """What a verifier says of one answer. `quality` is on the judge's scale; `echoes_claim` is None without a claim.

    `answer` is the answer with everything around it removed, so that distinct answers can be counted. `open` says why
    the verifier leaves the answer open (it raised, ran out of time, has nothing to compare with): never correct then.
    """

    quality: float
    correct: bool
    answer: str
    wrong_claim: bool
    echoes_claim: bool | None
    open: str = ""


class Verifier(Protocol):
    def require(self, prompt: Prompt) -> None:
        """Raise DataError, before a run starts, for a prompt whose answers could not be verified."""
        ...

    def check(self, prompt: Prompt, text: str) -> Truth:
        """The truth about `text` as an answer to `prompt`."""
        ...

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        """How right a judgment of `answer` is; higher is better, only differences of one answer's matter."""
        ...


@dataclass(frozen=True, slots=True)
class Grade:
    """What a verifier says of one answer: its final `answer`, and whether it is `correct`, None where it is left open.

    `quality` is finer where the verifier is; only differences between answers of one prompt mean something.
    """

    answer: str
    correct: bool | None
    quality: float


CODE = "code"
"""The verifier that runs programs, and has limits to run them in."""


def load_verifier(name: str, code: CodeRecipe | None = None) -> Verifier:
    """The verifier of this name: one of `VERIFIERS`, or somebody's own. Raises RecipeError for one that is neither.

    `code`: the limits of programs that are run, for the verifier that runs them; null is the recipe's defaults.
    """
    make = load("verifiers", name, VERIFIERS)
    try:
        inspect.signature(make).bind()
    except TypeError as problem:  # nothing that is called, or something that wants arguments
        raise RecipeError(f"verifiers: {name!r} cannot be called without arguments ({problem}); {_EXPECTED}") from None
    verifier: Verifier = make(code) if name == CODE else make()
    if missing := [method for method in ("require", "check") if not callable(getattr(verifier, method, None))]:
        raise RecipeError(f"verifiers: {name!r} made {type(verifier).__name__}, without {missing[0]}(); {_EXPECTED}")
    return verifier


_EXPECTED = "expected a class or function without arguments that makes a verifier"


def verifier_identity(name: str, code: CodeRecipe) -> str:
    """What stands for a verifier in fingerprints; the limits of programs, too, where programs are run."""
    named = identity("verifiers", name, VERIFIERS) + (f" {VERSIONS[name]}" if name in VERSIONS else "")
    return f"{named} {json.dumps(as_dict(code))}" if name == CODE else named
