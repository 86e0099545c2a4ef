"""What a recipe must not say about its reward model: nobody asks it, it is asked and not there, labels say nothing."""

import dataclasses
from collections.abc import Iterator

from selfreward.recipe.check_judge import judge_that_cannot_work, scale_that_cannot_work, served_that_cannot_work
from selfreward.recipe.engine import ScriptedRecipe
from selfreward.recipe.judge import JudgeRecipe
from selfreward.recipe.questions import ScoreQuestion
from selfreward.recipe.recipe import Recipe, held_out_judge
from selfreward.recipe.reference import REWARD_MODEL
from selfreward.recipe.reward_model import RewardModelRecipe
from selfreward.recipe.train import Steps

Found = Iterator[tuple[bool, str]]


def reward_model_that_cannot_work(recipe: Recipe) -> Found:
    """Contradictions of a reward model with who asks it and whom it learns from."""
    held_out, model = recipe.measure.held_out, recipe.reward_model
    asked = {"judge": recipe.judge}
    if held_out is not None:
        asked["measure.held_out"] = held_out_judge(recipe, held_out)
    for section, judge in asked.items():
        yield from _asked(section, judge, model)
    used = any(judge.model == REWARD_MODEL for judge in asked.values())
    yield (
        model is not None and not used,
        "reward_model is trained and nobody asks it; set judge.model=reward_model with judge.reading=scalar, or remove "
        "the section",
    )
    scalar = recipe.judge.reading.kind == "scalar"
    yield (
        scalar and recipe.meta.enabled,
        "meta.enabled compares judgments, but judge.reading=scalar writes none; set it to false",
    )
    yield (
        scalar and bool(recipe.measure.cohorts) and recipe.measure.cohort_judge != REWARD_MODEL,
        f"measure.cohort_judge={recipe.measure.cohort_judge} is asked as judge.reading=scalar asks, which only a "
        f"reward model answers; set measure.cohort_judge={REWARD_MODEL}",
    )
    yield (
        not scalar and recipe.measure.cohort_judge == REWARD_MODEL,
        f"measure.cohort_judge={REWARD_MODEL} needs judge.reading=scalar",
    )
    if model is not None:
        yield (
            model.refresh == "every" and held_out is not None and held_out.model == REWARD_MODEL,
            "measure.held_out.model=reward_model is another judge every round with reward_model.refresh=every; set it "
            "to first",
        )
        yield (
            isinstance(recipe.engine, ScriptedRecipe),
            "engine.kind=scripted has no weights that a reward model could be trained from; remove reward_model",
        )
        yield (
            model.micro_batch_size is not None and model.batch_size % model.micro_batch_size > 0,
            f"key 'reward_model.micro_batch_size' is {model.micro_batch_size}; expected a divisor of "
            f"reward_model.batch_size ({model.batch_size})",
        )
        yield (
            model.lora is not None and isinstance(recipe.train, Steps) and recipe.train.processes > 1,
            "reward_model.lora trains in one process, and train.processes asks for several; set it to 1",
        )
        yield (
            model.lora is not None and not model.lora.target_modules,
            "key 'reward_model.lora.target_modules' is empty, so only the head would be trained; name modules, or take "
            "all-linear",
        )
        yield from _labels(recipe, model)


def _asked(section: str, judge: JudgeRecipe, model: RewardModelRecipe | None) -> Found:
    scalar, named = judge.reading.kind == "scalar", judge.model == REWARD_MODEL
    yield (
        scalar and not named,
        f"{section}.reading=scalar is a reward model's, but {section}.model is {judge.model!r}; set "
        f"{section}.model={REWARD_MODEL}",
    )
    yield (
        named and not scalar,
        f"{section}.model={REWARD_MODEL} gives a number and no words; set {section}.reading=scalar",
    )
    yield (
        named and model is None,
        f"{section}.model={REWARD_MODEL}, but there is none; write a section reward_model",
    )
    yield (
        scalar and not isinstance(judge.question, ScoreQuestion),
        f"{section}.question={judge.question.kind} is asked in words, which {section}.reading=scalar does not read; "
        "set question=score",
    )
    yield (
        scalar and bool(judge.members),
        f"{section}.aggregate=ensemble asks several judges in words; {section}.reading=scalar asks one",
    )
    yield (
        scalar and judge.source not in ("model", "none"),
        f"{section}.source={judge.source} with {section}.reading=scalar; a reward model needs source=model",
    )


def _labels(recipe: Recipe, model: RewardModelRecipe) -> Found:
    """The labelling judge is a judge like any other, and one that prefers."""
    labels, key = model.labels, "reward_model.labels"
    yield (
        labels.model == REWARD_MODEL or labels.reading.kind == "scalar",
        f"{key} is the reward model itself; name who it learns from",
    )
    yield (
        labels.source not in ("model", "oracle"),
        f"{key}.source is {labels.source}; expected model, or oracle with reward_model.flip for noise",
    )
    yield (
        labels.source == "oracle" and recipe.measure.verifier == "none",
        f"{key}.source=oracle needs a verifier; set measure.verifier or {key}.source=model",
    )
    yield labels.control != "none", f"{key}.control is not read; labels without information are reward_model.flip=0.5"
    yield bool(labels.members), f"{key}.aggregate=ensemble mixes judges' scales; name one judge"
    alone = dataclasses.replace(recipe, judge=labels, reward_model=None)
    for found in (judge_that_cannot_work(alone), scale_that_cannot_work(alone), served_that_cannot_work(alone)):
        for wrong, message in found:
            yield wrong, f"{key}, as a judge: {message}"
