"""The drift dial with a real model: weights between the start policy's and a trained one's, really sampled and scored.

`weight` is the share of the trained weights, for every tensor: start + weight · (trained - start). Each repeat samples
the same prompts anew under the start weights and under the mixed ones, and computes the log-probabilities of the mixed
policy's answers under both. At weight 0 two rounds of one policy are compared, so that no alarm is the truth.
"""

import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from selfreward.commands.validate.alarms import FIXED, change_alarms, fixed_alarms, measured
from selfreward.commands.validate.population import SAMPLES, Population, Said, pool_rows
from selfreward.commands.validate.worlds import likelihoods, nothing
from selfreward.engines.protocol import Engine, Request, TokenSequence
from selfreward.engines.tensors import weight_files, weights_digest
from selfreward.measuring.stats.clustered import wilson
from selfreward.recipe import Recipe
from selfreward.records import Prompt, seed_for
from selfreward.roles import generator as generator_role
from selfreward.roles.cast import engine_of
from selfreward.store.view import RunView

if TYPE_CHECKING:
    import torch

WEIGHTS = (0.0, 0.5, 1.0)
REPEATS = 10
PROMPTS = 50
FAMILIES = ("drift", "two_sample", "output_drift", "truth")
WATCHED = (
    "kl_initial_k1_token",
    "kl_initial_k3_token",
    "c2st_p_initial",
    "c2st_auc_initial",
    "ngram_js_initial",
    "true_accuracy",
)


@dataclass(frozen=True, slots=True)
class RealDrift:
    """Over the repeats: how often the metric alarms, and its mean value."""

    weight: float
    metric: str
    prompts: int
    repeats: int
    alarms: int
    low: float
    high: float
    value: float


def real_drift(population: Population, run: Path, repeats: int, say: Callable[[str], None]) -> list[RealDrift]:
    """What the drift families say of policies between round 0's and the last one's of a run."""
    view = RunView(run)
    recipe = view.recipe()
    start, trained = (view.read_directory(number) for number in (0, view.rounds()[-1]))
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for weight in WEIGHTS:
            say(f"drift of real weights: {weight:g}")
            mixed = mix(start, trained, weight, Path(scratch) / f"{weight:g}")
            rows += _repeated(population, recipe, start, mixed, weight, repeats)
    return rows


def mix(start: Path, trained: Path, weight: float, out: Path) -> Path:
    """A model directory whose every tensor lies between those of the two."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(start, out)
    for file in weight_files(start):
        target = out / file.name
        target.unlink()
        before, after = load_file(file), load_file(trained / file.name)
        save_file({name: between(before[name], after[name], weight) for name in before}, target, {"format": "pt"})
    return out


def between(before: "torch.Tensor", after: "torch.Tensor", weight: float) -> "torch.Tensor":
    # Not by torch.lerp: at weight 0 and 1 the tensors themselves are wanted, to the last bit.
    if weight in (0.0, 1.0):
        return after if weight else before
    return before + weight * (after - before)


def _repeated(
    population: Population, recipe: Recipe, start: Path, mixed: Path, weight: float, repeats: int
) -> list[RealDrift]:
    engine = engine_of(recipe)
    alarms, values = dict.fromkeys(WATCHED, 0), dict.fromkeys(WATCHED, 0.0)
    try:
        for number in range(repeats):
            generator = random.Random(seed_for("real drift", number))
            prompts = population.some_prompts(PROMPTS, generator)
            engine.load(start, weights_digest(start))
            before = _sample(engine, recipe, prompts, seed_for("before", number))
            engine.load(mixed, weights_digest(mixed))
            after = _sample(engine, recipe, prompts, seed_for("after", number))
            now = _logprobs(engine, recipe, after)
            engine.load(start, weights_digest(start))
            then = _logprobs(engine, recipe, after)
            after = [
                replace(one, ratio=tuple(a - b for a, b in zip(new, old, strict=True)))
                for one, new, old in zip(after, now, then, strict=True)
            ]
            initial, rows = pool_rows(before, generator, "initial"), pool_rows(after, generator, "now")
            later = replace(nothing(rows, 1), initial=initial, likelihoods=likelihoods(rows, after))
            found = measured(later, FAMILIES)
            ways = fixed_alarms(found, FIXED) | change_alarms(found, measured(nothing(initial, 0), FAMILIES))
            for metric in WATCHED:
                alarms[metric] += any(way != 0 for (_, name), way in ways.items() if name == metric)
                values[metric] += next(
                    row.value or 0.0
                    for family in found.values()
                    for row in family
                    if (row.metric, row.cohort) == (metric, "all")
                )
    finally:
        engine.close()
    rows_found = []
    for metric in WATCHED:
        low, high = wilson(alarms[metric], repeats)
        rows_found.append(
            RealDrift(weight, metric, PROMPTS, repeats, alarms[metric], low, high, values[metric] / repeats)
        )
    return rows_found


def _sample(engine: Engine, recipe: Recipe, prompts: Sequence[Prompt], seed: int) -> list[Said]:
    sampling = recipe.measure.sampling
    requests = [
        Request(
            id=prompt.id,
            messages=generator_role.ask(recipe.generate.template, prompt),
            n=SAMPLES,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            seed=seed_for(seed, prompt.id),
            logprob=False,
        )
        for prompt in prompts
    ]
    return [
        Said(prompt, reply.text, reply.token_ids, reply.finish_reason, ())
        for prompt, replies in zip(prompts, engine.generate(requests, seed), strict=True)
        for reply in replies
    ]


def _logprobs(engine: Engine, recipe: Recipe, said: Sequence[Said]) -> list[tuple[float, ...]]:
    asked = [
        TokenSequence(engine.prompt_token_ids(generator_role.ask(recipe.generate.template, one.prompt)), one.token_ids)
        for one in said
    ]
    return engine.logprobs(asked)
