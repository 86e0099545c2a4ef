"""A run on the user's own prompt files: no verifier, no sandbox source; and what is refused before it starts."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from small_keys import HARDLY_MEASURED

from selfreward.commands.preflight_models import SANDBOX_SEEDS
from selfreward.commands.run import run
from selfreward.errors import DataError, RecipeError
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.records import Measurement, Pair, Prompt
from selfreward.store.results import Store
from selfreward.store.run import RunView
from selfreward.tasks.sandbox.pools import prompt_pool

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"


def write(path: Path, prompts: Sequence[str]) -> Path:
    path.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    return path


@pytest.fixture
def training(tmp_path: Path) -> Path:
    return write(tmp_path / "train.jsonl", [task.text for task in prompt_pool("train", 40)])


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    return write(tmp_path / "held_out.jsonl", [task.text for task in prompt_pool("report", 40)])


def go(tmp_path: Path, training: Path, held_out: Path, *overrides: str) -> RunView:
    recipe = load_recipe(
        SMOKE,
        [
            f"prompts.source={training}",
            f"measure.source={held_out}",
            "measure.verifier=none",
            "prompts.per_round=20",
            "prompts.writer.share=0",
            "meta.enabled=false",
            *HARDLY_MEASURED,
            *overrides,
        ],
    )
    store = Store(tmp_path / "results")
    run(recipe, store, "own", Progress())
    return store.existing("own")


def test_a_run_on_prompt_files_measures_what_needs_no_truth(tmp_path: Path, training: Path, held_out: Path) -> None:
    view = go(tmp_path, training, held_out)
    texts = [{prompt.text for prompt in view.read(number, "prompts", Prompt)} for number in (1, 2)]
    assert len(texts[0]) == len(texts[1]) == 20 and not texts[0] & texts[1]
    rows = view.read(2, "measurements", Measurement)
    assert not [row for row in rows if row.oracle]
    assert {"judge_mean", "kl_initial_k3_token", "length_tokens"} <= {row.metric for row in rows}
    assert view.read(2, "pairs", Pair)


def test_evaluation_prompts_among_the_training_prompts_are_refused(tmp_path: Path, training: Path) -> None:
    with pytest.raises(DataError, match="equals prompt"):
        go(tmp_path, training, training)


def test_too_few_prompts_for_the_rounds_are_refused(tmp_path: Path, training: Path, held_out: Path) -> None:
    with pytest.raises(DataError, match=r"40 prompts; expected at least rounds x prompts\.per_round = 60"):
        go(tmp_path, training, held_out, "rounds=3")


def test_an_over_long_prompt_is_named_before_anything_is_sampled(
    tmp_path: Path, training: Path, held_out: Path
) -> None:
    long = "sort " + "a " * 300
    write(training, [*(task.text for task in prompt_pool("train", 39)), long.strip()])
    with pytest.raises(DataError, match=r"has 30\d tokens; expected at most 216"):
        go(tmp_path, training, held_out)
    assert not (tmp_path / "results").exists()


def test_a_tokenizer_without_chat_template_is_refused(tmp_path: Path, training: Path, held_out: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(SANDBOX_SEEDS / "seed-0", model)
    (model / "chat_template.jinja").unlink()
    with pytest.raises(DataError, match="has no chat template"):
        go(tmp_path, training, held_out, f"model.path={model}")


def test_a_verifier_of_the_sandbox_on_other_prompts_is_refused(tmp_path: Path, training: Path, held_out: Path) -> None:
    with pytest.raises(RecipeError, match=r"measure\.verifier"):
        go(tmp_path, training, held_out, "measure.verifier=sandbox")


def test_prompts_under_one_long_instruction_are_let_through_by_a_key_and_equal_ones_never(tmp_path: Path) -> None:
    instruction = "Translate the sentence after the colon into French, with no word added and none left out:"
    tasks = [task.text for task in prompt_pool("train", 80)]
    train = write(tmp_path / "train.jsonl", [f"{instruction} {text}" for text in tasks[:40]])
    held = write(tmp_path / "held.jsonl", [f"{instruction} {text}" for text in tasks[40:]])
    with pytest.raises(DataError, match=r"shares \d+% of .* raise measure.max_overlap"):
        go(tmp_path, train, held, "rounds=1")
    view = go(tmp_path, train, held, "rounds=1", "train.method=none", "measure.max_overlap=1")
    assert len(view.read(1, "prompts", Prompt)) == 20
    again = write(tmp_path / "again.jsonl", [f"{instruction} {text}" for text in tasks[:40]])
    with pytest.raises(DataError, match="equals prompt"):
        go(tmp_path / "other", train, again, "measure.max_overlap=1")
