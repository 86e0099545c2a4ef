"""The judge of a recipe, whatever its protocol: from answers to sealed judgments.

pointwise   one artifact. With adaptive N: a first pass, then what is still open, and both together
expected    one artifact, from probabilities; hybrid likewise, after a rationale
pairwise    comparisons, and one rating per answer made of them
ensemble    one artifact per member, and all together
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfreward.judging.adaptive import first_pass, judge_further
from selfreward.judging.expected import judge_expected
from selfreward.judging.pairwise import compare_answers, rated
from selfreward.judging.pointwise import judge
from selfreward.judging.scoring.tournament import as_facts, position_statistics
from selfreward.recipe import JudgeRecipe
from selfreward.records import Judgment, Prompt, Response, Rows
from selfreward.roles.cast import Cast
from selfreward.store.given import given
from selfreward.store.run import Work


@dataclass(frozen=True)
class Judging:
    """`complete` seals what is computed on the way. `playing` is the round whose start policy the roles refer to."""

    recipe: JudgeRecipe
    cast: Cast
    complete: Callable[[Work[Any, Any]], Rows[Any]]
    round: int
    playing: int

    def judge(
        self,
        prompts: Mapping[str, Prompt],
        responses: Sequence[Response],
        made_from: Mapping[str, str],
        artifact: str = "judgments",
    ) -> Rows[Judgment]:
        """Every response's judgments, in one sealed artifact."""
        recipe = self.recipe
        if not recipe.ensemble:
            return self._alone(recipe, prompts, responses, made_from, artifact)
        parts = [
            self._alone(_member(recipe, member), prompts, responses, made_from, f"{artifact}_{number}")
            for number, member in enumerate(recipe.ensemble)
        ]
        return self._together(parts, artifact, {"ensemble": "@".join(recipe.ensemble)})

    def _alone(
        self,
        recipe: JudgeRecipe,
        prompts: Mapping[str, Prompt],
        responses: Sequence[Response],
        made_from: Mapping[str, str],
        artifact: str,
    ) -> Rows[Judgment]:
        player = self.cast.role(recipe.model, self.playing)
        asked: dict[str, Any] = {"made_from": made_from, "round": self.round}
        if recipe.protocol == "pairwise":
            work = compare_answers(player, prompts, responses, recipe, **asked, artifact=f"{artifact}_comparisons")
            comparisons = self.complete(work)
            rows = rated(comparisons, responses, recipe, round=self.round, artifact=artifact)
            positions = as_facts(position_statistics(comparisons))
            facts = {"comparisons": comparisons.digest, "positions": positions, "ridge": recipe.pairwise.ridge}
            return self.complete(given(self.round, artifact, Judgment, rows, facts))
        if recipe.protocol in ("expected", "hybrid"):
            return self.complete(judge_expected(player, prompts, responses, recipe, **asked, artifact=artifact))
        if not recipe.adaptive.enabled:
            return self.complete(judge(player, prompts, responses, recipe, **asked, artifact=artifact))
        first = self.complete(
            judge(player, prompts, responses, first_pass(recipe), **asked, artifact=f"{artifact}_first")
        )
        further = self.complete(
            judge_further(player, prompts, responses, first, recipe, round=self.round, artifact=f"{artifact}_further")
        )
        return self._together([first, further], artifact, {"adaptive": "first and further"})

    def _together(self, parts: Sequence[Rows[Judgment]], artifact: str, told: Mapping[str, Any]) -> Rows[Judgment]:
        rows = [row for part in parts for row in part]
        inputs = {**told, "parts": [part.digest for part in parts]}
        return self.complete(given(self.round, artifact, Judgment, rows, inputs))


def _member(recipe: JudgeRecipe, member: str) -> JudgeRecipe:
    """The recipe of one member: `template`, `template@model` or `@model`."""
    template, _, model = member.partition("@")
    return dataclasses.replace(
        recipe, template=template or recipe.template, model=model or recipe.model, ensemble=(), max_disagreement=None
    )
