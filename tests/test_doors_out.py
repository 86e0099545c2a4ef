"""A run's pairs as a data set that TRL trains on and that comes back through our own reader; the card; the hub."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import load_dataset
from small_keys import HARDLY_MEASURED
from transformers import AutoTokenizer
from trl import is_conversational, maybe_apply_chat_template, maybe_extract_prompt
from typer.testing import CliRunner

from selfreward.commands.cli import app
from selfreward.commands.export import export
from selfreward.commands.export_lessons import export_lessons
from selfreward.commands.export_pairs import LINES, PARQUET, export_pairs, pair_rows
from selfreward.commands.model_card import licence_of, model_card
from selfreward.commands.run import run
from selfreward.engines.protocol import Completion
from selfreward.errors import DataError, RecipeError, StoreError
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.records import Pair, Prompt, Response
from selfreward.report.catalogue import words
from selfreward.report.reading import Reading
from selfreward.report.verdict import judge_run
from selfreward.store.results import Store
from selfreward.store.view import RunView
from selfreward.tasks.examples_file import read_examples
from selfreward.tasks.pairs_file import read_pairs
from selfreward.tasks.verifiers.protocol import load_verifier

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
HUMAN = {
    "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "sort f b"}],
    "chosen": [{"role": "assistant", "content": " b f\n"}],
    "rejected": [{"role": "assistant", "content": ""}],
    "label": 0.75,
    "weight": 0.5,
    "source": "human",
}


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    """Two rounds with judgment pairs, pairs of the round before and pairs from outside."""
    place = tmp_path_factory.mktemp("out")
    (place / "human.jsonl").write_text(json.dumps(HUMAN) + "\n")
    mix = [f"pairs.mix.external={place / 'human.jsonl'}", "pairs.mix.external_share=0.1", "pairs.mix.earlier_share=0.2"]
    recipe = load_recipe(SMOKE, [*mix, *HARDLY_MEASURED, "rounds=2"])
    store = Store(place / "results")
    run(recipe, store, "own", Progress())
    return store.existing("own")


def test_every_pair_of_the_run_is_a_row_once_with_the_texts_that_were_judged(view: RunView) -> None:
    rows = list(pair_rows(view))
    pairs = [(number, pair) for number in (1, 2) for pair in view.read(number, "pairs", Pair)]
    again = [pair for number, pair in pairs if pair.source.startswith("round-")]
    assert again and all(pair.source.startswith("round-1:") for pair in again)
    human = [row for row in rows if row["source"] == "external:human"]
    assert len(human) == 1, "it was drawn in both rounds, and is one preference"
    drawn = sum(pair.source == "external:human" for _, pair in pairs)
    assert len(rows) == len(pairs) - len(again) - drawn + 1
    assert {row["round"] for row in rows} == {1, 2}
    texts = {one.id: one.text for number in (1, 2) for one in view.read(number, "responses", Response)}
    own = [pair for _, pair in pairs if pair.source == "self" and pair.kind == "answer"]
    told = [row for row in rows if row["source"] == "self" and row["kind"] == "answer"]
    assert [(texts[p.chosen_id], texts[p.rejected_id]) for p in own] == [
        (row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in told
    ]
    assert all(row["judge"] and row["template"] for row in told)
    assert {row["judge"] for row in told} == {view.seal(number, "checkpoint").facts["digest"] for number in (0, 1)}


@pytest.mark.parametrize("name", [LINES, PARQUET])
def test_what_comes_back_through_the_reader_is_what_went_out(view: RunView, tmp_path: Path, name: str) -> None:
    export_pairs(view, tmp_path / "out")
    back, rows = read_pairs(tmp_path / "out" / name), list(pair_rows(view))
    found = [
        {
            "prompt": [{"role": turn.role, "content": turn.content} for turn in pair.prompt.messages],
            "chosen": [{"role": "assistant", "content": pair.chosen}],
            "rejected": [{"role": "assistant", "content": pair.rejected}],
            **{key: getattr(pair, key) for key in ("label", "weight", "source")},
        }
        for pair in back
    ]
    assert found == [{key: row[key] for key in HUMAN} for row in rows]
    assert {**HUMAN, "source": "external:human"} in found


def test_trl_takes_the_rows_for_what_they_are(view: RunView, tmp_path: Path) -> None:
    export_pairs(view, tmp_path / "out")
    loaded: Any = load_dataset(
        "parquet", data_files=str(tmp_path / "out" / PARQUET), cache_dir=str(tmp_path), split="train"
    )
    rows = loaded.select_columns(["prompt", "chosen", "rejected"])
    tokenizer = AutoTokenizer.from_pretrained(view.read_directory(0, "checkpoint"))
    for row in rows:
        assert is_conversational(row) and maybe_extract_prompt(row) == row
        plain = maybe_apply_chat_template(row, tokenizer)
        assert all(isinstance(plain[name], str) for name in ("prompt", "chosen", "rejected"))
    assert len(rows) == len(list(pair_rows(view)))


def test_the_card_of_the_pairs_has_a_header_that_says_which_file_is_the_data(view: RunView, tmp_path: Path) -> None:
    assert export_pairs(view, tmp_path / "out") == f"{len(list(pair_rows(view)))} pairs"
    card = (tmp_path / "out" / "README.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    assert header["configs"] == [{"config_name": "default", "data_files": PARQUET}]
    assert "| answer | external:human | 1 | 1 |" in card
    with pytest.raises(StoreError, match="not an empty directory"):
        export_pairs(view, tmp_path / "out")


def test_lessons_are_the_judges_question_with_the_verifiers_verdict(view: RunView, tmp_path: Path) -> None:
    file = tmp_path / "lessons.jsonl"
    told = CliRunner().invoke(app, ["export", str(view.path), "--lessons", str(file)])
    assert told.exit_code == 0, told.output
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert f"{len(rows)} lessons" in told.output and len(rows) > 4
    assert sum(row["right"] for row in rows) * 2 == len(rows), "a lopsided file teaches the share"
    back = read_examples(file)
    assert len({(prompt.text, verdict) for prompt, verdict in back}) == len(rows)
    answers = [one for number in (1, 2) for one in view.read(number, "responses", Response)]
    prompts = {one.id: one for number in (1, 2) for one in view.read(number, "prompts", Prompt)}
    asked, verifier = judge_prompt(view.recipe().judge), load_verifier(view.recipe().measure.verifier)
    right = {asked.ask(prompts[one.prompt_id], one.text)[-1].content: one for one in answers}
    for (prompt, verdict), row in zip(back, rows, strict=True):
        answer = right[prompt.text]
        assert verifier.check(prompts[answer.prompt_id], answer.text).correct is row["right"]
        assert asked.read(prompt, Completion(verdict, "", (), "stop")) == (5.0 if row["right"] else 0.0)


def test_lessons_never_overwrite_and_need_somebody_who_knows(view: RunView, tmp_path: Path) -> None:
    (tmp_path / "there.jsonl").write_text("mine")
    with pytest.raises(StoreError, match="never overwritten"):
        export_lessons(view, tmp_path / "there.jsonl")
    plain = Store(tmp_path).open_run("plain", load_recipe(SMOKE, ["measure.verifier=none"]), environment={})
    with pytest.raises(RecipeError, match=r"measure\.verifier=none"):
        export_lessons(plain, tmp_path / "new.jsonl")


def test_a_pair_whose_file_is_gone_is_named(view: RunView, tmp_path: Path) -> None:
    path = Path(view.recipe().pairs.mix.external or "")
    kept = path.read_text()
    try:
        path.write_text(json.dumps({**HUMAN, "chosen": "other"}) + "\n")
        with pytest.raises(DataError, match=r"is no longer in .*restore that file"):
            export_pairs(view, tmp_path / "out")
    finally:
        path.write_text(kept)
    assert not (tmp_path / "out").exists()


def test_the_first_sentence_of_a_card_is_the_verdict(view: RunView, tmp_path: Path) -> None:
    body = model_card(view, 2).split("---\n\n", 1)[1]
    assert body.startswith(f"**{judge_run(Reading(view)).headline}**\n")
    assert f"| {words('true_accuracy')} | report pool |" in body
    assert model_card(view, 0).split("---\n\n", 1)[1].startswith("**Nothing was trained: these are the weights of")
    assert "licence is not known" in body and "license: unknown" in model_card(view, 2)
    export(view, 2, tmp_path / "model")
    snippet = (tmp_path / "model" / "README.md").read_text().split("```python\n")[1].split("```")[0]
    exec(snippet.replace("DIRECTORY", str(tmp_path / "model")).replace('"..."', '"sort f b"'), {})  # noqa: S102


def test_the_licence_is_what_the_start_model_says(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert licence_of(tmp_path) is None
    (tmp_path / "config.json").write_text('{"license": "mit"}')
    assert licence_of(tmp_path) == "mit"
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\ntags: []\n---\n# A model\n")
    assert licence_of(tmp_path) == "apache-2.0"
    (tmp_path / "README.md").write_text("---\nlicense: [\n---\n")
    assert licence_of(tmp_path) == "mit"


def test_the_hub_is_told_nothing_without_yes_and_says_why_it_cannot(view: RunView, tmp_path: Path) -> None:
    asked = [
        "export",
        "own",
        "--results",
        str(view.path.parent),
        "--pairs",
        str(tmp_path / "out"),
        "--to-hub",
        "me/pairs",
    ]
    dry = CliRunner().invoke(app, asked)
    assert dry.exit_code == 0 and "dry run: would upload 3 files" in dry.output and PARQUET in dry.output
    assert list(tmp_path.iterdir()) == [], "a dry run leaves nothing"
    done = CliRunner().invoke(app, [*asked, "--yes"])
    assert isinstance(done.exception, DataError) and "unset HF_HUB_OFFLINE" in str(done.exception)
    assert (tmp_path / "out" / LINES).is_file()
    wrong = CliRunner().invoke(app, [*asked[:-1], "me"])
    assert "expected ORG/NAME" in str(wrong.exception)
