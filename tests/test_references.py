"""A reference to a model is parsed once, and stays the text that stood in the recipe."""

import ast
import copy
import json
from pathlib import Path

import pytest
import yaml

from selfreward.errors import RecipeError
from selfreward.recipe import ModelReference, as_dict
from selfreward.recipe.read import build_recipe
from selfreward.recipe.reference import PREFIXES
from selfreward.recipe.references import role_references

ROOT = Path(__file__).parent.parent / "selfreward"
SERVED = {"served": {"big": {"url": "http://host/v1", "model": "m"}}, "meta": {"enabled": False}}


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("policy", "policy", ""),
        ("previous", "previous", ""),
        ("initial", "initial", ""),
        ("earlier", "earlier", ""),
        ("reward_model", "reward_model", ""),
        ("round:12", "round", "12"),
        ("round:x", "round", "x"),
        ("sandbox:seed-0+length_bias=0.8", "sandbox", "seed-0+length_bias=0.8"),
        ("served:big:er", "served", "big:er"),
        ("models/policy", "directory", "models/policy"),
        ("Policy", "directory", "Policy"),
        ("org/name@main", "directory", "org/name@main"),
        ("reward_model/", "directory", "reward_model/"),
    ],
)
def test_every_kind_is_told_apart_and_stays_its_text(text: str, kind: str, name: str) -> None:
    found = ModelReference(text)
    assert (found.kind, found.name) == (kind, name)
    assert found == text and hash(found) == hash(text) and json.dumps(found) == json.dumps(text)
    assert (copy.deepcopy(found).kind, ModelReference(found).kind) == (kind, kind)


def test_a_number_and_a_server_are_there_only_where_they_are_named() -> None:
    assert ModelReference("round:12").number == 12 and ModelReference("served:12").number is None
    assert ModelReference("round:x").number is None and ModelReference("round:-1").number is None
    assert ModelReference("served:big").server == "big" and ModelReference("policy").server is None


def test_a_recipe_holds_references_and_writes_text() -> None:
    recipe = build_recipe([SERVED], ["judge.model=served:big", "train.reference=round:0", "rounds=2"])
    assert (recipe.judge.model.server, recipe.train.reference.number) == ("big", 0)
    assert recipe.model.path.kind == "sandbox" and recipe.meta.model.kind == "policy", "defaults are parsed too"
    assert all(isinstance(one, ModelReference) for one in role_references(recipe))
    written = as_dict(recipe)
    assert type(written["judge"]["model"]) is str and type(written["model"]["path"]) is str
    assert build_recipe([yaml.safe_load(yaml.safe_dump(written))]) == recipe


def test_an_ensembles_models_are_its_members_or_the_judges_own() -> None:
    members = "[additive@served:big,additive@round:0,additive]"
    recipe = build_recipe([SERVED], ["judge.aggregate=ensemble", f"judge.aggregate.members={members}"])
    assert recipe.judge.models == ["served:big", "round:0", "policy"]
    assert [one.kind for one in recipe.judge.models] == ["served", "round", "policy"]


@pytest.mark.parametrize("wrong", ["round:9", "round:x", "served:other", "nowhere", "Policy"])
def test_what_names_no_model_is_refused_with_its_key(wrong: str) -> None:
    with pytest.raises(RecipeError, match=wrong):
        build_recipe([SERVED], [f"judge.model={wrong}"])


def test_nobody_else_parses_a_reference() -> None:
    marks = {*PREFIXES} - {"sandbox:"}  # which seeds/names.py takes off its own names
    asks = {"startswith", "removeprefix", "partition", "split"}
    found = []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in asks:
                said = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}
                found += [(path.name, mark) for mark in marks & {one for one in said if isinstance(one, str)}]
    assert not found
