"""Which judges: fragments of a recipe's `judge` section, `key=value,...`, or a YAML file with several of them by name.

A fragment is read by the recipe itself. A key that the judge has in one place only may stand by its last name:
`template` is `question.template`, `samples` is `aggregate.samples`; `judge.`, as in a recipe, may lead.
`name=` is what the tables call the judge.

    model=policy,question=score,template=additive,reading=probability
    name=both orders,question=comparison,reading=probability
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from selfreward.commands.preflight import check_judge
from selfreward.commands.probe.models import Subject
from selfreward.errors import RecipeError
from selfreward.recipe import JudgeRecipe, ModelReference, Recipe, as_dict
from selfreward.recipe.read import build_recipe
from selfreward.recipe.shape import paths
from selfreward.recipe.text import read_yaml

FILES = (".yaml", ".yml")
_NEXT = re.compile(r",(?=\s*[A-Za-z_.]+=)")
"""A comma before another key; those inside a value stay."""


class NamedJudge(NamedTuple):
    name: str
    recipe: Recipe
    """The base with this judge; the policy's model is the base's."""
    wording_of: str = ""
    """The judge that this is in other words (wordings.py)."""


def read_judges(specs: Sequence[str], base: Recipe) -> list[NamedJudge]:
    """Every judge that the specs name, in their order. Raises RecipeError for an unknown key or two of one name."""
    found: list[NamedJudge] = []
    for spec in specs:
        found += _file(Path(spec), base) if Path(spec).suffix in FILES else [_fragment(spec, base)]
    names = [judge.name for judge in found]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"--judge: two judges are called {name!r}; give each its own name=...")
    if not found:
        raise RecipeError("--judge: no judge is named; expected one, such as question=score,reading=probability")
    return found


def require_model(judge: NamedJudge) -> None:
    """Raise RecipeError for a judge that asks no model, or whose words do not exist."""
    if judge.recipe.judge.source != "model":
        raise RecipeError(f"--judge {judge.name!r}: source={judge.recipe.judge.source} asks no judge; leave it out")
    check_judge(judge.recipe)


def models_that_know_the_sandbox_only(judges: Sequence[NamedJudge], model: Subject) -> list[str]:
    """The names of all judging models, `model` in the policy's place, that can be asked about the sandbox alone."""
    asked = {
        ModelReference(model.name) if name.kind in ("policy", "initial") else name
        for one in judges
        for name in (*one.recipe.judge.models, one.recipe.judge.debater)
    }
    return sorted(name for name in asked if name.kind == "sandbox" or (name == model.name and model.sandbox))


def _file(path: Path, base: Recipe) -> list[NamedJudge]:
    sections = read_yaml(path, "judges")
    if not isinstance(sections, dict) or not all(isinstance(one, dict) for one in sections.values()):
        raise RecipeError(f"judges {path}: expected a name for each judge and below it keys of a recipe's judge")
    where = f"judges {path}"
    return [
        NamedJudge(str(name), build_recipe([as_dict(base), {"judge": one}], where=f"{where}, {name!r}"))
        for name, one in sections.items()
    ]


def _fragment(spec: str, base: Recipe) -> NamedJudge:
    given = [part.strip() for part in _NEXT.split(spec) if part.strip()]
    names = [part.removeprefix("name=") for part in given if part.startswith("name=")]
    changes = [f"judge.{_full(part)}" for part in given if not part.startswith("name=")]
    recipe = build_recipe([as_dict(base)], changes, where=f"--judge {spec!r}")
    return NamedJudge(names[-1] if names else spec, recipe)


def _full(change: str) -> str:
    """The change with its key in full, where its last name stands for one key of the judge alone."""
    key, equals, value = change.partition("=")
    key = key.removeprefix("judge.")
    known = paths(JudgeRecipe)
    places = [path for path in known if path.rpartition(".")[2] == key]
    return f"{key if key in known or len(places) != 1 else places[0]}{equals}{value}"
