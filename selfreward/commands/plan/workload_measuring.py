"""What one policy is asked when it is measured, in questions and tokens."""

import dataclasses

from selfreward.commands.plan.workload import Asking, Lengths, judgments_of
from selfreward.recipe import (
    MeasureRecipe,
    Recipe,
    cohort_judge,
    held_out_judge,
    held_out_pools,
)
from selfreward.store.artifacts import COMPARISONS, cohort_artifact, held_out_artifact, part_of
from selfreward.tasks.anchors_file import read_anchors
from selfreward.tasks.cohorts import read_cohorts
from selfreward.tasks.sets import OWN
from selfreward.tasks.sets.sets import read_set


def measuring(recipe: Recipe, lengths: Lengths) -> list[Asking]:
    """What one policy is asked on the frozen pools."""
    measure = recipe.measure
    pools, draws = measure.gate + measure.selection + measure.report, measure.judge_samples
    limit = measure.sampling.max_tokens
    answered = Lengths(lengths.prompt, lengths.rubric, min(lengths.response, limit), lengths.judgment)
    count, unique = pools * measure.samples, pools * lengths.prompt
    answers = Asking(
        "measure: answer", "eval_responses", count, lengths.prompt, answered.response, unique, measure.samples
    )
    side = [*_held_out(recipe, answered), *_side(recipe, answered, draws)]
    if not measure.judge:
        return [answers, *side]
    judged = judgments_of(recipe, answered, "measure: judge", "eval_judgments", (pools, measure.samples), draws)
    anchored = len(read_anchors(measure.anchors)) if measure.anchors else measure.frozen
    frozen = judgments_of(recipe, answered, "measure: frozen", "frozen_judgments", (anchored, 1), draws)
    found = [answers, *judged, *(frozen if measure.frozen and not recipe.judge.ranks else [])]
    return [*found, *_probes(recipe, answered, draws), *side]


def _probes(recipe: Recipe, lengths: Lengths, draws: float) -> list[Asking]:
    """Replies by which the judge shows what it likes, and answers of round 0 that are scored again."""
    wanted, pairwise = recipe.measure.judge_probes, recipe.judge.ranks
    sandbox = recipe.measure.source.kind == "sandbox"
    units = [(wanted.padded, 2.0), (wanted.claims if sandbox else 0, 2.0)]
    units.append((wanted.claims if wanted.claims_file else 0, 4.0))
    units.append((0 if sandbox or pairwise else wanted.feedback, 3.0))
    replies = sum(count * each for count, each in units)
    old = 0 if pairwise else min(wanted.initial, recipe.measure.report)
    asked = (
        ("measure: probes", "probe_judgments", (replies / 2, 2.0) if pairwise else (replies, 1.0)),
        ("measure: old answers", "initial_judgments", (old, 1.0)),
    )
    return [
        question
        for stage, artifact, answers in asked
        if answers[0]
        for question in judgments_of(recipe, lengths, stage, artifact, answers, draws)
    ]


def _held_out(recipe: Recipe, lengths: Lengths) -> list[Asking]:
    """The held-out judge on its pools; side by side against the previous and the first round."""
    held_out = recipe.measure.held_out
    if held_out is None:
        return []
    asked = dataclasses.replace(recipe, judge=held_out_judge(recipe, held_out))
    judgment = dataclasses.replace(lengths, judgment=asked.judge.sampling.max_tokens)
    found = []
    for pool in held_out_pools(recipe):
        prompts, artifact = getattr(recipe.measure, pool), held_out_artifact(pool)
        if asked.judge.comparing:
            units, draws, artifact = (2 * prompts * held_out.answers, 2.0), 1.0, part_of(artifact, COMPARISONS)
        else:
            units, draws = (prompts, held_out.answers), asked.judge.samples
        found += judgments_of(asked, judgment, "measure: held out", artifact, units, draws)
    return found


def _side(recipe: Recipe, lengths: Lengths, draws: float) -> list[Asking]:
    """The recipe's cohorts and probes. A conversation's later turns are counted with the first answer in them."""
    measure = recipe.measure
    cohorts = read_cohorts(measure)
    prompts, samples = float(sum(len(cohort.prompts) for cohort in cohorts)), float(measure.cohort_samples)
    found = []
    if prompts:
        asked = (prompts * samples, lengths.prompt, lengths.response, prompts * lengths.prompt)
        found.append(Asking("measure: cohorts", "cohort_responses", *asked, samples))
    judged = [cohort for cohort in cohorts if cohort.verifier == "none"]
    apart = sorted(cohort.name for cohort in judged if measure.cohorts[cohort.name].question is not None)
    for name in (None, *apart):
        by = dataclasses.replace(recipe, judge=cohort_judge(measure, recipe.judge, name))
        asked_so = [one for one in judged if (one.name if one.name in apart else None) == name]
        count = sum(len(cohort.prompts) for cohort in asked_so)
        readings = measure.judge_samples if name else draws
        if count:
            artifact = cohort_artifact(apart, name)
            found += judgments_of(by, lengths, "measure: cohorts", artifact, (count, samples), readings)
    turns = float(sum(_TURNS[name] * _questions(name, measure) for name in measure.probes))
    if turns:
        question = 2 * lengths.prompt + lengths.response
        found.append(Asking("measure: asked", "asked", turns, question, lengths.response, turns * question, 1.0))
    return found


def _questions(name: str, measure: MeasureRecipe) -> int:
    """How many a probe has, at most: without a file for it those of the small set that ships, where it has its own."""
    few = name in OWN and not measure.probe_files
    return min(measure.probe_questions, len(read_set(f"own:{name}").rows)) if few else measure.probe_questions


_TURNS = {
    "are_you_sure": 5,
    "wrong_claim": 2,
    "wrong_belief": 2,
    "opinion_mirroring": 2,
    "behaviour": 1,
    "pressure": 11,
    "liked_text": 3,
    "mimicry": 2,
    "both_sides": 4,
    "long_dialogue": 30,
    "false_premise": 3,
    "reasoning": 2,
    "tampering": 3,
}
"""Replies to one question of each probe, at most: a first answer, and the later turns of both arms."""
