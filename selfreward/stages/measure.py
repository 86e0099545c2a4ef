"""Stage: what a policy is worth, from samples on the frozen pools and from the rows that made it."""

import dataclasses
from collections.abc import Iterable, Sequence

from selfreward.metrics import METRICS, measure_all
from selfreward.metrics.evidence import Evidence
from selfreward.recipe import AdaptiveRecipe, GenerateRecipe, JudgeRecipe, Recipe
from selfreward.records import Measurement
from selfreward.runs import Work

VERSION = 1


def pool_sampling(recipe: Recipe) -> GenerateRecipe:
    """How the frozen pools are sampled: with the generator's prompt, the measurement's K and temperature."""
    return dataclasses.replace(recipe.generate, samples=recipe.measure.samples, sampling=recipe.measure.sampling)


def pool_judging(recipe: Recipe) -> JudgeRecipe:
    """How answers on the frozen pools are scored: by the recipe's judge, without its controls and with one N for all.

    A judge that is asked each question once is measured as it is.
    """
    draws = recipe.judge.protocol in ("pointwise", "hybrid")
    return dataclasses.replace(
        recipe.judge,
        source="model",
        control="none",
        samples=recipe.measure.judge_samples if draws else 1,
        ask_again=0,
        adaptive=AdaptiveRecipe(),
    )


def measure(evidence: Evidence, *, made_from: Sequence[str], verifier: str) -> Work[Evidence, Measurement]:
    """Work that computes every metric. `made_from` are the digests of all rows in the evidence."""

    def compute(chunk: Sequence[Evidence], index: int) -> Iterable[Measurement]:
        return measure_all(chunk[0])

    return Work(
        round=evidence.round,
        artifact="measurements",
        record=Measurement,
        made_from={
            "version": VERSION,
            "round": evidence.round,
            "inputs": list(made_from),
            "verifier": verifier,
            "metrics": dict(sorted(METRICS.items())),
        },
        chunks=[[evidence]],
        compute=compute,
    )
