"""What a recipe must not say: sections that contradict each other. What a variant has no key for cannot be written."""

from collections.abc import Iterator

from selfreward.errors import RecipeError
from selfreward.recipe.check_judge import judge_that_cannot_work, scale_that_cannot_work, served_that_cannot_work
from selfreward.recipe.check_measure import held_out_that_cannot_work, measured_that_cannot_work
from selfreward.recipe.check_pairs import pairs_that_cannot_work
from selfreward.recipe.check_ranks import ranks_that_cannot_work
from selfreward.recipe.check_revising import revising_that_cannot_work
from selfreward.recipe.check_reward_model import reward_model_that_cannot_work
from selfreward.recipe.check_rewards import rewards_that_cannot_work
from selfreward.recipe.check_roles import check_roles
from selfreward.recipe.check_steps import steps_that_cannot_work
from selfreward.recipe.check_weights import agreement_that_cannot_work, weights_that_cannot_work
from selfreward.recipe.engine import ScriptedRecipe
from selfreward.recipe.gates import GateRule
from selfreward.recipe.prompts import SandboxSource
from selfreward.recipe.recipe import Recipe
from selfreward.recipe.train import DpoRecipe, NoTraining, SftRecipe, Steps

Found = Iterator[tuple[bool, str]]
"""(is wrong, what to say)."""


def check(recipe: Recipe, where: str = "recipe") -> None:
    """Raise RecipeError for two keys that contradict each other."""
    for found in (
        _training(recipe),
        ranks_that_cannot_work(recipe),
        _sections(recipe),
        _chat(recipe),
        (row for number, rule in enumerate(recipe.gates.rules) for row in _rule(number, rule)),
        served_that_cannot_work(recipe),
        held_out_that_cannot_work(recipe),
        measured_that_cannot_work(recipe),
        judge_that_cannot_work(recipe),
        scale_that_cannot_work(recipe),
        reward_model_that_cannot_work(recipe),
        pairs_that_cannot_work(recipe),
        rewards_that_cannot_work(recipe),
        revising_that_cannot_work(recipe),
        weights_that_cannot_work(recipe),
        steps_that_cannot_work(recipe),
        agreement_that_cannot_work(recipe),
    ):
        for wrong, message in found:
            if wrong:
                raise RecipeError(f"{where}: {message}")
    check_roles(recipe, where)


def _sections(recipe: Recipe) -> Found:
    source, train = recipe.judge.source, recipe.train
    yield (
        isinstance(recipe.engine, ScriptedRecipe) and not isinstance(train, NoTraining),
        "engine.kind=scripted writes no tokens that a model could be trained on; set train.method=none",
    )
    yield (
        (source == "oracle" or recipe.judge.verifier_first) and recipe.measure.verifier == "none",
        f"judge.source={source} needs a verifier; set measure.verifier or judge.source=model",
    )
    yield (
        source in ("oracle", "none") and recipe.meta.enabled,
        f"meta.enabled needs judgments written by a model, but judge.source is {source}",
    )
    yield (
        isinstance(train, SftRecipe) and not train.examples and not isinstance(recipe.prompts.source, SandboxSource),
        "train.method=sft draws seed demonstrations, which only prompts.source=sandbox has; name a file of them as "
        "train.examples",
    )
    writer = recipe.prompts.writer
    yield (
        writer.min_words > writer.max_words,
        f"prompts.writer.min_words ({writer.min_words}) is above max_words ({writer.max_words}): none would be kept",
    )
    yield (
        recipe.measure.anchors is not None and not recipe.measure.frozen,
        "measure.frozen is 0, which switches off the frozen pool, which measure.anchors names; remove one of both",
    )


OWN_ARGUMENTS = {"messages", "conversation", "chat_template", "tokenize", "add_generation_prompt", "strftime_now"}
OWN_ARGUMENTS |= {"continue_final_message", "return_dict", "return_tensors", "tools", "documents", "tokenizer_kwargs"}
OWN_ARGUMENTS |= {"padding", "truncation", "max_length", "return_assistant_tokens_mask", "self"}


def _chat(recipe: Recipe) -> Found:
    model = recipe.model
    for name in model.template_arguments:
        yield (
            name in OWN_ARGUMENTS or not name.isidentifier(),
            f"key 'model.template_arguments.{name}' is no argument for a template of yours to set; remove it",
        )
    for opening, closing in model.thinking:
        yield (
            opening.strip() != opening or closing.strip() != closing or opening == closing,
            f"key 'model.thinking' has the pair {[opening, closing]}; expected two different markers without spaces "
            "around them, for example [[<thought>, </thought>]]",
        )
    openings = [opening for opening, _ in model.thinking]
    yield len(set(openings)) < len(openings), "key 'model.thinking' has one opening marker twice"
    yield (
        recipe.engine.kind == "scripted" and bool(model.template_arguments or model.thinking or model.fold_system),
        "engine.kind=scripted has no chat template that would read model.template_arguments, thinking or fold_system",
    )


def _training(recipe: Recipe) -> Found:
    train = recipe.train
    if isinstance(train, Steps):
        yield (
            train.micro_batch_size is not None and train.batch_size % train.micro_batch_size > 0,
            f"key 'train.micro_batch_size' is {train.micro_batch_size}; expected a divisor of train.batch_size "
            f"({train.batch_size})",
        )
        yield (
            train.lora is not None and not train.lora.target_modules,
            "key 'train.lora.target_modules' is empty, so nothing would be trained; name modules, or take all-linear",
        )
    if not isinstance(train, DpoRecipe):
        return
    reads, named = train.loss.READS, f"train.loss={train.loss.kind}"
    yield (
        "reference" not in reads and train.reference != "previous",
        f"key 'train.reference' is {train.reference!r}, which {named} does not read; remove it or choose another loss",
    )
    yield "nll" in reads and not train.nll, f"train.nll is 0, but {named} has it as a part: the paper's is 1"
    if "win_rates" in reads:
        rule = recipe.pairs.rule
        yield rule != "sppo", f"{named} reads win rates, which only pairs.rule=sppo gives, not {rule!r}"
        for key, given in (
            ("meta.enabled", recipe.meta.enabled),
            ("pairs.mix.external", recipe.pairs.mix.external is not None),
        ):
            yield (
                given,
                f"{named} reads win rates, which the pairs of {key} do not have",
            )
        yield (
            recipe.pairs.flip > 0,
            f"pairs.flip changes nothing under {named}, which reads win rates; use train.loss=sppo_hard",
        )


def _rule(number: int, rule: GateRule) -> Found:
    key = f"key 'gates.rules[{number}]' ({rule.metric})"
    limits = [limit for limit in (rule.above, rule.below) if limit is not None]
    yield len(limits) != 1, f"{key} has {len(limits)} limits; expected above or below, one of them"
    yield (
        rule.against == "initial_ratio" and any(limit <= 0 for limit in limits),
        f"{key} has the ratio {limits[:1]}; expected one above 0, for example above: 1.25",
    )
    yield (
        rule.proof == "health" and rule.against != "level",
        f"{key}: proof=health is about a level; set against=level or proof=harm",
    )
    early = rule.when == "before_training"
    yield (
        early and rule.action == "rollback",
        f"{key}: before_training nothing is there that could be rolled back; set action=stop or warn",
    )
    yield (
        early and rule.pool == "train",
        f"{key}: before_training there are no rows of the round; set pool=gate or frozen",
    )
