"""An exported policy is the sealed one, loads like any other model, and its card states what was measured."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from selfreward.commands.export import export, resolve_round
from selfreward.commands.model_card import model_card
from selfreward.engines.handoff import HANDOFF_FILE
from selfreward.engines.tensors import weights_digest
from selfreward.errors import StoreError
from selfreward.recipe import GatesRecipe, HeldOutRecipe, MeasureRecipe, Recipe
from selfreward.records import Checkpoint, Measurement
from selfreward.store.results import Store
from selfreward.store.run import Run, Work
from selfreward.tasks.sandbox.seeds.model import build_model, save_model

OTHER = HeldOutRecipe(model="sandbox:seed-1")
BELIEFS = {0: (2.0, None), 1: (3.0, 0.5), 2: (3.5, 0.2), 3: (4.0, -0.1)}
"""Round -> judge mean on the selection pool, and the lower end of its paired change; round 2 is the best."""


def measured(round: int, metric: str, value: float, low: float | None, pool: str, **more: Any) -> Measurement:
    high = None if low is None else value + 0.25
    return Measurement(round, "policy", metric, "all", pool, value, low, high, 48, 0, "higher", **more)


def measurements(number: int) -> list[Measurement]:
    mean, low = BELIEFS[number]
    rows = [
        measured(number, "judge_mean", mean, mean - 0.2, "selection"),
        measured(number, "held_out_win_rate_initial", 1.15 - number / 5, 1.1 - number / 5, "selection"),
        measured(number, "true_accuracy", 0.4 + number / 100, 0.3125, "report", oracle=True),
    ]
    return (
        rows if low is None else [*rows, measured(number, "judge_mean_change", mean - BELIEFS[0][0], low, "selection")]
    )


def add_round(run: Run, number: int, parent: str) -> str:
    """A round whose policy is a model with weights of its own."""

    def build(out: Path, scratch: Path) -> Mapping[str, Any]:
        save_model(build_model(seed=number), out)
        (out / HANDOFF_FILE).write_text("{}")
        method = "dpo" if number else "start"
        return dataclasses.asdict(
            Checkpoint(number, weights_digest(out), parent, parent, method, steps=7 * number, pairs=11 * number)
        )

    run.complete_directory(number, "checkpoint", {"number": number}, build)
    rows = measurements(number)
    run.complete(Work(number, "measurements", Measurement, {"number": number}, [rows], lambda chunk, index: chunk))
    seal = run.seal(number, "checkpoint")
    assert seal is not None
    return str(seal.facts["digest"])


def make_run(results: Path, recipe: Recipe) -> Run:
    opened = Store(results).open_run("tiny", recipe, environment={})
    digest = ""
    for number in BELIEFS:
        digest = add_round(opened, number, digest)
    return opened


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path / "results", Recipe())


def test_best_last_and_a_number_name_rounds(run: Run) -> None:
    assert [resolve_round(run, wanted) for wanted in ("best", "last", "1")] == [2, 3, 1]
    for wrong in ("7", "-1", "worst", ""):
        with pytest.raises(StoreError, match=r"expected best, last or one of 0, 1, 2, 3"):
            resolve_round(run, wrong)


def test_where_the_held_out_judge_selects_its_choice_is_exported_and_the_card_says_so(run: Run, tmp_path: Path) -> None:
    other = make_run(
        tmp_path / "other", Recipe(gates=GatesRecipe(select_by="held_out"), measure=MeasureRecipe(held_out=OTHER))
    )
    # Its win rate falls by .2 from round to round, and is at a half in the last.
    assert resolve_round(other, "best") == 1
    told = {name: model_card(one, 1) for name, one in (("own", run), ("other", other))}
    assert "on the selection pool by the judge's mean score" in told["own"]
    assert "on the selection pool by the held-out judge's win rate" in told["other"]


def test_a_run_without_a_checkpoint_has_no_round(tmp_path: Path) -> None:
    empty = Store(tmp_path).open_run("empty", Recipe(), environment={})
    with pytest.raises(StoreError, match="no finished checkpoint"):
        resolve_round(empty, "last")


def test_the_exported_directory_loads_and_holds_the_sealed_weights(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "servable"
    export(run, 2, out)
    model = AutoModelForCausalLM.from_pretrained(out)
    expected = build_model(seed=2).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    tokenizer = AutoTokenizer.from_pretrained(out)
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "sort f b"}], add_generation_prompt=True)
    assert len(ids) > 0
    assert not (out / HANDOFF_FILE).exists()


def test_changing_the_export_does_not_touch_the_run(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "servable"
    export(run, 1, out)
    with (out / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, 2)
        weights.write(b"\xff")
    assert weights_digest(run.read_directory(1)) == run.seal(1, "checkpoint").facts["digest"]  # type: ignore[union-attr]


def test_the_card_states_lineage_numbers_intervals_and_recipe(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "servable"
    export(run, 1, out)
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "# tiny, round 1" in card
    assert "| report pool | 0.410 | [0.312, 0.660] | 48 | higher | oracle |" in card
    digests = [str(run.seal(number, "checkpoint").facts["digest"])[:16] for number in (0, 1, 2)]  # type: ignore[union-attr]
    assert f"| 1 | dpo | 11 | 7 | `{digests[1]}` | `{digests[0]}` | `{digests[0]}` |" in card
    assert digests[2] not in card, "later rounds are no part of this policy's lineage"
    assert "per_round: 600" in card


def test_nothing_is_overwritten(run: Run, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("keep me")
    file = tmp_path / "file"
    file.write_text("a file")
    for taken in (full, file):
        with pytest.raises(StoreError, match="not an empty directory"):
            export(run, 1, taken)
    assert (full / "mine.txt").read_text() == "keep me"
    empty = tmp_path / "empty"
    empty.mkdir()
    export(run, 1, empty)
    assert (empty / "config.json").is_file()


def test_a_pruned_checkpoint_says_which_rounds_are_there(run: Run, tmp_path: Path) -> None:
    run.discard_weights(1)
    with pytest.raises(StoreError, match=r"round 1: its weights were removed .* are there: 0, 2, 3\."):
        export(run, 1, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_edited_checkpoint_is_not_exported(run: Run, tmp_path: Path) -> None:
    config = run.directory(1) / "checkpoint" / "config.json"
    config.chmod(0o644)
    config.write_text(config.read_text() + " ")
    with pytest.raises(StoreError, match=r"config\.json has SHA-256"):
        export(run, 1, tmp_path / "out")
    assert list(tmp_path.glob("*out*")) == [], "nothing half-written stays behind"


def test_the_card_of_the_start_policy_says_that_nothing_was_trained(run: Run) -> None:
    start, later = model_card(run, 0), model_card(run, 2)
    assert (
        "Nothing was trained" in start and "unchanged" in start and "is trained by DPO" not in start.replace("\n", " ")
    )
    assert "Nothing was trained" not in later and "trained by DPO" in later.replace("\n", " ")
