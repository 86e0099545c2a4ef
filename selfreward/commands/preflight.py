"""A recipe is checked whole before the first expensive step: model, templates, pair rule, prompts and pools."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from selfreward.engines.checkpoints import chat_digest, validate_model_directory, weights_digest
from selfreward.engines.hugging_face.weights import choose_device
from selfreward.engines.served.engine import key_of
from selfreward.engines.vllm.settings import require_vllm
from selfreward.errors import DataError, RecipeError
from selfreward.judging.prompts import pairwise as judge_pairwise
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.measuring.probes.judge_replies import check_probes
from selfreward.measuring.probes.questions import questions_of
from selfreward.pairing.answers import load_rule
from selfreward.progress import Progress
from selfreward.recipe import Recipe, constitution_of, held_out_judge
from selfreward.records import Prompt
from selfreward.roles import generator, version
from selfreward.roles.cast import Policy
from selfreward.tasks.anchors_file import unlabelled
from selfreward.tasks.cohorts import read_cohorts, refuse_overlap
from selfreward.tasks.filters import assert_disjoint
from selfreward.tasks.pairs_file import read_pairs
from selfreward.tasks.sandbox.seeds.cache import SHIPPED, seed_directory
from selfreward.tasks.sandbox.seeds.names import is_seed_name, parse_seed_name
from selfreward.tasks.source import Source, by_pool, open_source
from selfreward.tasks.verifiers.protocol import Verifier, load_verifier

SANDBOX_SEEDS = SHIPPED
Say = Callable[[str], None]


def preflight(recipe: Recipe, say: Say | None = None) -> tuple[Policy, Source, Verifier | None]:
    """The start policy, the prompts and the verifier. Raises RecipeError or DataError that says what to change.

    A sandbox model that is not there yet is trained when everything else was found right; `say` is told.
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
    for name, server in recipe.served.items():
        key_of(name, server)
    if recipe.engine.kind == "vllm":
        require_vllm()
    if recipe.engine.kind != "scripted":
        choose_device(recipe.model.device)
    source = open_source(recipe)
    check_pools(recipe, source)
    check_side(recipe, source)
    if recipe.measure.anchors and say is not None:
        missing, rows = unlabelled(recipe.measure.anchors)
        if missing:
            say(f"{recipe.measure.anchors}: {missing} of {rows} rows have no label and are left out of the frozen pool")
    named = recipe.measure.verifier
    verifier = None if named == "none" else load_verifier(named)
    check_truth(recipe, source, verifier)
    start = start_policy(recipe, say)
    for name in seeds:
        model_directory(name, say)
    check_lengths(recipe, source, start.directory)
    return start, source, verifier


def check_judge(recipe: Recipe) -> None:
    """Every template, rubric and constitution that the judge would ask with is read once. Raises RecipeError."""
    judges = [recipe.judge, *(recipe.judge.member(name) for name in recipe.judge.members)]
    if recipe.measure.held_out is not None:
        judges.append(held_out_judge(recipe, recipe.measure.held_out))
    for judge in judges:
        if judge.comparing is None:
            judge_prompt(judge)
        else:
            judge_pairwise.version(judge.comparing.template, constitution_of(judge.comparing))


def role_references(recipe: Recipe) -> list[str]:
    """Every model that some role names, beside the policy itself."""
    held_out = recipe.measure.held_out
    references = [recipe.judge.model, *(name.partition("@")[2] for name in recipe.judge.members)]
    references += [recipe.meta.model, recipe.prompts.writer.model, recipe.train.reference]
    references += [recipe.measure.cohort_judge] if recipe.measure.cohorts else []
    references += [recipe.pairs.implicit.reference] if recipe.pairs.implicit else []
    return [*references, *([held_out.model] if held_out else [])]


def start_policy(recipe: Recipe, say: Say | None = None) -> Policy:
    """The start policy's directory and digest. Raises DataError for a model that cannot be used."""
    directory = model_directory(recipe.model.path, say)
    if recipe.engine.kind != "scripted":
        validate_model_directory(directory)
    return Policy(0, weights_digest(directory), directory, chat_digest(directory))


def model_directory(path: str, say: Say | None = None) -> Path:
    """The directory that `model.path` names: a sandbox model, trained first if it is not there, or one on disk."""
    if not is_seed_name(path):
        return Path(path)
    return seed_directory(parse_seed_name(path), say or Progress().say)


def shape_directory(path: str) -> Path:
    """A directory with a model of the same shape; nothing is trained to have it."""
    if not is_seed_name(path):
        return Path(path)
    parse_seed_name(path)
    return SANDBOX_SEEDS / "seed-0"


