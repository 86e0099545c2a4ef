"""What a recipe says about the chat template: its arguments, further thinking markers, a system turn that is folded."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import save_random_model
from test_models_in_the_wild import recipe_for, tried

from selfreward.commands.preflight import preflight
from selfreward.engines import build_engine
from selfreward.engines.chat import folded, load_renderer
from selfreward.engines.template_checks import require_whole
from selfreward.engines.tensors import weights_digest
from selfreward.errors import DataError, RecipeError
from selfreward.recipe import ModelRecipe, TransformersRecipe, to_yaml
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Message
from selfreward.roles.player import engine_facts

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
ASKED = [Message("user", "What is 3 times 4?")]
REFUSES = (
    "{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{% endfor %}"
)


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_model("qwen3", tmp_path_factory.mktemp("models") / "qwen3")


@pytest.fixture(scope="module")
def without_system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = save_random_model("llama3", tmp_path_factory.mktemp("models") / "gemma-like")
    file = directory / "chat_template.jinja"
    file.write_text(REFUSES + file.read_text())
    return directory


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [("false", False), ("true", True), ("3", 3), ("0.5", 0.5), ("high", "high"), ("no", "no"), ("1e3", 1000.0)],
)
def test_an_argument_is_what_yaml_means_and_stays_so(text: str, value: object, tmp_path: Path) -> None:
    recipe = build_recipe([], [f"model.template_arguments.effort={text}"])
    found = recipe.model.template_arguments["effort"]
    assert (found, type(found)) == (value, type(value))
    (tmp_path / "recipe.yaml").write_text(to_yaml(recipe))
    assert load_recipe(tmp_path / "recipe.yaml") == recipe


def test_thinking_is_switched_off_for_every_role_by_one_key(qwen3: Path) -> None:
    off = ModelRecipe(path=str(qwen3), template_arguments={"enable_thinking": False})
    plain, changed = load_renderer(qwen3), load_renderer(qwen3, off)
    (thinks,), (answers,) = plain.prompt_token_ids([ASKED]), changed.prompt_token_ids([ASKED])
    assert answers[: len(thinks)] == thinks
    assert plain.tokenizer.decode(answers[len(thinks) :]) == "<think>\n\n</think>\n\n"
    engine = build_engine(off, TransformersRecipe())
    engine.load(qwen3, weights_digest(qwen3))
    assert tuple(engine.prompt_token_ids(ASKED)) == answers
    engine.close()


def test_what_is_asked_differently_is_another_artifact_and_nothing_said_changes_nothing(qwen3: Path) -> None:
    def facts(*keys: str) -> dict[str, object]:
        return engine_facts(build_recipe([], [f"model.path={qwen3}", *keys]))

    plain = facts()
    assert not {"template_arguments", "thinking", "fold_system"} & set(plain)
    for key in (
        "model.template_arguments.enable_thinking=false",
        "model.thinking=[[<a>,</a>]]",
        "model.fold_system=true",
    ):
        assert facts(key) != plain


def test_an_argument_that_the_template_does_not_read_is_refused(qwen3: Path, tmp_path: Path) -> None:
    tried(qwen3, tmp_path, "model.template_arguments.enable_thinking=false")
    with pytest.raises(RecipeError, match=r"model\.template_arguments\.enable_thinkin'.*does not read it"):
        tried(qwen3, tmp_path, "model.template_arguments.enable_thinkin=false")
    with pytest.raises(RecipeError, match="does not read it"):
        tried("sandbox:seed-0", tmp_path, "model.template_arguments.enable_thinking=false")
    with pytest.raises(RecipeError, match="does not read it"):  # where all else is shipped and known to be usable
        preflight(load_recipe(SMOKE, ["model.template_arguments.enable_thinking=false"]))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["model.template_arguments.messages=x"], "no argument for a template"),
        (["model.template_arguments={a b: 1}"], "no argument for a template"),
        (["model.template_arguments={a: [1]}"], "template_arguments"),
        (["model.thinking=[[<a>]]"], "model.thinking"),
        (["model.thinking=[[<a>,<a>]]"], "two different markers"),
        (["model.thinking=[[<a>,</a>],[<a>,</b>]]"], "twice"),
        (["model.thinking=[['','x']]"], "model.thinking"),
        (["engine.kind=scripted", "engine.script=x", "train.method=none", "model.fold_system=true"], "scripted"),
    ],
)
def test_what_cannot_be_meant_is_refused(keys: list[str], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        build_recipe([], keys)


# --- markers ----------------------------------------------------------------------------------------------------------


def test_markers_that_the_recipe_names_are_cut_from_replies(qwen3: Path) -> None:
    recipe = build_recipe([], ["model.thinking=[[<reflect>,</reflect>]]"])
    plain, named = load_renderer(qwen3), load_renderer(qwen3, recipe.model)
    reply = plain.tokenizer("<reflect>maybe 11</reflect>It is 12.", add_special_tokens=False)["input_ids"]
    assert named.read(reply) == ("It is 12.", "maybe 11")
    assert plain.read(reply) == ("<reflect>maybe 11</reflect>It is 12.", "")
    thought = plain.tokenizer("<think>a</think>b", add_special_tokens=False)["input_ids"]
    assert named.read(thought) == ("b", "a"), "those that are known stay known"


# --- folding ----------------------------------------------------------------------------------------------------------

ROLES = st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text("ab ", max_size=5)), max_size=6)


@given(ROLES)
def test_folding_loses_no_text_and_leaves_no_system_turn_before_a_users(turns: list[tuple[str, str]]) -> None:
    found = folded(turns)
    assert "".join(text.replace("\n\n", "") for _, text in found) == "".join(text for _, text in turns)
    roles = [role for role, _ in found]
    assert not {("system", "user"), ("system", "system")} & set(pairwise(roles))
    if "system" not in {role for role, _ in turns}:
        assert found == turns


def test_a_system_turn_is_folded_where_the_template_refuses_it(without_system: Path) -> None:
    plain, folding = load_renderer(without_system), load_renderer(without_system, ModelRecipe(fold_system=True))
    talk = [Message("system", "Be <|eot_id|> brief."), *ASKED]
    with pytest.raises(DataError, match=r"cannot render turns of roles system, user.*model\.fold_system=true"):
        plain.prompt_token_ids([talk])
    (found,) = folding.prompt_token_ids([talk])
    (by_hand,) = plain.prompt_token_ids([[Message("user", f"Be <|eot_id|> brief.\n\n{ASKED[0].content}")]])
    assert found == by_hand
    require_whole(folding, [["system", "user"], ["system", "user", "assistant", "user"]])
    with pytest.raises(DataError, match="system"):
        folding.prompt_token_ids([[*ASKED, Message("assistant", "12"), Message("system", "alone")]])


# --- lengths ----------------------------------------------------------------------------------------------------------


def test_answers_that_are_measured_need_room_too(qwen3: Path, tmp_path: Path) -> None:
    tried(qwen3, tmp_path)
    with pytest.raises(DataError, match=r"expected at most 96, which is the context of 4096 less measure\.sampling"):
        tried(qwen3, tmp_path, "measure.sampling.max_tokens=4000")
    with pytest.raises(DataError, match=r"less generate\.sampling\.max_tokens \(4090\)"):
        tried(qwen3, tmp_path, "generate.sampling.max_tokens=4090")
    with pytest.raises(DataError, match=r"less measure\.sampling\.max_tokens \(250\)"):
        tried("sandbox:seed-0", tmp_path, "measure.sampling.max_tokens=250")
    assert recipe_for(qwen3, tmp_path).measure.sampling.max_tokens < 250
