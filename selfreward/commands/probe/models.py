"""Which model is probed, and with which settings: `sandbox:seed-K`, a directory, or RUN@ROUND.

A round of a run brings the run's own recipe, so it is asked as it was in the run. A sandbox model is known by its
words, wherever it lies, and gets the recipe's defaults. Any other model gets the settings of `ELSEWHERE`. `key=value`
changes all of them.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfreward.commands.export import resolve_round
from selfreward.commands.preflight import check_judge
from selfreward.commands.preflight_models import start_policy
from selfreward.engines.checkpoints import chat_digest
from selfreward.errors import DataError, StoreError
from selfreward.recipe import ModelReference, Recipe, as_dict
from selfreward.recipe.read import build_recipe
from selfreward.roles.player import Policy
from selfreward.store.view import RunView
from selfreward.tasks.sandbox.seeds.names import is_seed_name
from selfreward.tasks.sandbox.words import VOCABULARY

ELSEWHERE: dict[str, Any] = {
    "generate": {"template": "helpful"},
    "judge": {"question": {"template": "additive"}, "reading": {"sampling": {"max_tokens": 512}}},
    "measure": {"verifier": "none", "sampling": {"max_tokens": 512}},
}


@dataclass(frozen=True)
class Subject:
    """A model to be probed. `view` is its run, where it is of one; `sandbox`: it knows the sandbox's words only."""

    name: str
    recipe: Recipe
    policy: Policy
    sandbox: bool
    view: RunView | None = None


def subject(
    name: str, changes: Sequence[str], existing: Callable[[str], RunView], say: Callable[[str], None] | None = None
) -> Subject:
    """The model that `name` names. Raises RecipeError, DataError or StoreError that says what was expected."""
    run, _, number = name.rpartition("@")
    if run and not Path(name).is_dir():
        return _of_run(name, existing(run), number, changes)
    if not is_seed_name(name) and not Path(name).is_dir():
        raise DataError(f"model {name!r}: expected sandbox:seed-K, an existing directory, or RUN@ROUND")
    sandbox = is_seed_name(name) or speaks_sandbox(Path(name))
    layers = [] if sandbox else [ELSEWHERE]
    recipe = build_recipe([*layers, {"model": {"path": name}}], changes, where="probe")
    check_judge(recipe)
    return Subject(name, recipe, start_policy(recipe, say), sandbox)


def like(first: Subject, other: Subject) -> Subject:
    """The other model with the first one's settings, so that both are asked alike. Raises DataError where not."""
    if first.sandbox != other.sandbox:
        tiny, large = (first, other) if first.sandbox else (other, first)
        raise DataError(
            f"{tiny.name!r} knows the sandbox's words only and {large.name!r} does not: no question can be put to "
            "both; compare two sandbox models, or two others"
        )
    return dataclasses.replace(other, recipe=dataclasses.replace(first.recipe, model=other.recipe.model))


def _of_run(name: str, view: RunView, wanted: str, changes: Sequence[str]) -> Subject:
    number = resolve_round(view, wanted)
    directory = view.read_directory(number)
    seal = view.seal(number, "checkpoint")
    if seal is None or seal.pruned:
        raise StoreError(f"{name}: the weights of this round were not kept (keep.checkpoints); name another round")
    recipe = build_recipe([as_dict(view.recipe())], changes, where="probe")
    check_judge(recipe)
    policy = Policy(number, str(seal.facts["digest"]), directory, chat_digest(directory))
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, path=ModelReference(str(directory))))
    return Subject(name, recipe, policy, recipe.engine.kind != "scripted" and speaks_sandbox(directory), view)


def speaks_sandbox(directory: Path) -> bool:
    """Whether the tokenizer's words are the sandbox's."""
    path = directory / "tokenizer.json"
    try:
        vocabulary = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
    except (FileNotFoundError, KeyError, ValueError):
        return False
    return isinstance(vocabulary, dict) and vocabulary.keys() == set(VOCABULARY)
