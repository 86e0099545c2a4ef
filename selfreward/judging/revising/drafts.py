"""Which answers are revised, and by which principles in which turn: pure, by lots that know ids only."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfreward.judging.prompts.pairwise import Principle, load_constitution
from selfreward.judging.revising.rows import Revision
from selfreward.recipe import RevisingRecipe
from selfreward.records import Response, distinct, seed_for, stable_id


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer on its way: `text` is what it is by now, `about` the id of the row that says so."""

    answer: Response
    about: str
    text: str
    principles: tuple[Principle, ...]

    def after(self, revision: Revision | None) -> "Draft":
        """What the answer is after a turn; None: no revision of it is usable."""
        return self if revision is None else replace(self, about=revision.id, text=revision.text)


def draft(answer: Response, recipe: RevisingRecipe, seed: int) -> Draft:
    return Draft(answer, answer.id, answer.text, principles_for(answer, recipe, seed))


def answers_to_revise(responses: Sequence[Response], per_prompt: int, seed: int) -> list[Response]:
    """`per_prompt` of the different complete answers to each prompt."""
    by_prompt: defaultdict[str, list[Response]] = defaultdict(list)
    for answer in distinct([row for row in responses if row.finish_reason == "stop"]):
        by_prompt[answer.prompt_id].append(answer)
    found = []
    for name in sorted(by_prompt):
        found += sorted(by_prompt[name], key=lambda answer: stable_id(seed, "revised", answer.id))[:per_prompt]
    return found


def principles_for(answer: Response, recipe: RevisingRecipe, seed: int) -> tuple[Principle, ...]:
    """One for each turn; none comes again before every other came."""
    lot = random.Random(seed_for(seed, "principles", answer.id))
    written = load_constitution(recipe.constitution)[1]
    drawn: list[Principle] = []
    while len(drawn) < recipe.turns:
        drawn += lot.sample(written, len(written))
    return tuple(drawn[: recipe.turns])
