"""Pairs from outside as the only ones: nothing is asked, judged or chosen, and every round has fresh pairs."""

import dataclasses
import json
from pathlib import Path

import pytest
from small_keys import HARDLY_MEASURED

from selfreward.commands.plan.workload import Lengths, generating
from selfreward.commands.preflight import preflight
from selfreward.commands.run import run
from selfreward.errors import DataError, RecipeError, StoreError
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Checkpoint, Judgment, Measurement, Pair, Prompt, Response
from selfreward.store.results import Store
from selfreward.tasks.examples_file import draw_examples, read_examples
from selfreward.tasks.sandbox.pools import prompt_pool

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SHOWN = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
ALONE = ["pairs.mix.external_share=1", "judge.source=none", "meta.enabled=false", "prompts.writer.share=0"]


def given(path: Path, count: int) -> Path:
    """Conversational pairs about the sandbox's own tasks, as TRL has them."""
    rows = [
        {
            "prompt": [{"role": "user", "content": task.text}],
            "chosen": [{"role": "assistant", "content": "a b"}],
            "rejected": [{"role": "assistant", "content": "c"}],
        }
        for task in prompt_pool("train", count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_run_on_given_pairs_asks_nothing_in_training(tmp_path: Path) -> None:
    path = given(tmp_path / "human.jsonl", 12)
    keys = [f"pairs.mix.external={path}", "prompts.per_round=6", "rounds=2", *HARDLY_MEASURED]
    recipe = load_recipe(SMOKE, [*ALONE, *keys])
    store = Store(tmp_path / "results")
    run(recipe, store, "given", Progress())
    view = store.existing("given")
    pairs = [view.read(number, "pairs", Pair) for number in (1, 2)]
    assert [len(rows) for rows in pairs] == [6, 6]
    assert len({pair.prompt_id for rows in pairs for pair in rows}) == 12, "fresh pairs in every round"
    assert {pair.source for rows in pairs for pair in rows} == {"external:human"}
    assert view.read(1, "prompts", Prompt) == view.read(1, "responses", Response) == []
    assert view.seal(1, "judgments") is None or view.read(1, "judgments", Judgment) == []
    seals = [view.seal(number, "checkpoint") for number in (0, 1, 2)]
    facts = [seal.facts for seal in seals if seal is not None]
    assert len({one["digest"] for one in facts}) == 3 and facts[2]["pairs"] == 6
    assert {field.name for field in dataclasses.fields(Checkpoint)} <= set(facts[2])
    assert "judge_mean" in {row.metric for row in view.read(2, "measurements", Measurement)}


def test_too_few_pairs_for_the_rounds_are_refused(tmp_path: Path) -> None:
    path = given(tmp_path / "human.jsonl", 11)
    keys = [f"pairs.mix.external={path}", "prompts.per_round=6", "rounds=2"]
    with pytest.raises(DataError, match=r"11 pairs; expected at least rounds x prompts\.per_round = 12"):
        preflight(load_recipe(SMOKE, [*ALONE, *keys]))


def test_a_source_of_prompts_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    keys = [f"pairs.mix.external={given(tmp_path / 'human.jsonl', 12)}", "prompts.per_round=6", "rounds=2"]
    with pytest.raises(RecipeError, match=r"'prompts\.source' is not read.*remove it"):
        preflight(load_recipe(SMOKE, [*ALONE, *keys, "prompts.source=nowhere.jsonl"]))


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("judge.source=model", "set judge.source=none"),
        ("prompts.writer.share=0.5", "nobody answers here"),
        ("train.method=rloo", "trains on rewards"),
        ("pairs.flip=0.1", "only mix and weights are read"),
        ("pairs.rule=spin", "only mix and weights are read"),
        ("pairs.mix.earlier_share=0.5", "less than 1"),
    ],
)
def test_what_given_pairs_leave_unread_is_refused(key: str, found: str) -> None:
    with pytest.raises(RecipeError, match=found):
        build_recipe([], [*ALONE, "pairs.mix.external=x.jsonl", key])


def examples(path: Path, tasks: int) -> Path:
    """Half as prompt and completion, half as a conversation."""
    asked = [task.text for task in prompt_pool("train", tasks)]
    rows: list[dict[str, object]] = [{"prompt": text, "completion": "a b"} for text in asked[::2]]
    rows += [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "a b"}]}
        for text in asked[1::2]
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_run_is_fine_tuned_on_a_file_of_demonstrations(tmp_path: Path) -> None:
    path = examples(tmp_path / "shown.jsonl", 40)
    keys = ["train.method=sft", f"train.examples={path}", "train.sft_examples=32", "rounds=1", *ALONE[1:]]
    store = Store(tmp_path / "results")
    recipe = load_recipe(SMOKE, [*keys, *HARDLY_MEASURED, "train.learning_rate=0.003"])
    run(recipe, store, "taught", Progress())
    view = store.existing("taught")
    first, taught = (view.seal(number, "checkpoint") for number in (0, 1))
    assert first is not None and taught is not None and taught.facts["digest"] != first.facts["digest"]
    assert taught.facts["metrics"]["chosen_logprob_shift"] > 0.5, "what was shown became likelier"
    assert view.read(1, "responses", Response) == [] and view.read(1, "pairs", Pair) == []
    rows = path.read_text()
    path.write_text(rows.replace("a b", "c d"))
    with pytest.raises(StoreError):
        run(recipe, store, "taught", Progress())


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"prompt": "x"}, "has neither completion nor a last turn"),
        ({"messages": SHOWN, "completion": "y"}, "has both"),
        ({"prompt": "x", "completion": SHOWN}, "completion has 2 turns"),
        ({"prompt": "x", "completion": " "}, "completion is empty"),
        ({"completion": "y"}, "found keys completion"),
    ],
)
def test_an_example_that_is_none_is_named(tmp_path: Path, row: dict[str, object], found: str) -> None:
    path = tmp_path / "shown.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=rf"shown\.jsonl:1: .*{found}"):
        read_examples(path)


def test_examples_are_drawn_anew_in_every_round_whatever_their_places(tmp_path: Path) -> None:
    path = examples(tmp_path / "shown.jsonl", 40)
    drawn = [draw_examples(path, 0, number, 20) for number in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    assert draw_examples(path, 0, 1, 20) == drawn[0]
    with pytest.raises(DataError, match=r"40 examples; expected train\.sft_examples \(41\)"):
        draw_examples(path, 0, 1, 41)


def test_the_plan_counts_no_answers() -> None:
    recipe = build_recipe([], [*ALONE, "pairs.mix.external=x.jsonl"])
    assert generating(recipe, Lengths(*[10.0] * len(dataclasses.fields(Lengths)))) == []
