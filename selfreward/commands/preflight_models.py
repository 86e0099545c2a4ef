"""The start policy's directory, and every other that a role names, before anything is sampled."""

from collections.abc import Callable, Sequence
from pathlib import Path

from selfreward.commands.model_source import local_model
from selfreward.commands.question_checks import require_room
from selfreward.engines.checkpoints import chat_digest, validate_model_directory
from selfreward.engines.scripted import read_script
from selfreward.engines.tensors import weights_digest
from selfreward.progress import Progress
from selfreward.recipe import (
    ModelRecipe,
    Recipe,
    Revising,
    ScriptedRecipe,
    Steps,
)
from selfreward.recipe.references import role_references
from selfreward.records import Prompt
from selfreward.roles import generator
from selfreward.roles.player import Policy
from selfreward.tasks.cohorts import read_cohorts
from selfreward.tasks.sandbox.seeds.cache import SHIPPED, seed_directory
from selfreward.tasks.sandbox.seeds.names import is_seed_name, parse_seed_name
from selfreward.tasks.source import Source

SANDBOX_SEEDS = SHIPPED

LONGEST = 8

Say = Callable[[str], None]


def start_policy(recipe: Recipe, say: Say | None = None) -> Policy:
    """The start policy's directory and digest. Raises DataError for a model that cannot be used."""
    directory = model_directory(recipe.model.path, say)
    if recipe.engine.kind != "scripted":
        validate_model_directory(directory)
    return Policy(0, weights_digest(directory), directory, chat_digest(directory))


def model_directory(path: str, say: Say | None = None) -> Path:
    """The directory that `model.path` names: a sandbox model, trained if it is not there, or model_source.py's."""
    if not is_seed_name(path):
        return local_model(path, say or Progress().say)
    return seed_directory(parse_seed_name(path), say or Progress().say)


def shape_directory(path: str) -> Path:
    """A directory with a model of the same shape; nothing is trained to have it."""
    if not is_seed_name(path):
        return Path(path)
    parse_seed_name(path)
    return SANDBOX_SEEDS / "seed-0"


SEED_ANSWER = 128
"""Tokens of an answer that leave room for every sandbox prompt in the 256 of a sandbox model's context."""


def check_models(
    recipe: Recipe, source: Source, training: Sequence[Prompt], start: Policy, disk: Path | None, say: Say | None
) -> None:
    """The start policy's directory, and every other that a role names: its kind, its templates, its context.

    `disk`: where a real directory is tried out once (trial.py); None leaves that out.
    """
    if isinstance(recipe.engine, ScriptedRecipe):
        read_script(Path(recipe.engine.script))
        return
    require_room(recipe, start.directory)
    # What is slow here are the libraries; the models that ship are known, and the sandbox's prompts short for them.
    short = max(recipe.generate.sampling.max_tokens, recipe.measure.sampling.max_tokens) <= SEED_ANSWER
    short = short and recipe.train.max_length > SEED_ANSWER
    own = recipe.prompts.source.kind == "sandbox" and recipe.generate.source is None
    shipped = short and recipe.model.path.kind == "sandbox" and own
    adapted = isinstance(recipe.train, Steps) and recipe.train.lora is not None
    adapted = adapted or (recipe.reward_model is not None and recipe.reward_model.lora is not None)
    others = [Path(name) for name in dict.fromkeys(role_references(recipe)) if name.kind == "directory"]
    if shipped and not others and recipe.engine.max_length is None and not adapted and not speaks(recipe.model):
        return
    from selfreward.commands.model_checks import require_targets, require_usable
    from selfreward.commands.question_checks import check_judges, check_prompts, require_short
    from selfreward.engines.chat import load_renderer
    from selfreward.engines.template_checks import require_arguments

    for directory in dict.fromkeys([start.directory, *others]):
        require_usable(directory, recipe)
    require_targets(start.directory, recipe)
    prompts = [*source.pools(), *(prompt for cohort in read_cohorts(recipe.measure) for prompt in cohort.prompts)]
    prompts += training
    renderer = load_renderer(start.directory, recipe.model)
    require_arguments(renderer, recipe.model)
    lengths = check_prompts(recipe, renderer, start.directory, prompts)
    require_short(recipe, lengths[len(prompts) - len(training) :])
    order = sorted(range(len(prompts)), key=lambda index: -lengths[index])
    if recipe.judge.asks_model:
        check_judges(recipe, [prompts[index] for index in order[:LONGEST]], model_directory, say)
    if isinstance(recipe.pairs, Revising):
        from selfreward.commands.revising_checks import check_revising

        check_revising(recipe, recipe.pairs.revise, [prompts[index] for index in order[:LONGEST]], model_directory)
    if disk is not None and recipe.model.path.kind != "sandbox":
        from selfreward.commands.trial import try_out

        asked = [generator.ask(recipe.generate.template, prompts[index]) for index in order[-1:] + order[:1]]
        try_out(start.directory, start.digest, recipe, asked, disk, say)


def speaks(model: ModelRecipe) -> bool:
    """Whether the recipe says anything about the chat template."""
    return bool(model.template_arguments or model.thinking or model.fold_system)
