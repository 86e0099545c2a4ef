"""Keys that nothing would read: accepted and ignored, they would claim a choice that was never made.

Two rules, because a recipe is a base with changes on top, and `train.method=none` on any base is a control:

    anywhere   refused wherever the value is not the default
    changed    refused where an override changes the value that the recipe file gives. In the file itself such a key may
               stand idle: an arm that takes train.method=none over a base with its own train.beta, or
               meta.enabled=false over a recipe of meta-rewarding, says all that it means. What a grid sets for all
               its arms is an override: where one of them does not read it, it belongs in the base

`idle` is the table. A key or a section with all its keys; what is said of the recipe is true or the row does not hold.
Left out: `train.max_length` (pairs that are longer are dropped, trained on or not) and, under judge.source=oracle and
none, what the judge that is measured reads; and `measure.judge_samples`, which a grid sets for all its arms, also for
those whose judge asks each question once.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from selfreward.errors import RecipeError
from selfreward.recipe import MetaRecipe, Recipe, WriterRecipe, walk

OF_STEPS = (
    "learning_rate",
    "batch_size",
    "micro_batch_size",
    "epochs",
    "warmup_steps",
    "weight_decay",
    "max_grad_norm",
    "save_steps",
    "lora",
    "accumulate",
    "launch",
)
"""Keys of `train` that say how steps are taken, whatever the loss."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Keys that this recipe does not read while `holds`; `anywhere` is the stricter rule."""

    holds: bool
    keys: tuple[str, ...]
    why: str
    instead: str
    anywhere: bool = False


def check_read(recipe: Recipe, file: Recipe, where: str) -> None:
    """Raise RecipeError for a key that nothing would read; `file` is the recipe before its overrides."""
    values, before, defaults = (dict(_leaves(one)) for one in (recipe, file, Recipe()))
    for row in idle(recipe):
        against = defaults if row.anywhere else before
        for key in _under(row.keys, {**against, **values}) if row.holds else ():
            if values.get(key) != against.get(key):
                raise RecipeError(
                    f"{where}: key {key!r} is {values.get(key)!r}, but {row.why}: nothing would read it; remove it or "
                    f"{row.instead}"
                )


def idle(recipe: Recipe) -> list[Idle]:
    """What this recipe does not read, and how it would."""
    return [*_by_training(recipe), *_by_judging(recipe), *_by_the_rest(recipe)]


def _by_training(recipe: Recipe) -> list[Idle]:
    method = recipe.train.method
    named = f"train.method={method}"
    filtered = recipe.pairs.filters.min_logprob_margin is not None
    return [
        Idle(method == "none", _keys("train", OF_STEPS), f"{named} takes no step", "choose another train.method"),
        Idle(method != "dpo", ("train.beta", "train.nll"), f"{named} has no preference loss", "set train.method=dpo"),
        Idle(
            method != "dpo" and not filtered,
            ("train.reference",),
            f"{named} has no preference loss",
            "set train.method=dpo",
        ),
        Idle(
            method != "sft", ("train.sft_examples",), f"{named} draws no demonstrations", "set train.method=sft", True
        ),
    ]


def _by_judging(recipe: Recipe) -> list[Idle]:
    judge = recipe.judge
    draws = judge.protocol in ("pointwise", "hybrid")
    decodes = draws or (judge.protocol == "pairwise" and judge.pairwise.reading != "probability")
    return [
        Idle(
            judge.source in ("oracle", "none") and draws,
            ("judge.samples", "judge.ask_again", "judge.aggregate", "judge.max_disagreement"),
            f"judge.source={judge.source} asks no model about the answers of training",
            "set judge.source=model (measure.judge_samples is for the judge that is measured)",
        ),
        Idle(
            not decodes,
            ("judge.sampling",),
            f"judge.protocol={judge.protocol} reads probabilities and decodes nothing",
            "choose a protocol or judge.pairwise.reading that writes a reply",
        ),
        Idle(
            not draws,
            ("judge.aggregate",),
            f"judge.protocol={judge.protocol} asks each question once",
            "set judge.protocol=pointwise or hybrid",
        ),
        Idle(
            judge.protocol == "pairwise",
            ("judge.template",),
            "judge.protocol=pairwise asks by judge.pairwise.template",
            "set that key",
        ),
    ]


def _by_the_rest(recipe: Recipe) -> list[Idle]:
    engine, writer, gates = recipe.engine, recipe.prompts.writer, recipe.gates
    return [
        Idle(
            not recipe.meta.enabled,
            _fields_of(MetaRecipe, "meta", "enabled"),
            "meta.enabled is false",
            "set meta.enabled=true",
        ),
        Idle(
            writer.share == 0,
            _fields_of(WriterRecipe, "prompts.writer", "share"),
            "prompts.writer.share is 0",
            "raise prompts.writer.share",
        ),
        Idle(engine.kind != "vllm", ("engine.vllm",), f"engine.kind is {engine.kind}", "set engine.kind=vllm", True),
        Idle(
            engine.kind != "scripted",
            ("engine.script",),
            f"engine.kind is {engine.kind}",
            "set engine.kind=scripted",
            True,
        ),
        Idle(
            not any(rule.proof == "harm" for rule in gates.rules),
            ("gates.error", "gates.planned_rounds"),
            "no rule of gates.rules has proof: harm",
            "add such a rule",
            True,
        ),
    ]


def _keys(section: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{section}.{name}" for name in names)


def _fields_of(kind: type[Any], section: str, switch: str) -> tuple[str, ...]:
    """All keys of a section but the one that switches it on."""
    return _keys(section, tuple(item.name for item in dataclasses.fields(kind) if item.name != switch))


def _leaves(recipe: Recipe) -> list[tuple[str, Any]]:
    return [(key, value) for key, value, _ in walk(recipe)]


def _under(keys: tuple[str, ...], known: dict[str, Any]) -> list[str]:
    """The leaves of these keys and sections."""
    return [leaf for leaf in known if any(leaf == key or leaf.startswith(f"{key}.") for key in keys)]
