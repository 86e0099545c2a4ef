"""The frozen pools: how they are sampled and scored, the same in every round, and the work that measures them."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from selfreward.measuring.evidence import Evidence
from selfreward.measuring.metrics import fingerprint, measure_all
from selfreward.recipe import GenerateRecipe, JudgeRecipe, MeasureRecipe, Recipe, as_dict
from selfreward.records import Judgment, Labelled, Measurement
from selfreward.store.run import Work

VERSION = 2


def pools_settings(recipe: MeasureRecipe) -> dict[str, Any]:
    """What of the section the pools carry as their origin: not what is asked about them afterwards.

    A key that is null names nothing that the pools could depend on.
    """
    afterwards = {"judge", "every", "metrics", "held_out", "judge_probes", "cohorts", "cohort_samples", "cohort_judge"}
    afterwards |= {"probes", "probe_files", "probe_questions"}
    return {key: value for key, value in as_dict(recipe).items() if key not in afterwards and value is not None}


def pool_sampling(recipe: Recipe) -> GenerateRecipe:
    """How the frozen pools are sampled: with the generator's prompt, the measurement's K and temperature."""
    return dataclasses.replace(recipe.generate, samples=recipe.measure.samples, sampling=recipe.measure.sampling)


def pool_judging(recipe: Recipe) -> JudgeRecipe:
    """How answers on the frozen pools are scored: by the recipe's judge, without its controls and with one N for all.

    A judge that is asked each question once is measured as it is.
    """
    judge = recipe.judge.drawing(recipe.measure.judge_samples)
    reading = judge.reading
    if reading.kind == "verdict":
        reading = dataclasses.replace(reading, ask_again=0)
    return dataclasses.replace(judge, source="model", control="none", reading=reading)


def apart(frozen: Sequence[Labelled]) -> tuple[list[Labelled], list[Labelled]]:
    """The labelled answers that may steer, and the locked ones."""
    locked = [row for row in frozen if row.prompt.pool == "locked"]
    return [row for row in frozen if row.prompt.pool != "locked"], locked


def about(frozen: Sequence[Labelled], judgments: Sequence[Judgment]) -> list[Judgment]:
    """The judgments of these answers."""
    ids = {row.id for row in frozen}
    return [row for row in judgments if row.response_id in ids]


def all_metrics(evidence: Evidence, *, verifier: str, foreign: Sequence[str] = ()) -> Work[Evidence, Measurement]:
    """Work that computes every metric of the evidence, `foreign` ones too, graded by the verifier of this identity."""

    def compute(chunk: Sequence[Evidence], index: int) -> Iterable[Measurement]:
        return measure_all(chunk[0], foreign)

    return Work(
        round=evidence.round,
        artifact="measurements",
        record=Measurement,
        made_from={
            "version": VERSION,
            "round": evidence.round,
            "evidence": evidence.digest,
            "verifier": verifier,
            "metrics": fingerprint(foreign),
        },
        chunks=[[evidence]],
        compute=compute,
    )
