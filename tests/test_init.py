"""`selfreward init` writes a recipe that says why, passes `check`, and suits the model, the machine and the data."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pandas
import pytest
import yaml
from random_models import save_random_model

from selfreward.commands.check import check_recipe
from selfreward.commands.init import SANDBOX
from selfreward.commands.init_data import columns_of, deal, deal_pairs, suited
from selfreward.commands.init_machine import Machine, batch_tokens, fit, learning_rate
from selfreward.commands.init_recipe import recipe_for
from selfreward.commands.plan.shapes import NAMED
from selfreward.commands.run import run
from selfreward.commands.shipped import shipped
from selfreward.errors import DataError, RecipeError
from selfreward.progress import Progress
from selfreward.recipe import Recipe, Steps
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Pair
from selfreward.store.results import Store
from selfreward.store.view import RunView
from selfreward.tasks.pairs_file import read_pairs
from selfreward.tasks.prompts_file import read_prompts

THINGS = ["river", "bridge", "lamp", "garden", "clock", "letter", "train", "window"]
LAPTOP = Machine("cpu", 16e9, "bfloat16", 4, False, None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_model("llama3", tmp_path_factory.mktemp("random") / "model")


def rows_of(path: Path, **more: Any) -> Path:
    rows = [{"prompt": f"What do {a}s and {b}s share?", **more} for a in THINGS for b in THINGS if a != b]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def selfreward(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "selfreward", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def assert_every_key_says_why(text: str) -> None:
    for line in text.splitlines():
        key = re.match(r"\s*(?!#)[\w.]+:\s*(\S.*)", line)
        assert key is None or " # " in line, line


def test_without_a_model_it_is_the_sandbox_recipe_with_reasons(tmp_path: Path) -> None:
    done = selfreward("init", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert load_recipe(tmp_path / "recipe.yaml") == load_recipe(shipped()["sandbox"])
    assert_every_key_says_why(SANDBOX)
    again = selfreward("init", cwd=tmp_path)
    assert again.returncode == 2 and "never overwritten" in again.stderr


@pytest.mark.slow
def test_a_recipe_for_a_model_and_data_says_why_and_passes_check(tmp_path: Path, model: Path) -> None:
    data = rows_of(tmp_path / "data.jsonl", answer="water")
    done = selfreward("init", "--model", model, "--data", data, "--out", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "mine.yaml").read_text(encoding="utf-8")
    assert_every_key_says_why(text)
    checked = selfreward("check", "mine.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "fits" in checked.stdout and "too many" not in checked.stdout
    recipe = load_recipe(tmp_path / "mine.yaml")
    assert recipe.measure.verifier == "exact"
    assert recipe.model.device in ("cpu", "cuda") and recipe.engine.max_length is not None
    given = set(data.read_text().splitlines())
    dealt = [set((tmp_path / f"mine.{part}.jsonl").read_text().splitlines()) for part in ("train", "eval")]
    assert dealt[0] | dealt[1] == given and not dealt[0] & dealt[1]


@pytest.mark.slow
def test_pairs_alone_become_a_recipe_that_is_checked_and_run_as_it_is(tmp_path: Path, model: Path) -> None:
    rows = [
        {"prompt": f"What do {a}s and {b}s share?", "chosen": f"A {a}.", "rejected": f"No {b}.", "label": 0.9}
        for a in THINGS
        for b in THINGS
        if a != b
    ]
    data = tmp_path / "human.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = tmp_path / "mine.yaml"
    dealt = deal_pairs(data, out)
    text = recipe_for(str(model), model, dealt)
    dealt.write()
    out.write_text(text, encoding="utf-8")
    assert_every_key_says_why(text)
    recipe = load_recipe(out)
    kept = read_pairs(dealt.training)
    originals = {pair.id: pair for pair in read_pairs(data)}
    assert all(dataclasses.replace(originals[pair.id], prompt=pair.prompt) == pair for pair in kept)
    measured = {prompt.messages for prompt in read_prompts(dealt.evaluation, "report")}
    assert measured and not measured & {pair.prompt.messages for pair in kept}
    assert recipe.rounds * recipe.prompts.per_round <= len(kept) and not recipe.measure.judge
    small = ["rounds=1", "prompts.per_round=4", "train.batch_size=4", "train.micro_batch_size=2"]
    small += ["measure.gate=2", "measure.selection=2", "measure.report=4", "measure.sampling.max_tokens=16"]
    view = RunView(run(load_recipe(out, small), Store(tmp_path / "results", share=False), "mine", Progress()))
    assert len(view.read(1, "pairs", Pair)) == 4 and view.seal(1, "measurements") is not None
    done = selfreward("init", "--pairs", data, cwd=tmp_path)
    assert done.returncode == 2 and "give --model" in done.stderr


def test_a_model_without_data_gets_requests_whose_instructions_are_verified(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text(recipe_for(str(model), model, None), encoding="utf-8")
    recipe = load_recipe("recipe.yaml")
    assert (recipe.prompts.source.kind, recipe.measure.verifier) == ("english", "ifeval")
    lines: list[str] = []
    check_recipe(recipe, lines.append)
    assert not any("no oracle" in line for line in lines)


def test_a_model_that_is_not_there_is_not_downloaded(tmp_path: Path) -> None:
    done = selfreward("init", "--model", "nobody/no-such-model", cwd=tmp_path)
    assert done.returncode == 3 and "hf download nobody/no-such-model" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "verifier"),
    [
        ({}, "none"),
        ({"answer": 7}, "numeric"),
        ({"answer": "7 apples"}, "numeric"),
        ({"answer": "the river"}, "exact"),
        pytest.param({"meta": {"schema": {"type": "object"}}}, "json_schema", marks=pytest.mark.slow),
        pytest.param(
            {"meta": {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}},
            "ifeval",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_verifier_is_one_that_takes_every_row(tmp_path: Path, more: dict[str, Any], verifier: str) -> None:
    path = rows_of(tmp_path / "data.jsonl", **more)
    assert suited(read_prompts(path, "train")) == verifier
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"prompt": "One more without anything."}\n')
    assert suited(read_prompts(path, "train")) == "none"


def test_few_rows_are_refused_and_files_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / "few.jsonl").write_text('{"prompt": "a b c"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="1 prompts; expected at least"):
        deal(tmp_path / "few.jsonl", tmp_path / "r.yaml")
    (tmp_path / "r.train.jsonl").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="exists"):
        deal(rows_of(tmp_path / "data.jsonl"), tmp_path / "r.yaml")


@pytest.mark.parametrize("ending", ["csv", "parquet", "json", "saved"])
def test_rows_of_tables_become_lines_that_a_run_reads(tmp_path: Path, ending: str) -> None:
    rows = read_jsonl(rows_of(tmp_path / "data.jsonl", answer="9"))
    data, frame = tmp_path / f"data.{ending}", pandas.DataFrame(rows)
    match ending:
        case "csv":
            frame.to_csv(data, index=False)
        case "parquet":
            frame.assign(day=pandas.Timestamp("2020-01-01")).to_parquet(data)
        case "json":
            data.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        case _:
            datasets.Dataset.from_list(rows).save_to_disk(str(data))
    dealt = deal(data, tmp_path / "r.yaml")
    dealt.write()
    assert dealt.verifier == "numeric"
    found = {(prompt.text, prompt.answer) for path in dealt.texts for prompt in read_prompts(path, "train")}
    assert found == {(row["prompt"], "9") for row in rows}


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_equal_files_are_dealt_alike_and_pools_fit_what_there_is(tmp_path: Path) -> None:
    dealt = deal(rows_of(tmp_path / "data.jsonl"), tmp_path / "r.yaml")
    again = deal(tmp_path / "data.jsonl", tmp_path / "other.yaml")
    assert list(dealt.texts.values()) == list(again.texts.values())
    evaluation = dealt.texts[dealt.evaluation].count("\n")
    assert sum(dealt.pools.values()) < evaluation and dealt.train + evaluation == len(THINGS) * (len(THINGS) - 1)


def test_training_is_in_full_where_that_fits_and_an_adapter_elsewhere() -> None:
    recipe = build_recipe([], ["train.batch_size=16", "train.max_length=1024", "model.dtype=bfloat16"])
    small = fit(LAPTOP, recipe, NAMED["qwen2.5-0.5b"], 100, 400)
    large = fit(LAPTOP, recipe, NAMED["llama-3-8b"], 100, 400)
    assert small.fits and not small.lora
    assert not large.fits and large.lora and large.micro == 1
    gpu = dataclasses.replace(LAPTOP, device="cuda", memory=80e9)
    assert fit(gpu, recipe, NAMED["llama-3-8b"], 100, 400).lora
    assert fit(gpu, recipe, NAMED["llama-3-8b"], 100, 400).fits


def test_batches_grow_with_the_memory_and_hold_the_longest_question() -> None:
    shape = NAMED["qwen2.5-0.5b"]
    sizes = [batch_tokens(dataclasses.replace(LAPTOP, memory=memory), shape, 600) for memory in (2e9, 8e9, 64e9)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
    assert batch_tokens(dataclasses.replace(LAPTOP, memory=1e9), shape, 5000) == 5000


@pytest.mark.parametrize(
    ("recipe", "shape"), [("self_rewarding_qwen2.5_0.5b", "qwen2.5-0.5b"), ("cream_llama3_8b", "llama-3-8b")]
)
def test_learning_rates_are_those_of_the_recipes_that_ship(recipe: str, shape: str) -> None:
    train = load_recipe(shipped()[recipe]).train
    assert isinstance(train, Steps)
    assert learning_rate(NAMED[shape].parameters, train.lora is not None) == pytest.approx(train.learning_rate)


def test_the_recipe_of_a_path_with_odd_characters_is_that_path(model: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a: b # c"
    odd.symlink_to(model)
    recipe: Recipe = build_recipe([yaml.safe_load(recipe_for(str(odd), odd, None))])
    assert recipe.model.path == str(odd)


def test_columns_with_names_of_their_own_are_dealt_under_ours(tmp_path: Path) -> None:
    rows = read_jsonl(rows_of(tmp_path / "data.jsonl", answer="9"))
    theirs = pandas.DataFrame([{"prompt": "no", "question": row["prompt"], "solution": 9} for row in rows])
    theirs.to_csv(tmp_path / "theirs.csv", index=False)
    with pytest.raises(RecipeError, match=r"--column 'anwser=solution': expected NAME=COLUMN, where NAME is one of"):
        columns_of(["anwser=solution"])
    dealt = deal(tmp_path / "theirs.csv", tmp_path / "r.yaml", columns_of(["prompt=question", "answer=solution"]))
    plain = deal(tmp_path / "data.jsonl", tmp_path / "plain.yaml")
    for made in (dealt, plain):
        made.write()
    sides = [
        [[(prompt.text, prompt.answer) for prompt in read_prompts(path, "train")] for path in made.texts]
        for made in (dealt, plain)
    ]
    assert sides[0] == sides[1] and dealt.verifier == plain.verifier == "numeric"


@pytest.mark.parametrize(("answered", "verifier"), [(12, "numeric"), (11, "none")])
def test_rows_with_answers_are_measured_where_only_some_have_one(tmp_path: Path, answered: int, verifier: str) -> None:
    """Of thirty rows twelve are measured: with as many answers a verifier has all it reads, with one less not."""
    rows = [{"prompt": f"What is {n} and {n}?", **({"answer": str(2 * n)} if n < answered else {})} for n in range(30)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    dealt = deal(tmp_path / "data.jsonl", tmp_path / "r.yaml")
    dealt.write()
    measured = read_prompts(dealt.evaluation, "report")
    assert (dealt.verifier, len(measured), dealt.train) == (verifier, 12, 18)
    assert all(prompt.answer for prompt in measured) == (verifier == "numeric")
    assert f"{answered} of 30 rows bring something to check" in dealt.words()
    assert ("no verifier" in dealt.words()) == (verifier == "none")
