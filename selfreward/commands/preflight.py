"""A recipe is checked whole before the first expensive step: model, templates, pair rule, prompts and pools."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

from selfreward.commands.accelerate_checks import check_accelerate
from selfreward.commands.classifier_checks import check_classifiers
from selfreward.commands.device_checks import check_devices
from selfreward.commands.gate_checks import check_gates
from selfreward.commands.magnitudes import refuse_absurd, refuse_equal_answers
from selfreward.commands.preflight_models import Say, check_models, model_directory, start_policy
from selfreward.commands.prompt_checks import check_pools, check_questions, check_side, check_truth
from selfreward.engines.fleet.runtime import require_ray
from selfreward.engines.hugging_face.weights import visible_gpus
from selfreward.engines.served.engine import key_of
from selfreward.engines.vllm.settings import require_vllm
from selfreward.judging.prompts import debate as judge_debate
from selfreward.judging.prompts import listwise as judge_listwise
from selfreward.judging.prompts import pairwise as judge_pairwise
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.judging.revising.words import require_words
from selfreward.measuring.canary.evidence import check_canary
from selfreward.measuring.probes.judge_replies import check_probes
from selfreward.pairing.answers import rule_of
from selfreward.recipe import (
    OwnRule,
    OwnTraining,
    Recipe,
    Revising,
    asked_per_round,
    constitution_of,
    held_out_judge,
    replicas_of,
)
from selfreward.recipe.doors import load, require_call
from selfreward.recipe.references import role_references
from selfreward.roles import version
from selfreward.roles.player import Policy
from selfreward.tasks.anchors_file import unlabelled
from selfreward.tasks.open_source import open_source
from selfreward.tasks.sandbox.seeds.names import parse_seed_name
from selfreward.tasks.source import Source
from selfreward.tasks.verifiers.protocol import Verifier, load_verifier

PATIENCE = 20.0
"""Seconds after which a check says what it is doing."""


def preflight(
    recipe: Recipe, say: Say | None = None, disk: Path | None = None
) -> tuple[Policy, Source, Verifier | None]:
    """The start policy, the prompts and the verifier. Raises RecipeError or DataError that says what to change.

    A sandbox model that is not there yet is trained when everything else was found right; `say` is told. `disk`: where
    results will lie, for a trial run of the start policy's directory; None where that is no longer needed.
    """
    seeds = [name for name in (recipe.model.path, *role_references(recipe)) if name.kind == "sandbox"]
    for name in seeds:
        parse_seed_name(name)
    for kind, template in {
        "generator": recipe.generate.template,
        "meta_judge": recipe.meta.template,
        "prompt_writer": recipe.prompts.writer.template,
    }.items():
        version(kind, template)
    check_judge(recipe)
    if isinstance(recipe.pairs, Revising):
        require_words(recipe.pairs.revise)
    check_probes(recipe)
    if recipe.gates.canary != "off":
        check_canary(recipe)
    for known, server in recipe.served.items():
        key_of(known, server)
    if recipe.engine.kind == "vllm":
        require_vllm()
    if replicas_of(recipe.engine) > 1:
        require_ray()
    if recipe.engine.kind != "scripted":
        check_devices(recipe, gpus := visible_gpus(recipe.model.device))
        check_accelerate(recipe, gpus)
    refuse_absurd(recipe)
    refuse_equal_answers(recipe)
    check_gates(recipe)
    check_doors(recipe)
    source = open_source(recipe)
    training = source.training(1, recipe.rounds * asked_per_round(recipe))
    with said_when_slow(say, f"preflight compares {len(training)} training prompts with the pools for overlap"):
        check_pools(recipe, source, training)
        check_side(recipe, source, training)
    check_questions(recipe, source, training)
    check_classifiers(recipe)
    if recipe.measure.anchors and say is not None:
        missing, rows = unlabelled(recipe.measure.anchors)
        if missing:
            say(f"{recipe.measure.anchors}: {missing} of {rows} rows have no label and are left out of the frozen pool")
    named = recipe.measure.verifier
    verifier = None if named == "none" else load_verifier(named, recipe.measure.code)
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
            if judge.debating is not None:
                judge_debate.version(judge.debating)
