"""Prompts that are drawn: English requests with instructions that can be checked."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from selfreward.errors import RecipeError
from selfreward.recipe import Recipe
from selfreward.records import Labelled, Pool, Prompt, seed_for
from selfreward.tasks.anchors_file import read_anchors
from selfreward.tasks.english.requests import draw_requests
from selfreward.tasks.source import EVALUATION_POOLS


@dataclass(frozen=True)
class EnglishSource:
    """Drawn requests. They share requests and wordings by design, and topics never: only equality tells two apart."""

    recipe: Recipe
    overlap_words: int | None = None

    def training(self, round: int, count: int) -> list[Prompt]:
        per_round = self.recipe.prompts.per_round
        first = (round - 1) * per_round
        return draw_requests("train", round * per_round, "train", self.recipe.seed)[first : first + count]

    def pools(self) -> list[Prompt]:
        measure = self.recipe.measure
        sizes: dict[Pool, int] = {"gate": measure.gate, "selection": measure.selection, "report": measure.report}
        pool_of = [pool for pool in EVALUATION_POOLS for _ in range(sizes[pool])]
        drawn = draw_requests("held_out", len(pool_of), "report")
        return [dataclasses.replace(prompt, pool=pool) for prompt, pool in zip(drawn, pool_of, strict=True)]

    def frozen(self) -> list[Labelled]:
        return read_anchors(self.recipe.measure.anchors) if self.recipe.measure.anchors else []

    def examples(self) -> list[str]:
        return [prompt.text for prompt in draw_requests("train", 200, "train", self.recipe.seed)]

    def demonstrations(self, round: int, count: int) -> list[tuple[Prompt, str]]:
        raise RecipeError("train.method=sft needs demonstrations, which the English prompts do not have")

    def preferences(self, round: int, count: int) -> list[Prompt]:
        return draw_requests("train", count, "train", seed_for("preferences", self.recipe.seed, round))

    def gold(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        return {}
