"""Recipes: what is refused, with which words, before anything runs; and that a resolved one says all that it means."""

from pathlib import Path

import pytest

from selfreward.engines import ENGINES
from selfreward.errors import RecipeError
from selfreward.pairing import PAIR_RULES
from selfreward.pairing.answers import load_rule
from selfreward.recipe import LOSS_READS, OwnRule, Recipe, identity, keys, to_yaml, walk
from selfreward.recipe.former_keys import MOVED
from selfreward.recipe.pairs import Scored
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.recipe.shape import fields, paths
from selfreward.tasks.verifiers import VERIFIERS
from selfreward.training.losses import LOSSES


def test_every_number_out_of_bounds_is_named_at_once_and_no_key_twice() -> None:
    pools = ["measure.gate=1", "measure.selection=0", "measure.report=1", "measure.samples=1"]
    with pytest.raises(RecipeError) as refused:
        build_recipe([], [*pools, "rounds=many", "train.beta=0"])
    said = str(refused.value)
    for key, there in (pair.split("=") for pair in pools):
        assert said.count(f"key {key!r} is {there}; expected at least 2") == 1
    assert said.startswith("recipe: key 'rounds' is 'many'; expected a whole number; key ")
    assert said.count("'train.beta' is 0; expected above 0") == 1 and said.count("recipe:") == 1
    many = [f"measure.judge_probes.{name}=-1" for name in ("padded", "claims", "feedback", "initial")]
    with pytest.raises(RecipeError) as refused:
        build_recipe([], [*pools, *many, "train.beta=0", "generate.samples=0", "train.learning_rate=-1"])
    assert str(refused.value).count("expected") == 8, "a message stays short"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("judge.sampels=3", "unknown key 'judge.sampels'; did you mean 'judge.aggregate.samples'"),
        ("pairs.mixing=3", "did you mean 'pairs.mix'?"),
        ("beta=3", "did you mean 'train.beta'?"),
        ("served.big.modle=3", "did you mean 'served.big.model'?"),
        ("gates.rules=[{metrc: x}]", "did you mean 'gates.rules[0].metric'?"),
        ("generate.samples=1", "'generate.samples' is 1; expected at least 2"),
        ("judge.aggregate.samples=0", "'judge.aggregate.samples' is 0; expected at least 1"),
        ("train.beta=0", "'train.beta' is 0; expected above 0"),
        ("train.beta=.inf", "'train.beta' is inf; expected a finite number"),
        ("train.beta=???", "'train.beta' is '???', which is no value"),
        ("generate.sampling.temperature=.nan", "'generate.sampling.temperature' is nan; expected a finite number"),
        ("gates.rules=[{metric: judge_mean, above: .nan}]", "'gates.rules[0].above' is nan; expected a finite number"),
        ("gates.rules={metric: x}", "'gates.rules' is {'metric': 'x'}; expected a list"),
        ("measure.cohorts=[a]", "'measure.cohorts' is ['a']; expected names"),
        ("measure.cohorts={a: {count: 3}}", "'measure.cohorts.a.source' is missing"),
        ("measure.anchors=''", "'measure.anchors' is ''; expected text that is not empty"),
        ("measure.probes=[are_you_sure, nothing]", "'measure.probes[1]' is 'nothing'; expected are_you_sure | "),
        ("rounds=many", "'rounds' is 'many'; expected a whole number"),
        ("rounds=true", "'rounds' is 'true'; expected a whole number"),
        ("judge.control=off", "'judge.control' is 'off'; expected none | shuffled"),
        (f"seed={'1' * 5000}", "(5000 characters); that is too long"),
        (f"model.path={'x' * 10_000_000}", "(10000000 characters)'; that is too long"),
        (f"judge.model={'x' * 4000}", "an existing directory"),
        ("train.reference=round:9", "'train.reference' is 'round:9'; expected round:K"),
        ("train.loss.label_smoothing=0.5", "'train.loss.label_smoothing' is 0.5; expected below 0.5"),
        ("train.loss=simp", "'train.loss.kind' is 'simp'; expected one of dpo, "),
        ("model.path=${oc.env:HOME}", "holds '${'"),
        ("rounds", "expected key=value"),
        ("rounds=:", "not key=value with a YAML value"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key_in_a_short_line(override: str, words: str) -> None:
    with pytest.raises(RecipeError) as refused:
        build_recipe([], [override])
    said = str(refused.value)
    assert words in said and "\n" not in said and "'?'" not in said
    assert len(said) < 600 or override.startswith("judge.model"), "a value of any length makes no long sentence"


def test_what_is_in_the_environment_does_not_get_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    path = tmp_path / "recipe.yaml"
    path.write_text("served: {big: {url: 'http://h/v1', model: '${oc.env:SECRET}'}}")
    with pytest.raises(RecipeError, match=r"key 'served\.big\.model' holds") as refused:
        load_recipe(path)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"rounds: 3\nmodel: {path: \xff\xfe}", "not UTF-8 text (byte 24 is 0xff)"),
        ("rounds: 3".encode("utf-16"), "not UTF-8 text (byte 0 is 0xff)"),
        (b"just words", "expected a mapping of recipe keys, found str"),
        (b"- rounds", "expected a mapping of recipe keys, found list"),
        (b"rounds: [", "not valid YAML"),
        (b"rounds: 3\nrounds: 4", "key 'rounds' stands twice"),
        (b"[" * 5000, "nested too deeply"),
        (b"model: &a {path: *a}", "recipe"),
        (
            b"train.beta: 0.1",
            "the name 'train.beta' has a dot; in a file a section holds its keys, so write train: {beta",
        ),
        (b"1: 2", "unknown key '1'"),
        (b"train: {'': sft}", "'train.'"),
    ],
)
def test_a_file_that_is_no_recipe_gets_one_typed_message(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(data)
    with pytest.raises(RecipeError) as refused:
        load_recipe(path)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_a_path_that_cannot_be_one_is_refused() -> None:
    for path in ("nowhere.yaml", "x" * 10_000, "a\0b"):
        with pytest.raises(RecipeError, match="cannot be read"):
            load_recipe(path)


def test_text_stays_text_and_a_number_is_read_in_tens(tmp_path: Path) -> None:
    """YAML 1.1 makes 750 of 12:30, 8 of 010 and false of no."""
    path = tmp_path / "recipe.yaml"
    path.write_text("rounds: 010\nserved: {x: {url: 'http://h/v1', model: 12:30}, y: {url: 'http://h/v1', model: no}}")
    recipe = load_recipe(path, ["served.z.url=http://h/v1", "served.z.model=010", "train.learning_rate=1e-4"])
    assert recipe.rounds == 10
    assert [one.model for one in recipe.served.values()] == ["12:30", "no", "010"]
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(recipe))
    assert load_recipe(again) == recipe


