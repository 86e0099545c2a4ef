"""`selfreward check` shows what a run would ask and refuses what a run would refuse, and samples and writes nothing."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from random_models import save_random_model

from selfreward.commands.check import check_recipe, length_row
from selfreward.commands.check_cost import measured_plan
from selfreward.commands.check_questions import Role, roles
from selfreward.commands.preflight_models import SANDBOX_SEEDS
from selfreward.commands.shipped import shipped
from selfreward.commands.unknown import only_itself, unknown
from selfreward.engines.chat import load_renderer
from selfreward.errors import RecipeError
from selfreward.recipe import ModelReference, Recipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.recipe.text import read_yaml
from selfreward.roles import generator
from selfreward.tasks.open_source import open_source


def told(recipe: Recipe) -> str:
    lines: list[str] = []
    check_recipe(recipe, lines.append)
    return "\n".join(lines)


def test_every_role_that_the_recipe_uses_is_shown_as_the_model_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(shipped()["smoke"])
    said = told(recipe)
    waits = capsys.readouterr().err.splitlines()
    assert [re.sub(":.*", "", line) for line in waits] == ["check", "check"], "what takes its time is said before"
    assert [line.split(" (")[0] for line in said.splitlines() if line.endswith("renders it:")] == [
        *("generator", "judge", "meta-judge", "prompt writer")
    ]
    renderer = load_renderer(SANDBOX_SEEDS / "seed-0")
    prompts = open_source(recipe).training(1, recipe.prompts.per_round)
    asked = renderer.prompt_token_ids([generator.ask(recipe.generate.template, prompt) for prompt in prompts[:3]])
    for tokens in asked:
        assert renderer.tokenizer.decode(list(tokens)) in said
    assert "unknown  no held-out judge" in said and "no oracle" not in said
    assert list(tmp_path.iterdir()) == [], "looking changes nothing"


@pytest.mark.parametrize(
    ("keys", "begin", "words"),
    [
        (("judge.question.template=additive",), "Score:", "0 to 5"),
        (("judge.question.template=sandbox",), "Score:", "0 to 5"),
        (("judge.question.template=ten", "judge.reading.scale=1-10"), "Score:", "1 to 10"),
        (("judge.question=comparison",), "Preferred:", "1 and 2"),
        (("judge.question=comparison", "judge.question.template=sandbox"), "better", "1 and 2"),
        (("judge.question=steps", "judge.question.template=steps"), "Verdict:", "right and wrong"),
    ],
)
def test_it_is_said_that_a_probability_is_read_without_the_justification_that_is_asked_for(
    keys: tuple[str, ...], begin: str, words: str
) -> None:
    def read(reading: str) -> str:
        recipe = build_recipe([], [*keys, f"judge.reading={reading}"] if reading else [])
        return next(role.read for role in roles(recipe, []) if role.name == "judge")

    said = read("probability")
    assert f"begun with {begin!r}, and the probabilities of {words} are read" in said
    assert "never written" in said and "judge.reading=rationale" in said
    longer = read("rationale")
    assert "writes up to 40 tokens first" in longer and begin in longer and "never written" not in longer
    assert read("") == "", "what is sampled is read as it stands"


def test_a_role_that_nobody_plays_is_not_shown() -> None:
    recipe = load_recipe(shipped()["sandbox"])
    assert [role.name for role in roles(recipe, [])] == ["generator", "judge"]
    more = load_recipe(shipped()["gated"])
    assert [role.name for role in roles(more, [])] == ["generator", "judge", "held-out judge"]


def test_a_text_cannot_close_the_fence_in_which_it_is_shown(tmp_path: Path) -> None:
    save_random_model("llama3", tmp_path / "model")
    rows = [{"prompt": f"</question-{number:08x}>\x1b[2J What is it?"} for number in range(40)]
    for name, part in (("prompts", rows[:20]), ("eval", rows[20:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    said = told(build_recipe([real(tmp_path)]))
    (code,) = set(re.findall(r"^<question-([0-9a-f]{8})>$", said.split("judge (")[0], re.M))
    assert not any(f"question-{code}" in row["prompt"] for row in rows)


def real(place: Path, **measure: Any) -> dict[str, Any]:
    return {
        "rounds": 1,
        "model": {"path": str(place / "model")},
        "prompts": {"source": str(place / "prompts.jsonl"), "per_round": 6},
        "generate": {"sampling": {"max_tokens": 16}},
        "judge": {"question": {"template": "additive"}, "reading": "probability"},
        "meta": {"template": "pairwise"},
        "measure": {
            "source": str(place / "eval.jsonl"),
            "gate": 4,
            "selection": 4,
            "report": 6,
            "frozen": 0,
            "verifier": "none",
            **measure,
        },
    }


def test_what_a_run_would_refuse_ends_with_a_recipe_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no-such-model"):
        told(build_recipe([], [f"model.path={tmp_path / 'no-such-model'}"]))


def test_lengths_are_the_longest_that_can_come() -> None:
    role = Role("judge", ModelReference("policy"), lambda prompt: (), reply=10, given=100)
    row = length_row(role, list(range(1, 101)), 210)
    assert row[:4] == ["judge (n=100)", "50", "95", "100"]
    assert row[-1] == "fits"
    assert length_row(role, list(range(1, 101)), 209)[-1] == "1 too many at worst"
    served = Role("judge", ModelReference("served:big"), lambda prompt: (), reply=10)
    assert length_row(served, [5], 8)[-2:] == ["-", ""]


def test_the_cost_is_the_plan_at_the_measured_speed() -> None:
    recipe = load_recipe(shipped()["smoke"])
    made = measured_plan(recipe, SANDBOX_SEEDS / "seed-0", 12, 20)
    assert made.speed is not None and made.seconds is not None
    assert (made.speed.threads, made.speed.dtype) == (recipe.engine.threads, "float32")
    slower = type(made)(
        made.plan, type(made.speed)(1, "float32", made.speed.rows, made.speed.read / 2, made.speed.sampled / 2)
    )
    assert slower.seconds == pytest.approx(2 * made.seconds)
    again = measured_plan(load_recipe(shipped()["smoke"], ["rounds=4"]), SANDBOX_SEEDS / "seed-0", 12, 20)
    assert again.tokens[1] > 1.5 * made.tokens[1]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, {"no oracle", "no held-out judge", "no anchors"}),
        ({"held_out": {"model": "sandbox:seed-1"}}, {"no oracle", "no anchors"}),
        ({"verifier": "exact"}, {"no held-out judge", "no anchors"}),
    ],
)
def test_each_thing_that_a_run_cannot_know_comes_with_the_key_that_changes_it(
    tmp_path: Path, keys: dict[str, Any], words: set[str]
) -> None:
    recipe = build_recipe([{**real(tmp_path, **keys), "model": {"path": "sandbox:seed-0"}}])
    said = unknown(recipe)
    assert {line.split(":")[0] for line in said} == words
    assert all("measure." in line for line in said)


def test_a_real_model_that_only_its_own_judge_speaks_about_is_told_so(tmp_path: Path) -> None:
    alone = build_recipe([real(tmp_path)])
    assert "measure.held_out.model" in (only_itself(alone) or "")
    assert only_itself(build_recipe([real(tmp_path, held_out={"model": "sandbox:seed-1"})])) is None
    assert only_itself(build_recipe([real(tmp_path, verifier="exact")])) is None
    assert only_itself(load_recipe(shipped()["sandbox"])) is None


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_recipe_that_cannot_know_says_so_in_its_header(name: str) -> None:
    path = shipped()[name]
    if only_itself(load_recipe(path)) is None:
        return
    assert "measure" in read_yaml(path)
    opening = path.read_text(encoding="utf-8").partition("\nseed:")[0]
    assert "# Not known:" in opening and "measure.held_out.model" in opening
