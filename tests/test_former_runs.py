"""Runs that earlier versions finished are opened again: what they found must not be lost when the code moves on."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from selfreward.commands.cli import app
from selfreward.commands.schema import row_type
from selfreward.records import to_line
from selfreward.store.seals import read_seal, write_seal
from selfreward.store.view import RunView
from selfreward.tasks.sandbox.seeds.cache import SHIPPED

FORMER = Path(__file__).parent / "fixtures" / "run_of_2b57ac8.tar.xz"
"""recipes/smoke.yaml at commit 2b57ac8: rows, seals and journal, no weights."""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    with tarfile.open(FORMER) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_a_former_run_is_reported(results: Path) -> None:
    done = CliRunner().invoke(app, ["report", "former", "--results", str(results)])
    assert done.exit_code == 0, done.output
    assert (results / "former" / "report.html").stat().st_size > 10_000


def test_a_former_run_is_compared_with_itself(results: Path) -> None:
    done = CliRunner().invoke(app, ["compare", "former", "former", "--results", str(results)])
    assert done.exit_code == 0, done.output


def test_a_prompt_of_a_former_run_is_shown(results: Path) -> None:
    first = (results / "former" / "round-01" / "prompts.jsonl").read_text(encoding="utf-8").splitlines()[0]
    name = first.split('"id":"')[1].split('"')[0] if '"id":"' in first else first.split('"id": "')[1].split('"')[0]
    done = CliRunner().invoke(app, ["show", "former", name, "--results", str(results)])
    assert done.exit_code == 0, done.output


def test_a_former_run_is_forked_where_its_weights_lie(results: Path) -> None:
    """The fixture has no weights; those of round 0 are the shipped seed's."""
    shutil.copy(SHIPPED / "seed-0" / "model.safetensors", results / "former" / "round-00" / "checkpoint")
    keys = ["rounds=1", "meta.enabled=false", "prompts.writer.share=0", "prompts.per_round=8"]
    done = CliRunner().invoke(app, ["fork", "former@0", *keys, "--name", "on", "--results", str(results)])
    assert done.exit_code == 0, done.output
    assert (results / "on" / "round-01" / "measurements.done.json").is_file()


def test_every_row_of_a_former_run_is_read_as_it_stands(results: Path) -> None:
    view, kinds = RunView(results / "former"), set()
    for number in view.rounds():
        for seal in view.seals(number):
            if seal.files is None and seal.rows:
                kind = row_type(seal.artifact)
                rows = view.read(number, seal.artifact, kind)
                for row, stood in zip(rows, view.plain(number, seal.artifact), strict=True):
                    written = json.loads(to_line(row))
                    assert {name: written[name] for name in stood} == stood
                kinds.add(kind)
    assert len(kinds) >= 7


def test_a_former_run_is_not_gone_on_with(results: Path) -> None:
    smoke = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
    done = CliRunner().invoke(app, ["run", str(smoke), "--name", "former", "--results", str(results)])
    assert done.exit_code != 0


def test_seals_do_not_name_the_machine(results: Path) -> None:
    seal = read_seal(results / "former" / "round-00" / "pools.done.json")
    assert seal is not None
    write_seal(results / "again.done.json", seal)
    assert "host" not in json.loads((results / "again.done.json").read_text(encoding="utf-8"))
