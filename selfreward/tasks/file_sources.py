"""The user's files as a source of prompts, with or without responses to them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from selfreward.errors import DataError, RecipeError
from selfreward.recipe import FileSource as FileRecipe
from selfreward.recipe import Recipe
from selfreward.records import Labelled, Pool, Prompt, seed_for
from selfreward.tasks.anchors_file import read_anchors
from selfreward.tasks.overlap import RUN
from selfreward.tasks.prompts_file import draw_pools, draw_training
from selfreward.tasks.responses_file import Answered, of_round
from selfreward.tasks.source import EVALUATION_POOLS, Source

EXAMPLES = 200
"""Prompts that may be shown where new ones are written."""


@dataclass(frozen=True)
class FileSource:
    """Training prompts from `prompts.source`, evaluation pools by hash from `measure.source`."""

    recipe: Recipe
    trained: FileRecipe
    measured: FileRecipe
    overlap_words: int | None = RUN

    @cached_property
    def _training(self) -> list[Prompt]:
        need = self.recipe.rounds * self.recipe.prompts.per_round
        prompts, there = draw_training(self.trained, self.recipe.seed, max(need, EXAMPLES))
        if there < need:
            raise DataError(
                f"{self.trained.path}: {there} prompts; expected at least rounds x prompts.per_round = {need}, so that "
                "every round has fresh ones; lower prompts.per_round or rounds, or add prompts"
            )
        return prompts

    def training(self, round: int, count: int) -> list[Prompt]:
        if not count:
            return []
        first = (round - 1) * self.recipe.prompts.per_round
        return self._training[first : first + count]

    @cached_property
    def _pools(self) -> list[Prompt]:
        measure = self.recipe.measure
        sizes: dict[Pool, int] = {"gate": measure.gate, "selection": measure.selection, "report": measure.report}
        pools = draw_pools(self.measured, sizes)
        return [prompt for pool in EVALUATION_POOLS for prompt in pools[pool]]

    def pools(self) -> list[Prompt]:
        return list(self._pools)

    def frozen(self) -> list[Labelled]:
        return read_anchors(self.recipe.measure.anchors) if self.recipe.measure.anchors else []

    def examples(self) -> list[str]:
        return [prompt.text for prompt in self._training[:EXAMPLES]]

    def demonstrations(self, round: int, count: int) -> list[tuple[Prompt, str]]:
        raise RecipeError("train.method=sft needs demonstrations, which a prompt file does not have")

    def preferences(self, round: int, count: int) -> list[Prompt]:
        if count > len(self._training):
            raise DataError(
                f"{self.trained.path}: {len(self._training)} prompts; reward_model.prompts is {count}; lower it, or "
                "add prompts"
            )
        return random.Random(seed_for("preferences", self.recipe.seed, round)).sample(self._training, count)

    def gold(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        return {prompt.id: prompt.answer for prompt in prompts if prompt.answer is not None}


@dataclass(frozen=True)
class AnsweredSource:
    """Training prompts from a file that has their responses (`generate.source`), all else as `measured` has it."""

    measured: Source
    recipe: Recipe
    rows: Sequence[Answered]

    @property
    def overlap_words(self) -> int | None:
        return self.measured.overlap_words

    def training(self, round: int, count: int) -> list[Prompt]:
        per_round = self.recipe.prompts.per_round
        need = self.recipe.rounds * per_round
        if len(self.rows) < need:
            raise DataError(
                f"{self.recipe.generate.source}: {len(self.rows)} prompts with responses; expected at least rounds x "
                f"prompts.per_round = {need}, so that every round has fresh ones; lower prompts.per_round or rounds"
            )
        return [row.prompt for row in of_round(self.rows, self.recipe.seed, round, count, per_round)]

    def pools(self) -> list[Prompt]:
        return self.measured.pools()

    def frozen(self) -> list[Labelled]:
        return self.measured.frozen()

    def examples(self) -> list[str]:
        return []

    def demonstrations(self, round: int, count: int) -> list[tuple[Prompt, str]]:
        return self.measured.demonstrations(round, count)

    def preferences(self, round: int, count: int) -> list[Prompt]:
        return self.measured.preferences(round, count)

    def gold(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        return {prompt.id: prompt.answer for prompt in prompts if prompt.answer is not None}