def check_pools(recipe: Recipe, source: Source) -> None:
    """Refuse evaluation prompts among the training prompts, and a training pool that is too small."""
    training: list[Prompt] = []
    for number in range(1, recipe.rounds + 1):
        training += source.training(number, recipe.prompts.per_round)
    anchored = [row.prompt for row in source.frozen()] if recipe.measure.anchors else []
    reported = {prompt.messages: prompt.pool for prompt in source.pools() if prompt.pool != "gate"}
    for prompt in anchored:
        if prompt.pool == "frozen" and prompt.messages in reported:
            raise DataError(
                f"{recipe.measure.anchors}: the prompt {prompt.text[:40]!r}... is of the {reported[prompt.messages]} "
                "pool, which never steers, and its row is not locked; set 'locked' to true or remove the row"
            )
    assert_disjoint(training, by_pool([*source.pools(), *anchored]), run=source.overlap_words)


def check_side(recipe: Recipe, source: Source) -> None:
    """Refuse probes without a question, cohorts that cannot be graded, and those whose prompts are trained on."""
    questions_of(recipe, source.pools())
    if not recipe.measure.cohorts:
        return
    training = [pair.prompt for pair in read_pairs(recipe.pairs.mix.external)] if recipe.pairs.mix.external else []
    for number in range(1, recipe.rounds + 1):
        training += source.training(number, recipe.prompts.per_round)
    cohorts = read_cohorts(recipe.measure)
    refuse_overlap(cohorts, training, source.overlap_words)
    judged = [cohort.name for cohort in cohorts if cohort.verifier == "none"]
    if judged and recipe.judge.comparing:
        raise RecipeError(
            f"cohort {judged[0]!r} has no verifier, but a judge that compares only ranks the answers to one prompt, "
            f"which cannot be compared between rounds; set measure.cohorts.{judged[0]}.verifier"
        )


def check_truth(recipe: Recipe, source: Source, verifier: Verifier | None) -> None:
    """Refuse prompts that the verifier cannot check or that lack a gold answer, and external pairs that cannot be used.

    Where the judge takes what the verifier leaves open, a prompt that brings nothing to verify is one of these.
    """
    training: list[Prompt] = []
    for number in range(1, recipe.rounds + 1):
        training += source.training(number, recipe.prompts.per_round)
    if verifier is not None:
        lenient = recipe.judge.source == "verifier_then_model"
        for prompt in [*source.pools(), *training]:
            if not (lenient and prompt.answer is None and not prompt.meta):
                verifier.require(prompt)
    if load_rule(recipe.pairs.rule).needs == "gold":
        gold = source.gold(training)
        missing = [prompt for prompt in training if prompt.id not in gold]
        if missing:
            raise DataError(
                f"prompt {missing[0].id} ({missing[0].text[:40]!r}...) and {len(missing) - 1} more have no 'answer'; "
                f"pairs.rule={recipe.pairs.rule} needs the gold answer of every training prompt on its row"
            )
    if recipe.pairs.mix.external:
        external = {pair.prompt.id: pair.prompt for pair in read_pairs(recipe.pairs.mix.external)}
        assert_disjoint(list(external.values()), by_pool(source.pools()), run=source.overlap_words)


def check_lengths(recipe: Recipe, source: Source, directory: Path) -> None:
    """Refuse a tokenizer that cannot render a conversation, and prompts that leave no room for an answer.

    Here and not when the model is first asked: by then the run has a sealed copy, which must not be corrected by hand.
    """
    shipped = recipe.model.path.startswith("sandbox:") and recipe.prompts.source.kind == "sandbox"
    # The tokenizer is what makes this slow, and the sandbox's prompts are short for its own models by construction.
    if shipped or recipe.engine.kind == "scripted":
        return
    from selfreward.engines.chat import load_renderer

    renderer = load_renderer(directory, recipe.model.trust_remote_code)
    limit = context_length(directory, recipe.engine.max_length) - recipe.generate.sampling.max_tokens
    prompts = [*source.pools(), *(prompt for cohort in read_cohorts(recipe.measure) for prompt in cohort.prompts)]
    for number in range(1, recipe.rounds + 1):
        prompts += source.training(number, recipe.prompts.per_round)
    questions = [generator.ask(recipe.generate.template, prompt) for prompt in prompts]
    for prompt, tokens in zip(prompts, renderer.prompt_token_ids(questions), strict=True):
        if len(tokens) > limit:
            raise DataError(
                f"prompt {prompt.id} ({prompt.text[:40]!r}...) has {len(tokens)} tokens; expected at most {limit}, "
                "which is the context less generate.sampling.max_tokens; shorten the prompt or lower max_tokens"
            )


def context_length(directory: Path, wanted: int | None) -> int:
    """Tokens that fit: the model's positions, or `engine.max_length` where that is smaller."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    positions = int(config.get("text_config", config).get("max_position_embeddings", 0)) or sys.maxsize
    return min(positions, wanted or sys.maxsize)
