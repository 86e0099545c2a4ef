"""A made set as a run's source: prompts share wordings by design, and only equality tells two of them apart.

A set is small: where a round wants more prompts than are left, the run is refused before it starts and says how many
there are. Training prompts come in an order by lot of the run's seed; pools are the same for every run.
"""

import dataclasses
import importlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from selfreward.errors import DataError, RecipeError
from selfreward.recipe import MadeSource as MadeRecipe
from selfreward.recipe import Recipe
from selfreward.recipe.doors import is_foreign
from selfreward.records import Labelled, Message, Pool, Prompt, seed_for
from selfreward.tasks.anchors_file import read_anchors
from selfreward.tasks.made.made import Made
from selfreward.tasks.source import EVALUATION_POOLS, prompt_id

SETS = {
    "text_to_sql": ("selfreward.tasks.made.text_to_sql:rows", "sql"),
    "false_refusals": ("selfreward.tasks.made.false_refusals:rows", "refusal"),
    "summarise": ("selfreward.tasks.made.summarise:rows", "none"),
}
"""Name in the recipe -> "module:attribute" of its rows, and the verifier that reads what they bring."""


@cache
def made_rows(name: str) -> tuple[Made, ...]:
    module, attribute = SETS[name][0].split(":")
    found: list[Made] = getattr(importlib.import_module(module), attribute)()
    return tuple(found)


def made_prompts(name: str, *, held_out: bool, pool: Pool) -> list[Prompt]:
    """The prompts of one side of a set, in its own order."""
    found = []
    for row in made_rows(name):
        if row.held_out == held_out:
            messages = (Message("user", row.text),)
            found.append(
                Prompt(
                    prompt_id(messages), messages, pool, name, cohort=row.cohort, answer=row.answer, meta=dict(row.meta)
                )
            )
    return found


@dataclass(frozen=True)
class MadeSource:
    """The set that `prompts.source` names."""

    recipe: Recipe
    made: MadeRecipe
    overlap_words: int | None = None

    def __post_init__(self) -> None:
        verifier, reads = self.recipe.measure.verifier, SETS[self.made.kind][1]
        if verifier not in (reads, "none") and not is_foreign(verifier):
            expected = "none" if reads == "none" else f"{reads} or none"
            raise RecipeError(
                f"key 'measure.verifier' is {verifier!r}, but the rows of {self.made.kind} bring nothing for it; "
                f"expected {expected}"
            )

    def training(self, round: int, count: int) -> list[Prompt]:
        first = (round - 1) * self.recipe.prompts.per_round
        return self._some(self._shuffled("training"), first, count, f"round {round}", "prompts.per_round or rounds")

    def _shuffled(self, *name: str) -> list[Prompt]:
        found = made_prompts(self.made.kind, held_out=False, pool="train")
        random.Random(seed_for(self.made.kind, self.recipe.seed, *name)).shuffle(found)
        return found

    def _some(self, prompts: list[Prompt], first: int, count: int, who: str, key: str) -> list[Prompt]:
        if first + count > len(prompts):
            raise DataError(
                f"prompts.source={self.made.kind} has {len(prompts)} prompts; {who} wants {count} after the first "
                f"{first}: lower {key}"
            )
        return prompts[first : first + count]

    def pools(self) -> list[Prompt]:
        drawn = made_prompts(self.made.kind, held_out=True, pool="report")
        random.Random(seed_for(self.made.kind, "pools")).shuffle(drawn)
        measure, found, first = self.recipe.measure, [], 0
        sizes: dict[Pool, int] = {"gate": measure.gate, "selection": measure.selection, "report": measure.report}
        for pool in EVALUATION_POOLS:
            key = f"measure.{pool}"
            part = self._some(drawn, first, sizes[pool], f"the {pool} pool", f"{key} (of held-out prompts)")
            found += [dataclasses.replace(prompt, pool=pool) for prompt in part]
            first += sizes[pool]
        return found

    def frozen(self) -> list[Labelled]:
        return read_anchors(self.recipe.measure.anchors) if self.recipe.measure.anchors else []

    def examples(self) -> list[str]:
        return [prompt.text for prompt in self._shuffled("training")]

    def demonstrations(self, round: int, count: int) -> list[tuple[Prompt, str]]:
        raise RecipeError(f"train.method=sft needs demonstrations, which {self.made.kind} does not have")

    def preferences(self, round: int, count: int) -> list[Prompt]:
        drawn = self._shuffled("preferences", str(round))
        return self._some(drawn, 0, count, "the reward model", "reward_model.prompts")

    def gold(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        return {}
