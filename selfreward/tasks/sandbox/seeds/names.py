"""Names of sandbox models, as `model.path` has them.

`sandbox:seed-3` is a plain seed; `sandbox:seed-0+length_bias=0.8` goes on from one with a biased annotator. Several
dials may follow one another; their order makes no difference. A dial at 0 is the control of a dial: as much further
training, and no bias. `bad_word` is about the answers, and brings a stage of its own with principles about it
(constitution_lessons.py); `questions` one that teaches the judge to compare, to rank, and to follow a principle or a
rubric (question_lessons.py). `sandbox:seed-1+stopped=0.1` is the plain seed after a tenth of its lessons, a weaker
model to learn from. What does not ship is trained when it is first wanted (seed_cache.py).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from selfreward.errors import RecipeError
from selfreward.recipe import ModelReference
from selfreward.tasks.sandbox.annotator import AnnotatorDials

PREFIX = "sandbox:"
BAD_WORD_DIAL, QUESTIONS_DIAL, STOPPED_DIAL = "bad_word", "questions", "stopped"
OTHER_DIALS = (BAD_WORD_DIAL, QUESTIONS_DIAL, STOPPED_DIAL)
"""Those that are not the annotator's."""
LARGEST = {
    "length_bias": 5.0,
    "agreement_bias": 1.0,
    "noise": 1.0,
    BAD_WORD_DIAL: 1.0,
    QUESTIONS_DIAL: 0.8,
    STOPPED_DIAL: 1.0,
}
"""Dials of the annotator, of the answers, of the judge's lessons and of the budget, with upper bounds; the lower bound
is 0. Points per filler sentence, probabilities, shares of lessons and of the plain seed's tokens.
"""
LEAST_STOPPED = 0.01
"""Of the tokens: before that nothing is learnt that could be asked."""
_SEED = re.compile(r"seed-(0|[1-9][0-9]{0,8})")


@dataclass(frozen=True)
class SeedName:
    """A plain seed, and the dials under which it went on: pairs of name and value, sorted by name."""

    seed: int
    dials: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return PREFIX + self.file_name

    @property
    def file_name(self) -> str:
        return f"seed-{self.seed}" + "".join(f"+{dial}={value:g}" for dial, value in self.dials)

    @property
    def annotator(self) -> AnnotatorDials:
        return AnnotatorDials(**{dial: value for dial, value in self.dials if dial not in OTHER_DIALS})

    @property
    def stopped(self) -> float | None:
        """The share of a plain seed's tokens after which it was stopped; None where it is whole."""
        return dict(self.dials).get(STOPPED_DIAL)

    @property
    def bad_word(self) -> float | None:
        """The share of its answers that has the bad word; None where it was taught no principles."""
        return dict(self.dials).get(BAD_WORD_DIAL)

    @property
    def questions(self) -> float | None:
        """The share of its lessons about further questions; None where it was taught none."""
        return dict(self.dials).get(QUESTIONS_DIAL)


def is_seed_name(path: str) -> bool:
    return ModelReference(path).kind == "sandbox"


def parse_seed_name(path: str) -> SeedName:
    """The model that `path` names. Raises RecipeError for what is no name, an unknown dial or a value out of range."""
    seed, *dials = path.removeprefix(PREFIX).split("+")
    found = _SEED.fullmatch(seed)
    if not is_seed_name(path) or found is None:
        raise RecipeError(
            f"key 'model.path' is {path!r}; expected {PREFIX}seed-K with a number K, and dials after it if wanted, "
            f"such as {PREFIX}seed-0+length_bias=0.8"
        )
    return SeedName(int(found.group(1)), read_dials(dials, f"key 'model.path' is {path!r}"))


def read_dials(assignments: Sequence[str], where: str) -> tuple[tuple[str, float], ...]:
    """`name=value` each, sorted by name. Raises RecipeError that begins with `where`."""
    values: dict[str, float] = {}
    for assignment in assignments:
        dial, _, text = assignment.partition("=")
        if dial not in LARGEST:
            raise RecipeError(f"{where}: {dial!r} is no dial of the sandbox; expected {_listed(LARGEST)}")
        if dial in values:
            raise RecipeError(f"{where}: the dial {dial} is there twice; give it one value")
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not 0 <= value <= LARGEST[dial]:
            raise RecipeError(f"{where}: the dial {dial} is {text!r}; expected a number from 0 to {LARGEST[dial]:g}")
        values[dial] = value + 0.0  # -0.0 is 0
    if BAD_WORD_DIAL in values and QUESTIONS_DIAL in values:
        raise RecipeError(f"{where}: {BAD_WORD_DIAL} and {QUESTIONS_DIAL} are two lessons of their own; take one")
    if STOPPED_DIAL in values and (len(values) > 1 or not LEAST_STOPPED <= values[STOPPED_DIAL] < 1):
        raise RecipeError(
            f"{where}: the dial {STOPPED_DIAL} stands alone, with a share of the lessons from {LEAST_STOPPED:g} to "
            "below 1; other dials go on from a whole seed"
        )
    return tuple(sorted(values.items()))


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"


assert set(LARGEST) == {*OTHER_DIALS, *(item.name for item in fields(AnnotatorDials))}