def test_a_resolved_recipe_loads_as_itself_and_the_horizon_is_no_identity(tmp_path: Path) -> None:
    recipe = build_recipe([], ["rounds=5", "train.lora.rank=4", "seed=3"])
    (tmp_path / "recipe.yaml").write_text(to_yaml(recipe))
    assert load_recipe(tmp_path / "recipe.yaml") == recipe
    longer = build_recipe([], ["rounds=7", "train.lora.rank=4", "seed=3"])
    assert identity(longer) == identity(recipe) != identity(build_recipe([], ["seed=4"]))


@pytest.mark.parametrize("key", sorted(MOVED))
def test_a_key_of_an_earlier_version_says_what_to_write(key: str) -> None:
    layer: dict[str, object] = {}
    *sections, last = key.split(".")
    inner = layer
    for name in sections:
        inner = inner.setdefault(name, {})  # type: ignore[assignment]
    inner[last] = "1"
    with pytest.raises(RecipeError) as refused:
        build_recipe([layer])
    new = str(refused.value)
    assert "of an earlier version; write" in new
    named = [word.strip(",()") for word in new.partition("; write ")[2].replace("=", " ").split() if "." in word]
    known = set(paths(Recipe))
    assert named and all(name.rstrip(",") in known for name in named), named


def test_every_key_has_its_meaning_its_default_and_its_place() -> None:
    found = list(keys(Recipe))
    assert all(key.description for key in found)
    names = [(key.name, key.variant) for key in found]
    assert len(set(names)) == len(names), "a key of several variants comes once"
    by_name = {key.name: key for key in found}
    assert {key for key, _, _ in walk(Recipe())} <= set(by_name)
    rho = by_name["pairs.rho"]
    assert rho.variant == "pairs.rule=z_length" and rho.type == "a list of: a number"
    assert by_name["train.beta"].bounds == "above 0" and by_name["train.beta"].variant == "train.method=dpo"
    assert by_name["rounds"].horizon and not by_name["seed"].horizon
    assert by_name["prompts.writer.sampling.max_tokens"].default == 32, "a section's own default, not its class's"
    assert by_name["engine.threads"].variant == "" and by_name["engine.script"].default == "(needed)"


def test_the_variants_are_those_that_the_code_can_carry_out() -> None:
    sections = fields(Recipe)
    assert set(sections["pairs"].variants) == {*PAIR_RULES, "own"}
    assert set(sections["engine"].variants) == set(ENGINES)
    assert set(LOSS_READS) == set(LOSSES)
    for name, kind in sections["pairs"].variants.items() - {("own", OwnRule)}:
        assert issubclass(kind, Scored) == (load_rule(name).needs == "scores"), name
    known, _, own = {key.name: key.type for key in keys(Recipe)}["measure.verifier"].partition(" or ")
    assert set(known.split(" | ")) == {*VERIFIERS, "none"} and "module:object" in own
