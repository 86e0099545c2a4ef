"""Keys of one section that another section leaves unread: accepted and ignored, they would claim a choice never made.

A variant has no key that it would not read; these are the cases between sections. They are refused where an override
changes the value that the recipe file gives. In the file itself such a key may stand idle: an arm that takes
judge.source=none over a base with its own judge.aggregate.samples, or meta.enabled=false over a recipe of
meta-rewarding, says all that it means. What a grid sets for all its arms is an override: where one of them does not
read it, it belongs in the base.

Left out: under judge.source=oracle and none what the judge that is measured reads, and `measure.judge_samples`, which a
grid sets for all its arms, also for those whose judge asks each question once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from selfreward.errors import RecipeError
from selfreward.recipe.recipe import Recipe
from selfreward.recipe.section import as_dict
from selfreward.recipe.text import SHORT
from selfreward.recipe.train import PolicyGradient


@dataclass(frozen=True, slots=True)
class Idle:
    """A key, or a section but for its key `switch`, that this recipe does not read while `holds`."""

    holds: bool
    key: str
    why: str
    instead: str
    switch: str = ""


def check_read(recipe: Recipe, file: Mapping[str, Any], given: Mapping[str, Any], where: str) -> None:
    """Raise RecipeError for an override in `given` that nothing would read; `file` is what it was laid over."""
    final, default = as_dict(recipe), as_dict(Recipe())
    for row in idle(recipe):
        if not row.holds:
            continue
        for key in _leaves(_at(given, row.key), row.key):
            value = _at(final, key)
            before = _at(file, key) if _at(file, key) is not None else _at(default, key)
            if key.removeprefix(f"{row.key}.") != row.switch and str(value) != str(before):
                raise RecipeError(
                    f"{where}: key {key!r} is {value!r}, but {row.why}: nothing would read it; remove it or "
                    f"{row.instead}"
                )


def idle(recipe: Recipe) -> list[Idle]:
    """What this recipe does not read, and how it would."""
    judge = recipe.judge
    unasked = judge.source in judge.NO_MODEL
    nobody = f"judge.source={judge.source} asks no model about the answers of training"
    model = "set judge.source=model (measure.judge_samples is for the judge that is measured)"
    once = f"judge.question={judge.question.kind} with judge.reading={judge.reading.kind} asks each question once"
    samples = "set judge.question=score and a judge.reading that samples"
    no_harm = "no rule of gates.rules has proof: harm"
    harmless = not any(rule.proof == "harm" for rule in recipe.gates.rules)
    weighed = isinstance(recipe.train, PolicyGradient)
    verifiers = [recipe.measure.verifier, *(cohort.verifier for cohort in recipe.measure.cohorts.values())]
    rewards = f"train.method={recipe.train.method} learns from rewards"
    return [
        Idle(weighed, "pairs", rewards, "set train.method=dpo"),
        Idle(unasked and judge.draws, "judge.aggregate", nobody, model),
        Idle(unasked and judge.draws, "judge.reading.ask_again", nobody, model),
        Idle(not judge.draws and not judge.members, "judge.aggregate", once, samples),
        Idle(bool(judge.members) and not judge.draws, "judge.aggregate.samples", once, samples),
        Idle(
            judge.reading.kind == "scalar",
            "judge.question",
            "judge.reading=scalar asks nothing in words",
            "set another judge.reading",
        ),
        Idle(
            recipe.reward_model is not None and recipe.reward_model.confidence == 0,
            "reward_model.confidence_ramp",
            "reward_model.confidence is 0",
            "raise reward_model.confidence",
        ),
        Idle(
            recipe.reward_model is not None and recipe.reward_model.order == "shuffled",
            "reward_model.stages",
            "reward_model.order is shuffled",
            "set reward_model.order=easy_first",
        ),
        Idle(not recipe.meta.enabled, "meta", "meta.enabled is false", "set meta.enabled=true", "enabled"),
        Idle(
            recipe.prompts.writer.share == 0,
            "prompts.writer",
            "prompts.writer.share is 0",
            "raise prompts.writer.share",
            "share",
        ),
        *(
            Idle(not recipe.measure.judge, f"measure.{key}", "measure.judge is false", "remove measure.judge=false")
            for key in ("frozen", "judge_probes.padded", "judge_probes.claims", "judge_probes.feedback")
        ),
        Idle(
            not any(verifier in ("code", None) for verifier in verifiers),
            "measure.code",
            "no program is run",
            "set measure.verifier=code, or a cohort's verifier",
        ),
        Idle(harmless, "gates.error", no_harm, "add such a rule"),
        Idle(harmless, "gates.planned_rounds", no_harm, "add such a rule"),
    ]


def _at(values: Any, key: str) -> Any:
    for name in key.split("."):
        values = values.get(name) if isinstance(values, Mapping) else None
    return values


def _leaves(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _leaves(one, key if name == SHORT else f"{key}.{name}")
    elif value is not None:
        yield key
