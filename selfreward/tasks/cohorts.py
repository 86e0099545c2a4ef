"""The cohorts of a recipe: read, dealt to their pools, and checked against the training prompts."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from selfreward.errors import DataError
from selfreward.recipe import CohortRecipe, MeasureRecipe
from selfreward.recipe.classifier import CLASSIFIER
from selfreward.recipe.code import CodeRecipe
from selfreward.records import Pool, Prompt, stable_id
from selfreward.tasks.grounding import context_of
from selfreward.tasks.overlap import PoolIndex
from selfreward.tasks.sets.sets import read_set, some
from selfreward.tasks.verifiers.protocol import load_verifier


@dataclass(frozen=True)
class Cohort:
    """Frozen prompts, each in its pool, and what grades the answers to them."""

    name: str
    prompts: Sequence[Prompt]
    verifier: str

    @property
    def oracle(self) -> bool:
        return self.verifier == "sandbox"


def read_cohorts(measure: MeasureRecipe) -> list[Cohort]:
    """The cohorts in the order of their names. Raises DataError for an empty one, or a row that cannot be graded."""
    return [_read(name, recipe, measure.code) for name, recipe in sorted(measure.cohorts.items())]


def _read(name: str, recipe: CohortRecipe, code: CodeRecipe) -> Cohort:
    found = read_set(recipe.source)
    named = found.verifier if recipe.verifier is None else recipe.verifier
    chosen = some(found.prompts, recipe.count)
    order = sorted(chosen, key=lambda prompt: stable_id("deal", prompt.id))
    gate = {prompt.id for prompt in (order[::2] if recipe.pool == "both" else order if recipe.pool == "gate" else [])}
    prompts = []
    for prompt in chosen:
        pool: Pool = "gate" if prompt.id in gate else "report"
        prompts.append(dataclasses.replace(prompt, id=stable_id("cohort", name, prompt.id), pool=pool, cohort=name))
    for prompt in prompts:
        context_of(prompt)
    if named not in ("none", CLASSIFIER):
        verifier = load_verifier(named, code)
        for prompt in prompts:
            verifier.require(prompt)
    return Cohort(name, prompts, named)


def refuse_overlap(cohorts: Sequence[Cohort], training: Sequence[Prompt], run: int | None, max_overlap: float) -> None:
    """Raise DataError where training prompts repeat a cohort's, with how many do and one of them."""
    for cohort in cohorts:
        index = PoolIndex({cohort.name: cohort.prompts}, run, max_overlap)
        repeated = [prompt for prompt in training if index.find(prompt) is not None]
        if repeated:
            example = repeated[0]
            raise DataError(
                f"cohort {cohort.name!r}: {len(repeated)} of {len(training)} training prompts repeat one of its "
                f"{len(cohort.prompts)}, for example {example.id} ({example.text[:60]!r}); what is measured must not "
                "be trained on: remove them from one of the two files, or raise measure.max_overlap where they only "
                "share an instruction"
            )
