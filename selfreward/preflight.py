"""A recipe is checked whole before the first expensive step: model, templates, pair rule, prompts and pools."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from selfreward.cast import Policy
from selfreward.checkpoints import validate_model_directory, weights_digest
from selfreward.config import Recipe
from selfreward.errors import DataError, RecipeError
from selfreward.metrics.evidence import Verifier
from selfreward.pairing.answers import load_rule
from selfreward.pairing.prompts import assert_disjoint
from selfreward.records import Prompt
from selfreward.roles import version
from selfreward.sources import Source, by_pool, open_source
from selfreward.verifiers import VERIFIERS

SANDBOX_SEEDS = Path(__file__).parent / "sandbox" / "seeds"


def preflight(recipe: Recipe) -> tuple[Policy, Source, Verifier | None]:
    """The start policy, the prompts and the verifier. Raises RecipeError or DataError that says what to change."""
    for kind, template in {
        "generator": recipe.generate.template,
        "judge": recipe.judge.template,
        "meta_judge": recipe.meta.template,
        "prompt_writer": recipe.prompts.writer.template,
    }.items():
        version(kind, template)
    load_rule(recipe.pairs.rule)
    source = open_source(recipe)
    check_pools(recipe, source)
    start = start_policy(recipe)
    return start, source, load_verifier(recipe.measure.verifier)


def start_policy(recipe: Recipe) -> Policy:
    """The start policy's directory and digest. Raises DataError for a model that cannot be used."""
    directory = model_directory(recipe.model.path)
    if recipe.engine.kind != "scripted":
        validate_model_directory(directory)
    return Policy(0, weights_digest(directory), directory)


def model_directory(path: str) -> Path:
    """The directory that `model.path` names: `sandbox:seed-K`, or a Hugging Face directory on disk."""
    if not path.startswith("sandbox:"):
        return Path(path)
    directory = SANDBOX_SEEDS / path.removeprefix("sandbox:")
    if not directory.is_dir():
        known = sorted(seed.name for seed in SANDBOX_SEEDS.glob("seed-*"))
        raise RecipeError(
            f"key 'model.path' is {path!r}; expected one of {', '.join('sandbox:' + name for name in known)}"
        )
    return directory


def load_verifier(name: str) -> Verifier | None:
    if name == "none":
        return None
    module, attribute = VERIFIERS[name].split(":")
    verifier: Verifier = getattr(importlib.import_module(module), attribute)()
    return verifier


def check_pools(recipe: Recipe, source: Source) -> None:
    """Refuse evaluation prompts among the training prompts, and a training pool that is too small."""
    training: list[Prompt] = []
    for number in range(1, recipe.rounds + 1):
        training += source.training(number, recipe.prompts.per_round)
    assert_disjoint(training, by_pool(source.pools()), run=source.overlap_words)


def check_lengths(prompts: Sequence[tuple[Prompt, int]], limit: int) -> None:
    """Refuse prompts that leave no room for an answer. Each comes with its number of tokens."""
    for prompt, tokens in prompts:
        if tokens > limit:
            raise DataError(
                f"prompt {prompt.id} ({prompt.text[:40]!r}...) has {tokens} tokens; expected at most {limit}, the "
                "context less generate.sampling.max_tokens; shorten it or raise engine.max_length"
            )
