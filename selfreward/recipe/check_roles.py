"""What a recipe must not say about who plays a role: a round or a directory that is not there, a model that cannot."""

from collections.abc import Iterator
from pathlib import Path

from selfreward.errors import RecipeError
from selfreward.recipe.judge import JudgeRecipe
from selfreward.recipe.pairs import Revising
from selfreward.recipe.recipe import Recipe
from selfreward.recipe.reference import REWARD_MODEL, ModelReference
from selfreward.recipe.weights import NrdpoWeights


def check_roles(recipe: Recipe, where: str) -> None:
    """Every reference to a model is one of the role's names, `round:K` with K below `rounds`, or a model on disk."""
    held_out, implicit, measure = recipe.measure.held_out, recipe.pairs.implicit, recipe.measure
    for number, one in enumerate(recipe.generate.mix):
        key = f"generate.mix[{number}].model"
        if one.model.of_run and one.model.kind != "previous":
            _check_role(where, key, one.model, {"policy", "initial", "earlier"}, recipe.rounds)
        else:
            raise RecipeError(
                f"{where}: key {key!r} is {one.model!r}; expected policy, initial, round:K or earlier: what is trained "
                "on has the policy's tokens, so another model's answers come as pairs (pairs.mix.external)"
            )
    # The same judge in every round: of the policies only the first one is there from the beginning.
    fixed = [("measure.held_out.model", held_out.model)] if held_out else []
    fixed += [("measure.cohort_judge", measure.cohort_judge)] if measure.cohorts else []
    taught = {("judge.model", REWARD_MODEL), ("measure.held_out.model", REWARD_MODEL)}
    taught.add(("measure.cohort_judge", REWARD_MODEL))
    for rounds, roles in ((recipe.rounds, [*_asked(recipe)]), (1, fixed)):
        for key, reference in roles:
            if reference.server is None and (key, reference) not in taught:
                _check_role(where, key, reference, {"policy", "initial"}, rounds)
    _check_role(where, "train.reference", recipe.train.reference, {"previous", "initial"}, recipe.rounds)
    if implicit is not None:
        _check_role(where, "pairs.score.reference", implicit.reference, {"initial"}, recipe.rounds)
    if isinstance(recipe.pairs.weights, NrdpoWeights):
        _check_role(where, "pairs.weights.reference", recipe.pairs.weights.reference, {"initial"}, recipe.rounds)


def _asked(recipe: Recipe) -> Iterator[tuple[str, ModelReference]]:
    """Key and model of every role that is asked anew in each round."""
    yield from _judges("judge", recipe.judge)
    yield "meta.model", recipe.meta.model
    if recipe.reward_model is not None:
        yield from _judges("reward_model.labels", recipe.reward_model.labels)
    yield "prompts.writer.model", recipe.prompts.writer.model
    if isinstance(recipe.pairs, Revising):
        revise = recipe.pairs.revise
        yield "pairs.revise.model", revise.model
        if revise.check is not None:
            yield "pairs.revise.check.model", revise.check.model


def _judges(key: str, judge: JudgeRecipe) -> Iterator[tuple[str, ModelReference]]:
    yield f"{key}.model", judge.model
    yield from ((f"{key}.aggregate.members", judge.member(name).model) for name in judge.members if "@" in name)
    if judge.debating is not None and judge.debating.debater is not None:
        yield f"{key}.question.debater", judge.debating.debater


def _check_role(where: str, key: str, reference: ModelReference, names: set[str], rounds: int) -> None:
    if reference in names:
        return
    if reference.kind == "round":
        if reference.number is not None and reference.number < rounds:
            return
        raise RecipeError(f"{where}: key {key!r} is {reference!r}; expected round:K with 0 <= K < rounds ({rounds})")
    if reference.kind != "sandbox" and not _is_directory(reference):
        expected = ", ".join(sorted(names))
        raise RecipeError(
            f"{where}: key {key!r} is {reference!r}; expected {expected}, round:K, sandbox:seed-K or an existing "
            "directory"
        )


def _is_directory(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):  # a name that no file system takes
        return False
