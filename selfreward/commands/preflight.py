"""A recipe is checked whole before the first expensive step: model, templates, pair rule, prompts and pools."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

from selfreward.commands.magnitudes import refuse_absurd, refuse_equal_answers, refuse_unknown_metrics
from selfreward.commands.model_source import local_model
from selfreward.commands.prompt_checks import check_pools, check_questions, check_side, check_truth
from selfreward.commands.question_checks import require_room
from selfreward.engines.checkpoints import chat_digest, validate_model_directory, weights_digest
from selfreward.engines.hugging_face.weights import choose_device
from selfreward.engines.scripted import read_script
from selfreward.engines.served.engine import key_of
from selfreward.engines.vllm.settings import require_vllm
from selfreward.judging.prompts import listwise as judge_listwise
from selfreward.judging.prompts import pairwise as judge_pairwise
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.measuring.canary.evidence import check_canary
from selfreward.measuring.probes.judge_replies import check_probes
from selfreward.pairing.answers import rule_of
from selfreward.progress import Progress
from selfreward.recipe import (
    REWARD_MODEL,
    SERVED,
    ModelRecipe,
    OwnRule,
    OwnTraining,
    Recipe,
    ScriptedRecipe,
    Steps,
    asked_per_round,
    constitution_of,
    held_out_judge,
)
from selfreward.recipe.doors import load, require_call
from selfreward.recipe.references import role_references
from selfreward.records import Prompt
from selfreward.roles import generator, version
from selfreward.roles.cast import Policy
from selfreward.tasks.anchors_file import unlabelled
from selfreward.tasks.cohorts import read_cohorts
from selfreward.tasks.sandbox.seeds.cache import SHIPPED, seed_directory
from selfreward.tasks.sandbox.seeds.names import is_seed_name, parse_seed_name
from selfreward.tasks.source import Source, open_source
from selfreward.tasks.verifiers.protocol import Verifier, load_verifier

SANDBOX_SEEDS = SHIPPED
LONGEST = 8
PATIENCE = 20.0
"""Seconds after which a check says what it is doing."""

Say = Callable[[str], None]


def preflight(
    recipe: Recipe, say: Say | None = None, disk: Path | None = None
) -> tuple[Policy, Source, Verifier | None]:
    """The start policy, the prompts and the verifier. Raises RecipeError or DataError that says what to change.

    A sandbox model that is not there yet is trained when everything else was found right; `say` is told. `disk`: where
    results will lie, for a trial run of the start policy's directory; None where that is no longer needed.
    """
    seeds = [name for name in (recipe.model.path, *role_references(recipe)) if is_seed_name(name)]
    for name in seeds:
        parse_seed_name(name)
    for kind, template in {
        "generator": recipe.generate.template,
        "meta_judge": recipe.meta.template,
        "prompt_writer": recipe.prompts.writer.template,
    }.items():
        version(kind, template)
    check_judge(recipe)
    check_probes(recipe)
    if recipe.gates.canary != "off":
        check_canary(recipe)
    for name, server in recipe.served.items():
        key_of(name, server)
    if recipe.engine.kind == "vllm":
        require_vllm()
    if recipe.engine.kind != "scripted":
        choose_device(recipe.model.device)
    refuse_absurd(recipe)
    refuse_equal_answers(recipe)
    refuse_unknown_metrics(recipe)
    check_doors(recipe)
    source = open_source(recipe)
    training = source.training(1, recipe.rounds * asked_per_round(recipe))
    with said_when_slow(say, f"preflight compares {len(training)} training prompts with the pools for overlap"):
        check_pools(recipe, source, training)
        check_side(recipe, source, training)
    check_questions(recipe, source, training)
    if recipe.measure.anchors and say is not None:
        missing, rows = unlabelled(recipe.measure.anchors)
        if missing:
            say(f"{recipe.measure.anchors}: {missing} of {rows} rows have no label and are left out of the frozen pool")
    named = recipe.measure.verifier
    verifier = None if named == "none" else load_verifier(named)
    with said_when_slow(say, f"preflight asks the verifier about {len(training)} training prompts"):
        check_truth(recipe, source, verifier, training)
    start = start_policy(recipe, say)
    for name in seeds:
        model_directory(name, say)
    with said_when_slow(say, f"preflight reads {start.directory} and counts the tokens of {len(training)} prompts"):
        check_models(recipe, source, training, start, disk, say)
    return start, source, verifier


def check_doors(recipe: Recipe) -> None:
    """Code that the recipe names is there and can be called as it will be."""
    for metric in recipe.measure.metrics:
        require_call("metrics", metric, "evidence")
    if isinstance(recipe.pairs, OwnRule):
        require_call("pair_rules", recipe.pairs.choose, "candidates", "situation")
        rule_of(recipe.pairs)
    if isinstance(recipe.train, OwnTraining):
        load("trainers", recipe.train.trainer, {})


@contextmanager
def said_when_slow(say: Say | None, what: str) -> Iterator[None]:
    """`say` is told `what` once the block has taken longer than anybody would wait in silence."""
    if say is None:
        yield
        return
    clock = Timer(PATIENCE, say, (what,))
    clock.daemon = True
    clock.start()
    try:
        yield
    finally:
        clock.cancel()


def check_judge(recipe: Recipe) -> None:
    """Every template, rubric and constitution that the judge would ask with is read once. Raises RecipeError."""
    judges = [recipe.judge, *([recipe.reward_model.labels] if recipe.reward_model else [])]
    judges += [*(recipe.judge.member(name) for name in recipe.judge.members)]
    if recipe.measure.held_out is not None:
        judges.append(held_out_judge(recipe, recipe.measure.held_out))
    for judge in judges:
        if judge.listing is not None:
            judge_listwise.version(judge.listing.template)
        elif judge.comparing is None:
            judge_prompt(judge)
        else:
            judge_pairwise.version(judge.comparing.template, constitution_of(judge.comparing))


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
    shipped = short and is_seed_name(recipe.model.path) and own
    adapted = isinstance(recipe.train, Steps) and recipe.train.lora is not None
    others = [Path(name) for name in dict.fromkeys(role_references(recipe)) if _is_directory(name)]
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
    if disk is not None and not is_seed_name(recipe.model.path):
        from selfreward.commands.trial import try_out

        asked = [generator.ask(recipe.generate.template, prompts[index]) for index in order[-1:] + order[:1]]
        try_out(start.directory, start.digest, recipe, asked, disk, say)


def speaks(model: ModelRecipe) -> bool:
    """Whether the recipe says anything about the chat template."""
    return bool(model.template_arguments or model.thinking or model.fold_system)


def _is_directory(reference: str) -> bool:
    """Whether a role's reference names a directory on disk."""
    named = ("policy", "previous", "initial", REWARD_MODEL, "")
    return reference not in named and not reference.startswith(("round:", SERVED)) and not is_seed_name(reference)
