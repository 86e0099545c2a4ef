"""Adversarial prompts as a run's source: they share wordings by design, and placeholders never (requests.py)."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from selfreward.errors import RecipeError
from selfreward.recipe import Recipe
from selfreward.recipe.doors import is_foreign
from selfreward.records import Labelled, Pool, Prompt, seed_for
from selfreward.tasks.adversarial.requests import draw_adversarial
from selfreward.tasks.anchors_file import read_anchors


@dataclass(frozen=True)
class AdversarialSource:
    """Only equality tells two prompts apart."""

    recipe: Recipe
    overlap_words: int | None = None

    def __post_init__(self) -> None:
        verifier = self.recipe.measure.verifier
        if verifier != "none" and not is_foreign(verifier):
            raise RecipeError(
                f"key 'measure.verifier' is {verifier!r}, but tempting prompts have no answer to compare with; "
                "expected none (refusals, and needless ones, are measured all the same)"
            )

    def training(self, round: int, count: int) -> list[Prompt]:
        per_round = self.recipe.prompts.per_round
        first = (round - 1) * per_round
        wanted = max(round * per_round, first + count)
        return draw_adversarial("train", wanted, "train", self.recipe.seed)[first : first + count]

    def pools(self) -> list[Prompt]:
        """One draw dealt out by the threes of its cohorts, so that every pool has as many of each."""
        measure = self.recipe.measure
        sizes: dict[Pool, int] = {"gate": measure.gate, "selection": measure.selection, "report": measure.report}
        pool_of = [pool for pool, size in sizes.items() for _ in range(size)]
        drawn = draw_adversarial("held_out", len(pool_of), "report")
        return [dataclasses.replace(prompt, pool=pool) for prompt, pool in zip(drawn, pool_of, strict=True)]

    def frozen(self) -> list[Labelled]:
        return read_anchors(self.recipe.measure.anchors) if self.recipe.measure.anchors else []

    def examples(self) -> list[str]:
        return [prompt.text for prompt in draw_adversarial("train", 200, "train", self.recipe.seed)]

    def demonstrations(self, round: int, count: int) -> list[tuple[Prompt, str]]:
        raise RecipeError("train.method=sft needs demonstrations, which adversarial prompts do not have")

    def preferences(self, round: int, count: int) -> list[Prompt]:
        return draw_adversarial("train", count, "train", seed_for("preferences", self.recipe.seed, round))

    def gold(self, prompts: Sequence[Prompt]) -> dict[str, str]:
        return {}
