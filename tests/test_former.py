"""Runs that were made before the sections had variants: their recipe is read as one of today, but not gone on with."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from selfreward.errors import RecipeError, StoreError
from selfreward.recipe import Recipe, to_yaml
from selfreward.recipe.former import load_kept, of_today
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.store.results import Store

SIZES = ("gate", "selection", "report", "frozen", "samples", "judge_samples", "judge_probes")
"""Their defaults became smaller since; a kept recipe states its own."""

FORMER = Path(__file__).parent / "former_recipes"
RECIPES = Path(__file__).parent.parent / "recipes"


def sized_as(recipe: Recipe, kept: Recipe) -> Recipe:
    """`recipe` with the sizes of what is measured in `kept`."""
    sizes = {name: getattr(kept.measure, name) for name in SIZES}
    return dataclasses.replace(recipe, measure=dataclasses.replace(recipe.measure, **sizes))


@pytest.mark.parametrize("name", [path.stem for path in sorted(FORMER.glob("*.yaml"))])
def test_a_former_recipe_is_todays_recipe_of_that_name(name: str) -> None:
    kept, today = load_kept(FORMER / f"{name}.yaml"), load_recipe(RECIPES / f"{name}.yaml")
    if kept.measure.held_out is not None:  # written out then, left to the loop's judge today
        assert today.measure.held_out is not None
        today = build_recipe(
            [yaml.safe_load(to_yaml(today))],
            ["measure.held_out.question=score", "measure.held_out.reading=verdict"],
        )
    if not kept.judge.draws:  # N had to be 1 then
        kept = build_recipe([yaml.safe_load(to_yaml(kept)), {"judge": {"aggregate": {"samples": 3}}}])
    assert kept == sized_as(today, kept)


@pytest.mark.parametrize(
    ("change", "overrides"),
    [
        ({"judge": {"protocol": "hybrid", "samples": 2}}, ["judge.reading=rationale", "judge.aggregate.samples=2"]),
        (
            {"judge": {"adaptive": {"enabled": True, "cap": 5}}},
            ["judge.aggregate=adaptive", "judge.aggregate.cap=5"],
        ),
        (
            {"judge": {"ensemble": ["sandbox", "@initial"], "aggregate": "median", "max_disagreement": 1.0}},
            [
                "judge.aggregate={kind: ensemble, members: [sandbox, '@initial'], average: median}",
                "judge.aggregate.max_disagreement=1.0",
                "judge.aggregate.samples=2",
            ],
        ),
        (
            {"judge": {"template": "rubric", "rubric": "helpfulness", "ask_again": 1}},
            ["judge.question={kind: rubric, rubric: helpfulness}", "judge.reading.ask_again=1"],
        ),
        ({"train": {"loss": "simpo", "gamma": 0.5}}, ["train.loss=simpo", "train.loss.gamma=0.5"]),
        ({"train": {"method": "none"}}, ["train.method=none"]),
        ({"pairs": {"rule": "length_tiers", "rho": [0.3]}}, ["pairs.rule=length_tiers", "pairs.rho=[0.3]"]),
        ({"engine": {"kind": "vllm", "vllm": {"block_size": 64}}}, ["engine.kind=vllm", "engine.block_size=64"]),
    ],
)
def test_what_it_said_is_said_in_todays_keys(tmp_path: Path, change: dict, overrides: list[str]) -> None:
    former = yaml.safe_load((FORMER / "smoke.yaml").read_text())
    for section, keys in change.items():
        for key, value in keys.items():
            former[section][key] = {**former[section][key], **value} if isinstance(value, dict) else value
    former["meta"]["enabled"] = False
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(former))
    kept = load_kept(path)
    assert kept == sized_as(load_recipe(RECIPES / "smoke.yaml", ["meta.enabled=false", *overrides]), kept)


def former_run(store: Store, name: str) -> Path:
    """A run of today whose recipe.yaml is put back into the keys of then."""
    with store.open_run(name, load_recipe(RECIPES / "smoke.yaml"), environment={}) as run:
        path = run.path
    (path / "round-00").mkdir()
    (path / "recipe.yaml").write_bytes((FORMER / "smoke.yaml").read_bytes())
    return path


def test_such_a_run_is_opened_and_forked_but_not_gone_on_with(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = former_run(store, "old")
    recipe = store.existing("old").recipe()
    assert isinstance(recipe, Recipe) and recipe == sized_as(load_recipe(RECIPES / "smoke.yaml"), recipe)
    with pytest.raises(StoreError, match=r"earlier version.*selfreward fork old@ROUND") as refused:
        store.open_run("old", recipe, environment={})
    assert "\n" not in str(refused.value)
    assert (path / "recipe.yaml").read_bytes() == (FORMER / "smoke.yaml").read_bytes(), "left as it was"
    store.fork("old", 0, "new", load_kept(path / "recipe.yaml", ["judge.aggregate.samples=5"]), {})
    assert store.existing("new").recipe().judge.samples == 5
    store.open_run("new", store.existing("new").recipe(), environment={}).close()


def test_half_a_former_recipe_and_a_users_old_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("judge: {protocol: expected}")
    with pytest.raises(RecipeError, match="neither a recipe of today"):
        load_kept(path)
    with pytest.raises(RecipeError, match=r"of an earlier version; write judge\.reading"):
        load_recipe(path)
    assert of_today(yaml.safe_load((FORMER / "gated.yaml").read_text()))["judge"]["model"] == "policy"
